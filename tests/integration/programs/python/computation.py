"""n-body, spectral norm, dictionary and string work, garbage collection, recursion, exceptions."""

import gc
import sys

BODIES = [
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 39.47841760435743),
    ([4.84, -1.16, -0.10], [0.6063, 2.8119, -0.02521], 0.0376),
    ([8.34, 4.12, -0.4], [-1.0107, 1.8256, 0.00841], 0.01128),
]


def advance(steps: int, dt: float = 0.01) -> float:
    pairs = [(a, b) for i, a in enumerate(BODIES) for b in BODIES[i + 1 :]]
    for _ in range(steps):
        for (p1, v1, m1), (p2, v2, m2) in pairs:
            d = [a - b for a, b in zip(p1, p2)]
            mag = dt * sum(x * x for x in d) ** -1.5
            for i in range(3):
                v1[i] -= d[i] * m2 * mag
                v2[i] += d[i] * m1 * mag
        for p, v, _ in BODIES:
            for i in range(3):
                p[i] += dt * v[i]
    return sum(m * sum(x * x for x in v) / 2 for _, v, m in BODIES)


def spectral(n: int) -> float:
    def times(v: list) -> list:
        return [sum(v[j] / ((i + j) * (i + j + 1) / 2 + i + 1) for j in range(n)) for i in range(n)]

    u = [1.0] * n
    for _ in range(3):
        u = times(times(u))
    return sum(u)


class Node:
    def __init__(self, other: "Node | None") -> None:
        self.other = other
        self.itself = self


print(f"{advance(3000):.12f} {spectral(60):.12f}")
table = {f"key-{i}": i for i in range(100_000)}
print(sum(table[f"key-{i}"] for i in range(0, 100_000, 7)), len("".join(sorted(table))))
node = None
for _ in range(10_000):
    node = Node(node if _ % 10 else None)
del node
print(gc.collect() > 0)


def depth(n: int) -> int:
    return 0 if n == 0 else 1 + depth(n - 1)


sys.setrecursionlimit(20_000)
print(depth(15_000))
try:
    sys.setrecursionlimit(500)
    depth(10_000)
except RecursionError as error:
    print(type(error).__name__)
print(2**5000 % 10**30, int("9" * 3000) % 7)
