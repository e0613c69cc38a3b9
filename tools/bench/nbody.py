"""The planets, for so many steps; prints the seconds that they took."""

import sys
import time

PI = 3.141592653589793
MASS, YEAR = 4 * PI * PI, 365.24
BODIES = [
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], MASS),
    ([4.8414, -1.1603, -0.1036], [0.00166 * YEAR, 0.00770 * YEAR, -0.00007 * YEAR], 9.5479e-4 * MASS),
    ([8.3434, 4.1248, -0.4035], [-0.00277 * YEAR, 0.00500 * YEAR, 0.00002 * YEAR], 2.8589e-4 * MASS),
    ([12.8944, -15.1112, -0.2233], [0.00296 * YEAR, 0.00238 * YEAR, -0.00003 * YEAR], 4.3662e-5 * MASS),
    ([15.3797, -25.9193, 0.1793], [0.00268 * YEAR, 0.00163 * YEAR, -0.00010 * YEAR], 5.1514e-5 * MASS),
]


def advance(dt: float, steps: int) -> None:
    pairs = [(a, b) for i, a in enumerate(BODIES) for b in BODIES[i + 1 :]]
    for _ in range(steps):
        for (p, v, m), (q, w, n) in pairs:
            x, y, z = p[0] - q[0], p[1] - q[1], p[2] - q[2]
            scale = dt * (x * x + y * y + z * z) ** -1.5
            v[0] -= x * n * scale
            v[1] -= y * n * scale
            v[2] -= z * n * scale
            w[0] += x * m * scale
            w[1] += y * m * scale
            w[2] += z * m * scale
        for p, v, _m in BODIES:
            p[0] += dt * v[0]
            p[1] += dt * v[1]
            p[2] += dt * v[2]


start = time.perf_counter()
advance(0.01, int(sys.argv[1]))
print(time.perf_counter() - start)
