"""Reads file systems of the kind that this package writes: uncompressed, extended inodes, no attributes."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from compat.erofs import format as fmt

MAX_DEPTH = 128
CHUNK = 1 << 20


class DamagedError(Exception):
    """The bytes are no file system of this kind; the text says where."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name. `data` are the stretches of the file that hold its content."""

    path: bytes
    mode: int
    uid: int
    gid: int
    size: int
    nid: int
    data: tuple[tuple[int, int], ...]


class Reader:
    """A file system at `base` in an open file, `size` bytes long. Nothing in it is believed."""

    def __init__(self, fd: int, base: int, size: int) -> None:
        self._fd, self._base, self._size = fd, base, size
        try:
            self._root = fmt.unpack_super(self._read(fmt.SUPER_OFFSET, fmt.BLOCK - fmt.SUPER_OFFSET))
        except (struct.error, ValueError) as error:
            raise DamagedError(f"no file system: {error}") from error

    def walk(self) -> Iterator[Entry]:
        """Every name, parents first, names in order."""
        stack = [self._entry(b"/", self._root)]
        seen: set[int] = set()
        while stack:
            entry = stack.pop()
            yield entry
            if not stat.S_ISDIR(entry.mode):
                continue
            if entry.nid in seen or entry.path.count(b"/") > MAX_DEPTH:
                raise DamagedError(f"{os.fsdecode(entry.path)}: a directory lies in itself, or too deep")
            seen.add(entry.nid)
            base = entry.path if entry.path.endswith(b"/") else entry.path + b"/"
            names = self._names(entry)
            stack.extend(self._entry(base + name, nid) for name, nid in sorted(names, reverse=True))

    def content(self, entry: Entry) -> Iterator[bytes]:
        for offset, size in entry.data:
            for at in range(offset, offset + size, CHUNK):
                yield self._read(at, min(CHUNK, offset + size - at))

    def sha256(self, entry: Entry) -> str:
        digest = hashlib.sha256()
        for piece in self.content(entry):
            digest.update(piece)
        return digest.hexdigest()

    def _entry(self, path: bytes, nid: int) -> Entry:
        at = nid * fmt.SLOT
        try:
            inode = fmt.unpack_inode(self._read(at, fmt.INODE_SIZE))
        except (struct.error, ValueError) as error:
            raise DamagedError(f"{os.fsdecode(path)}: {error}") from error
        data: tuple[tuple[int, int], ...] = ()
        if stat.S_ISREG(inode.mode) or stat.S_ISDIR(inode.mode) or stat.S_ISLNK(inode.mode):
            tail = inode.size % fmt.BLOCK if inode.layout == fmt.FLAT_INLINE else 0
            whole = inode.size - tail
            data = ((inode.block * fmt.BLOCK, whole), (at + fmt.INODE_SIZE, tail))
            if any(offset + size > self._size for offset, size in data):
                raise DamagedError(f"{os.fsdecode(path)}: its data lie outside")
        return Entry(path, inode.mode, inode.uid, inode.gid, inode.size, nid, data)

    def _names(self, entry: Entry) -> list[tuple[bytes, int]]:
        content = b"".join(self.content(entry))
        names: list[tuple[bytes, int]] = []
        try:
            for at in range(0, len(content), fmt.BLOCK):
                names += fmt.unpack_directory(content[at : at + fmt.BLOCK])
        except (struct.error, ValueError) as error:
            raise DamagedError(f"{os.fsdecode(entry.path)}: {error}") from error
        return [(name, nid) for name, nid in names if name not in {b".", b".."}]

    def _read(self, offset: int, size: int) -> bytes:
        if size and (offset < 0 or offset + size > self._size):
            raise DamagedError(f"{size} bytes at {offset:#x} lie outside")
        data = os.pread(self._fd, size, self._base + offset)
        if len(data) != size:
            raise DamagedError(f"the file ends before {offset + size:#x}")
        return data
