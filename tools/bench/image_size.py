"""How much of an image is kernel, and how much the program's files."""

from __future__ import annotations

import struct
from pathlib import Path

PT_LOAD = 1
EROFS_MAGIC = bytes.fromhex("e2e1f5e0")
SUPERBLOCK = 1024


def image_sizes(image: Path) -> tuple[int, int]:
    """Bytes in the file of the kernel's segments with configuration and plans, and of the root file system."""
    kernel = files = 0
    with image.open("rb") as file:
        header = file.read(64)
        table, entry_size, count = (*struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54))
        file.seek(table)
        headers = file.read(entry_size * count)
        for at in range(0, len(headers), entry_size):
            kind, _flags, offset, _vaddr, _paddr, size = struct.unpack_from("<IIQQQQ", headers, at)
            if kind != PT_LOAD:
                continue
            file.seek(offset + SUPERBLOCK)
            if file.read(4) == EROFS_MAGIC:
                files += size
            else:
                kernel += size
    return kernel, files
