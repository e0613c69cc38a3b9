"""Files for the real programs to work on: the same bytes, names and times in every session."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

# Part of the folder's name: a change below makes a new folder.
VERSION = 1
TIMESTAMP = 1_700_000_000


def sample_folder(cache: Path) -> Path:
    """Makes the folder unless it is there."""
    folder = cache / f"data-{VERSION}"
    if not folder.exists():
        partial = cache / f"data-{VERSION}.{os.getpid()}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _fill(partial)
        partial.rename(folder)
    return folder


def _fill(folder: Path) -> None:
    source = random.Random(1)
    words = [
        "".join(source.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(source.randint(2, 9))) for _ in range(4000)
    ]
    text = "".join(" ".join(source.choices(words, k=source.randint(3, 12))) + "\n" for _ in range(5000))
    table = "".join(
        f"{i},{source.choice(words)},{source.randint(-1000, 1000)},{source.random():.6f}\n" for i in range(3000)
    )
    (folder / "words.txt").write_text("\n".join(words) + "\n")
    (folder / "text.txt").write_text(text)
    (folder / "changed.txt").write_text(text.replace("e", "E", 5))
    (folder / "table.csv").write_text(table)
    (folder / "noise.bin").write_bytes(source.randbytes(1 << 20))
    (folder / "empty").touch()
    records = [
        {"id": i, "name": source.choice(words), "tags": source.choices(words, k=3), "value": source.random()}
        for i in range(500)
    ]
    (folder / "records.json").write_text(json.dumps({"records": records}))
    (folder / "small.png").write_bytes(_png(64, 48))
    (folder / "program.c").write_text(_c_source())
    _tree(folder / "tree", words, source)
    _archives(folder)
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (TIMESTAMP, TIMESTAMP), follow_symlinks=False)


def _tree(root: Path, words: list[str], source: random.Random) -> None:
    for i in range(6):
        for j in range(5):
            place = root / f"part-{i}" / f"chapter-{j}"
            place.mkdir(parents=True)
            for k in range(4):
                (place / f"page-{k}.txt").write_text(
                    "".join(" ".join(source.choices(words, k=8)) + "\n" for _ in range(60))
                )
    (root / "link").symlink_to("part-0/chapter-0/page-0.txt")
    (root / "script.sh").write_text("#!/bin/sh\necho needle in the haystack\n")
    (root / "script.sh").chmod(0o755)


def _archives(folder: Path) -> None:
    text = (folder / "text.txt").read_bytes()
    (folder / "text.gz").write_bytes(gzip.compress(text, mtime=TIMESTAMP))
    with tarfile.open(folder / "archive.tar", "w") as archive:
        for name in ("words.txt", "table.csv", "tree/script.sh"):
            info = archive.gettarinfo(folder / name, name)
            info.mtime, info.uid, info.gid, info.uname, info.gname = TIMESTAMP, 0, 0, "root", "root"
            archive.addfile(info, io.BytesIO((folder / name).read_bytes()))
    with zipfile.ZipFile(folder / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("inside/text.txt", (2024, 1, 2, 3, 4, 6)), text)


def _png(width: int, height: int) -> bytes:
    rows = b"".join(
        b"\0" + b"".join(bytes((x * 4 % 256, y * 5 % 256, (x ^ y) * 3 % 256)) for x in range(width))
        for y in range(height)
    )
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _c_source() -> str:
    """A file of some size for a compiler, without headers: they are not part of its package."""
    functions = "".join(_FUNCTION.replace("NUMBER", str(i)).replace("CASES", str(i % 7 + 2)) for i in range(150))
    calls = "".join(f"    total += work_{i}(in, count);\n" for i in range(150))
    return f"{functions}\n{_ALL.replace('CALLS', calls)}"


_FUNCTION = """
static double work_NUMBER(const double *in, unsigned long count) {
    double sum = NUMBER.5;
    for (unsigned long i = 0; i < count; i++) sum = sum * 0.7NUMBER + in[i] * (NUMBER + 3);
    switch ((int)sum % CASES) {
    case 0: return sum;
    case 1: return -sum;
    default: return sum / 2;
    }
}
"""

_ALL = """
double all(const double *in, unsigned long count) {
    double total = 0;
CALLS    return total;
}
"""
