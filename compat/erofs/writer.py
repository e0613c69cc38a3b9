"""Writes a planned file system into an open file at an offset, streaming file data."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from compat.erofs import format as fmt
from compat.erofs.layout import Layout, Placed, sorted_names
from compat.errors import CompatError
from compat.tree import Node

CHUNK = 8 * 1024 * 1024


def write_image(layout: Layout, fd: int, base: int = 0, progress: Callable[[int], None] | None = None) -> None:
    """Writes the image at `base`; the bytes between what it writes must read as zero (a fresh or truncated file)."""
    metadata = bytearray(layout.data_start)
    for item in layout.placed:
        metadata[item.offset : item.offset + fmt.INODE_SIZE] = _inode(item)
        if item.node.is_dir or item.node.is_link:
            _write_small(item, _content(item, layout), metadata, fd, base)
    _superblock(layout, metadata)
    _write_all(fd, memoryview(metadata), base)
    for item in layout.placed:
        if item.node.is_file and item.size:
            _write_file(item.node, fd, base + item.block * fmt.BLOCK)
            if progress is not None:
                progress(item.size)


def _content(item: Placed, layout: Layout) -> bytes:
    """Data of a directory or of a symbolic link."""
    if item.node.is_link:
        return item.node.data
    entries: list[tuple[bytes, int, int]] = []
    for name in sorted_names(item.node):
        if name == b".":
            target = item
        elif name == b"..":
            target = item.parent or item
        else:
            target = layout.by_node[id(item.node.children[name])]
        entries.append((name, target.nid, fmt.file_type(target.node.mode)))
    return fmt.pack_directory(entries)


def _write_small(item: Placed, data: bytes, metadata: bytearray, fd: int, base: int) -> None:
    whole = len(data) - item.inline
    tail = item.offset + fmt.INODE_SIZE
    metadata[tail : tail + item.inline] = data[whole:]
    if whole:
        _write_all(fd, memoryview(data)[:whole], base + item.block * fmt.BLOCK)


def _inode(item: Placed) -> bytes:
    node = item.node
    has_data = node.is_file or node.is_dir or node.is_link
    return fmt.pack_inode(
        layout=fmt.FLAT_INLINE if item.inline else fmt.FLAT_PLAIN,
        mode=node.mode,
        size=item.size if has_data else 0,
        union=item.block if has_data else fmt.encode_device(node.rdev),
        number=item.number,
        uid=node.uid,
        gid=node.gid,
        mtime_ns=node.mtime_ns,
        nlink=item.nlink,
    )


def _superblock(layout: Layout, metadata: bytearray) -> None:
    root = layout.placed[0]
    numbers = {"root_nid": root.nid, "inodes": len(layout.placed), "blocks": layout.size // fmt.BLOCK}
    plain = fmt.pack_super(**numbers)
    end = fmt.SUPER_OFFSET + len(plain)
    metadata[fmt.SUPER_OFFSET : end] = plain
    checksum = fmt.superblock_checksum(bytes(metadata[: fmt.BLOCK]))
    metadata[fmt.SUPER_OFFSET : end] = fmt.pack_super(**numbers, checksum=checksum)


def _write_file(node: Node, fd: int, offset: int) -> None:
    if node.source is None:
        _write_all(fd, memoryview(node.data), offset)
        return
    try:
        source = os.open(node.source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CompatError(f"cannot read {node.source}: {error.strerror}") from error
    try:
        _copy(source, fd, offset, node)
    finally:
        os.close(source)


def _copy(source: int, fd: int, offset: int, node: Node) -> None:
    """Copies exactly `node.size` bytes; a file that shrank or grew meanwhile is an error, not a torn image."""
    if os.fstat(source).st_size != node.size:
        raise CompatError(f"{node.source} changed while the image was being written")
    done = 0
    while done < node.size:
        try:
            count = os.copy_file_range(source, fd, min(CHUNK, node.size - done), done, offset + done)
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
                raise
            count = _copy_chunk(source, fd, min(CHUNK, node.size - done), done, offset + done)
        if count == 0:
            # Some file systems (proc, overlay corner cases) answer 0 to copy_file_range although data is left.
            count = _copy_chunk(source, fd, min(CHUNK, node.size - done), done, offset + done)
        if count == 0:
            raise CompatError(f"{node.source} changed while the image was being written")
        done += count


def _copy_chunk(source: int, fd: int, count: int, at: int, to: int) -> int:
    data = os.pread(source, count, at)
    _write_all(fd, memoryview(data), to)
    return len(data)


def _write_all(fd: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(fd, data, offset)
        data, offset = data[count:], offset + count
