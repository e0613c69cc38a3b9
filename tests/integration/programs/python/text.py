"""json, re, textwrap, difflib, unicodedata, csv, struct, base64 on generated text."""

import base64
import collections
import csv
import difflib
import io
import json
import re
import struct
import sys
import textwrap
import unicodedata

words = [f"w{i * i % 97}é" for i in range(2000)]
print(collections.Counter(words).most_common(3))
print(re.sub(r"w(\d+)", lambda m: f"<{int(m[1]):03}>", " ".join(words[:20])))
print(len(re.findall(r"\b[^\W\d]\d{2}é\b", " ".join(words))))
nested = {"list": [1, 2.5, None, True, "ünï"], "object": {str(i): i**3 for i in range(50)}}
assert json.loads(json.dumps(nested)) == nested
print(json.dumps(nested, sort_keys=True, ensure_ascii=False)[:120])
print(textwrap.fill(" ".join(words[:60]), 40))
print("\n".join(list(difflib.unified_diff(words[:30], words[1:31], lineterm=""))[:10]))
print(unicodedata.name("é"), unicodedata.normalize("NFD", "é").encode())
out = io.StringIO()
csv.writer(out).writerows([[i, f'a "{i}", b', i / 7] for i in range(5)])
print(out.getvalue())
print(struct.pack("<IdQ", 1, 2.5, 3).hex(), base64.b85encode(bytes(range(50))))
print(sys.argv[1:], [line.rstrip() for line in sys.stdin])
