"""numpy: linear algebra, FFT, sorting, random numbers, files and memory maps."""

import os
import tempfile

import numpy as np

rng = np.random.default_rng(7)
a = rng.normal(size=(200, 200))
print(
    np.__version__,
    f"{np.linalg.det(a / 14):.10e}",
    f"{np.linalg.norm(a @ np.linalg.inv(a) - np.eye(200)):.1e}" < "1e-9",
)
print(f"{np.linalg.svd(a, compute_uv=False)[0]:.10f}", f"{abs(np.fft.fft(a[0]))[:3].sum():.10f}")
values = rng.integers(0, 1 << 40, 500_000)
print(int(np.sort(values)[12345]), int(values.cumsum()[-1]), len(np.unique(values % 1000)))
x = np.linspace(0, 10, 100_000, dtype=np.float32)
print(f"{np.sin(x).sum():.3f}", (x > 5).sum(), x.reshape(100, -1).mean(axis=1)[:3])
with tempfile.TemporaryDirectory() as folder:
    np.save(os.path.join(folder, "a.npy"), a)
    print(np.array_equal(np.load(os.path.join(folder, "a.npy"), mmap_mode="r"), a))
    np.savez_compressed(os.path.join(folder, "b.npz"), a=a, v=values)
    print(np.load(os.path.join(folder, "b.npz"))["v"].sum() == values.sum())
