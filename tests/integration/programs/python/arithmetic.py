"""decimal, fractions, math, random, statistics, hashlib, zlib, lzma, bz2."""

import bz2
import decimal
import fractions
import hashlib
import lzma
import math
import random
import statistics
import zlib

decimal.getcontext().prec = 60
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7)
print(sum(fractions.Fraction(1, n) for n in range(1, 60)))
print(math.factorial(200), math.comb(100, 50), f"{math.gamma(5.5):.15g}", f"{math.erf(0.3):.15g}")
random.seed(42)
sample = [random.gauss(0, 1) for _ in range(20000)]
print(f"{statistics.fmean(sample):.12f} {statistics.stdev(sample):.12f}", random.sample(range(10**6), 5))
blob = random.randbytes(300_000) + b"text " * 50_000
for name in ("md5", "sha1", "sha256", "sha3_512", "blake2b"):
    print(name, hashlib.new(name, blob).hexdigest())
print(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 20_000).hex())
for module in (zlib, bz2, lzma):
    packed = module.compress(blob)
    assert module.decompress(packed) == blob
    print(module.__name__, len(packed), hashlib.sha256(packed).hexdigest())
print(pow(3, 10**5, 10**20 + 39), hash((1, 2, 3)))
