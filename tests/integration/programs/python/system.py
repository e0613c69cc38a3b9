"""ctypes, os, pathlib, tempfile, mmap, shutil, locale, time zones, errors."""

import ctypes
import errno
import locale
import mmap
import os
import pathlib
import platform
import resource
import shutil
import sys
import tempfile
import time
import zoneinfo
from datetime import datetime, timezone

libc = ctypes.CDLL(None, use_errno=True)
libc.strtol.restype = ctypes.c_long
print(libc.strtol(b"777", None, 8), libc.abs(-5))
libc.open(b"/no/such/file", 0)
print(errno.errorcode[ctypes.get_errno()])
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(
    lambda a, b: a[0] - b[0]
)
array = (ctypes.c_int * 8)(5, 3, 8, 1, 9, 2, 7, 4)
libc.qsort(array, 8, 4, compare)
print(list(array))

with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    for i in range(20):
        (folder / f"d{i % 3}").mkdir(exist_ok=True)
        (folder / f"d{i % 3}" / f"f{i}").write_text("x" * i)
    print(sorted(str(p.relative_to(folder)) for p in folder.rglob("f1*")))
    shutil.copytree(folder / "d0", folder / "copy")
    shutil.move(folder / "copy", folder / "moved")
    print(sorted(os.listdir(folder / "moved")), sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()))
    with open(folder / "map", "w+b") as file:
        file.truncate(100_000)
        with mmap.mmap(file.fileno(), 0) as view:
            view[50_000:50_005] = b"hello"
            print(view.find(b"hello"), len(view))
    shutil.make_archive(str(folder / "archive"), "zip", folder / "d1")
    shutil.unpack_archive(folder / "archive.zip", folder / "unpacked")
    print(sorted(os.listdir(folder / "unpacked")))
    try:
        (folder / "d0").rmdir()
    except OSError as error:
        print(error.errno == errno.ENOTEMPTY, error.strerror)

print(locale.setlocale(locale.LC_ALL, ""), sys.getfilesystemencoding(), platform.system(), platform.machine())
print(
    datetime(2024, 7, 1, 12, tzinfo=timezone.utc).astimezone(zoneinfo.ZoneInfo("UTC")).isoformat(),
    time.strftime("%A", time.gmtime(0)),
)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0, os.cpu_count() >= 1, os.getpid() == os.getpid(), os.isatty(1))
print(sys.stdin.readline().strip(), sys.argv[1:], os.environ["LANG"])
sys.stderr.write("to stderr\n")
