"""Writes a planned file system into an open file at an offset, streaming file data."""

from __future__ import annotations

import os
from collections.abc import Callable

from compat.erofs import format as fmt
from compat.erofs.layout import Layout, Placed, sorted_names
from compat.errors import CompatError
from compat.tree import Node

# A multiple of the largest page that a file system keeps a file's data in.
CHUNK = 4 * 1024 * 1024


def write_image(layout: Layout, fd: int, base: int = 0, progress: Callable[[int], None] | None = None) -> None:
    """Writes the image at `base`; the bytes between what it writes must read as zero (a fresh or truncated file)."""
    metadata = bytearray(layout.data_start)
    outside: list[tuple[int, Placed, bytes | None]] = []
    for item in layout.placed:
        metadata[item.offset : item.offset + fmt.INODE_SIZE] = _inode(item)
        data = None
        if item.node.is_dir or item.node.is_link:
            data = _content(item, layout)
            whole = len(data) - item.inline
            tail = item.offset + fmt.INODE_SIZE
            metadata[tail : tail + item.inline] = data[whole:]
            data = data[:whole]
        if data or (item.node.is_file and item.size):
            outside.append((item.block, item, data))
    _superblock(layout, metadata)
    stream = _Stream(fd, base)
    stream.write(metadata, base)
    for block, item, data in sorted(outside, key=lambda piece: piece[0]):
        if data is not None:
            stream.write(data, base + block * fmt.BLOCK)
            continue
        _write_file(item.node, stream, base + block * fmt.BLOCK)
        if progress is not None:
            progress(item.size)
    stream.flush()


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


class _Stream:
    """Writes what comes in order of its place in large aligned pieces.

    File systems that can (ext4, XFS) then keep it in memory in pages of 2 MiB, and a guest that touches it costs one
    fault for each of these instead of one for each 4 KiB.
    """

    def __init__(self, fd: int, start: int) -> None:
        self._fd = fd
        self._buffer = memoryview(bytearray(CHUNK))
        self._begin(start)

    def write(self, data: bytes | bytearray, offset: int) -> None:
        view = memoryview(data)
        while view:
            room = self._room(offset)
            count = min(len(room), len(view))
            room[:count] = view[:count]
            self._fill(count)
            view, offset = view[count:], offset + count

    def copy(self, source: int, at: int, count: int, offset: int) -> int:
        """Up to `count` bytes of another file; answers how many."""
        done = os.preadv(source, [self._room(offset)[:count]], at)
        self._fill(done)
        return done

    def flush(self) -> None:
        view, offset = self._buffer[self._first : self._end], self._place + self._first
        while view:
            count = os.pwrite(self._fd, view, offset)
            view, offset = view[count:], offset + count
        self._begin(self._place + self._end)

    def _begin(self, offset: int) -> None:
        """`_buffer` is the piece of the file from `_place` on; of it, `_first` to `_end` is to be written."""
        self._place = offset - offset % CHUNK
        self._first = self._end = offset % CHUNK

    def _room(self, offset: int) -> memoryview:
        """Where in the buffer the file's bytes from `offset` on go; what was left out before them is zero."""
        if offset >= self._place + CHUNK:
            # A piece that is not written to its end would lie in smaller pages.
            self._skip(CHUNK)
            self.flush()
            self._begin(offset - offset % CHUNK)
        self._skip(offset - self._place)
        return self._buffer[self._end :]

    def _skip(self, to: int) -> None:
        self._buffer[self._end : to] = bytes(to - self._end)
        self._end = to

    def _fill(self, count: int) -> None:
        self._end += count


def _write_file(node: Node, stream: _Stream, offset: int) -> None:
    if node.source is None:
        stream.write(node.data, offset)
        return
    try:
        source = os.open(node.source, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CompatError(f"cannot read {node.source}: {error.strerror}") from error
    try:
        _copy(source, stream, offset, node)
    finally:
        os.close(source)


def _copy(source: int, stream: _Stream, offset: int, node: Node) -> None:
    """Copies exactly `node.size` bytes; a file that shrank or grew meanwhile is an error, not a torn image."""
    if os.fstat(source).st_size != node.size:
        raise CompatError(f"{node.source} changed while the image was being written")
    done = 0
    while done < node.size:
        count = stream.copy(source, done, node.size - done, offset + done)
        if count == 0:
            raise CompatError(f"{node.source} changed while the image was being written")
        done += count
