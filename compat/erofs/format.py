"""On-disk structures of EROFS, as the kernel's `fs/erofs/erofs_fs.h` defines them."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

BLOCK = 4096
BLOCK_BITS = 12
SUPER_OFFSET = 1024
INODE_SIZE = 64
SLOT = 32

MAGIC = 0xE0F5E1E2
COMPAT_SB_CHKSUM = 0x1
COMPAT_MTIME = 0x2

FLAT_PLAIN = 0
FLAT_INLINE = 2

# The volume's UUID is fixed: equal trees must give equal images.
UUID = bytes.fromhex("c0a7b1e5e70f4d0a9f2d5ec0de0ff1ce")
VOLUME = b"compat-root\0\0\0\0\0"

_SUPER = struct.Struct("<IIIBBHQQIIII16s16sIHHHBBIQ24s")
_INODE = struct.Struct("<HHHHQIIIIQII16s")
DIRENT = struct.Struct("<QHBB")

_FILE_TYPES = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: 7,
}


def file_type(mode: int) -> int:
    """The directory entry's type byte."""
    return _FILE_TYPES.get(stat.S_IFMT(mode), 0)


def encode_device(rdev: int) -> int:
    """The kernel's 32-bit encoding of a device number."""
    major, minor = (rdev >> 8) & 0xFFF, (rdev & 0xFF) | ((rdev >> 12) & 0xFFF00)
    return (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)


def pack_inode(
    *, layout: int, mode: int, size: int, union: int, number: int, uid: int, gid: int, mtime_ns: int, nlink: int
) -> bytes:
    """An extended inode without attributes; `union` is the start block, or the device number."""
    seconds, nanoseconds = divmod(mtime_ns, 1_000_000_000)
    head = (1 | (layout << 1), 0, mode, 0, size, union, number, uid, gid)
    return _INODE.pack(*head, seconds & (2**64 - 1), nanoseconds, nlink, bytes(16))


@dataclass(frozen=True, slots=True)
class Inode:
    """What a reader wants of an inode; `block` is a device number where there are no data."""

    layout: int
    mode: int
    size: int
    block: int
    uid: int
    gid: int


def unpack_inode(data: bytes) -> Inode:
    kind, attributes, mode, _, size, block, _, uid, gid, *_ = _INODE.unpack(data)
    if kind & 1 == 0 or kind >> 1 not in {FLAT_PLAIN, FLAT_INLINE} or attributes:
        raise ValueError(f"an inode of an unknown kind ({kind:#x})")
    return Inode(layout=kind >> 1, mode=mode, size=size, block=block, uid=uid, gid=gid)


def pack_super(*, root_nid: int, inodes: int, blocks: int, checksum: int = 0) -> bytes:
    features = COMPAT_SB_CHKSUM | COMPAT_MTIME
    head = (MAGIC, checksum, features, BLOCK_BITS, 0, root_nid, inodes, 0, 0, blocks, 0, 0, UUID, VOLUME)
    return _SUPER.pack(*head, 0, 0, 0, 0, 0, 0, 0, 0, bytes(24))


def unpack_super(data: bytes) -> int:
    """The root directory's number."""
    magic, _, _, bits, _, root_nid, *_ = _SUPER.unpack_from(data)
    if magic != MAGIC or bits != BLOCK_BITS:
        raise ValueError("no EROFS superblock with blocks of 4 KiB")
    return int(root_nid)


def unpack_directory(block: bytes) -> list[tuple[bytes, int]]:
    """Names and numbers of one block of a directory."""
    first = DIRENT.unpack_from(block)[1]
    if first % DIRENT.size or not DIRENT.size <= first <= len(block):
        raise ValueError("a directory block that does not fit together")
    entries = list(DIRENT.iter_unpack(block[:first]))
    ends = [entry[1] for entry in entries[1:]] + [len(block)]
    names = [(block[entry[1] : end].rstrip(b"\0"), entry[0]) for entry, end in zip(entries, ends, strict=True)]
    if any(not name or b"/" in name for name, _ in names):
        raise ValueError("a directory with an impossible name")
    return names


def pack_directory(entries: list[tuple[bytes, int, int]]) -> bytes:
    """Directory data from sorted (name, nid, type): blocks of entries, each followed by its names.

    A block is closed when the next entry and its name would not fit; all but the last are full size.
    """
    blocks: list[bytes] = []
    pending: list[tuple[bytes, int, int]] = []
    used = 0
    for entry in entries:
        need = DIRENT.size + len(entry[0])
        if used + need > BLOCK:
            blocks.append(_directory_block(pending).ljust(BLOCK, b"\0"))
            pending, used = [], 0
        pending.append(entry)
        used += need
    blocks.append(_directory_block(pending))
    return b"".join(blocks)


def directory_size(names: list[bytes]) -> int:
    """Length of what `pack_directory` makes of these names."""
    full, used = 0, 0
    for name in names:
        need = DIRENT.size + len(name)
        if used + need > BLOCK:
            full, used = full + BLOCK, 0
        used += need
    return full + used


def _directory_block(entries: list[tuple[bytes, int, int]]) -> bytes:
    offset = DIRENT.size * len(entries)
    head = bytearray()
    for name, nid, kind in entries:
        head += DIRENT.pack(nid, offset, kind, 0)
        offset += len(name)
    return bytes(head) + b"".join(name for name, _, _ in entries)


def _crc_table() -> list[int]:
    table = []
    for index in range(256):
        crc = index
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


def superblock_checksum(block: bytes) -> int:
    """CRC-32C, not inverted at the end, over the first block from the superblock on, its checksum field zero."""
    table = _crc_table()
    crc = 0xFFFFFFFF
    for byte in block[SUPER_OFFSET:BLOCK]:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc
