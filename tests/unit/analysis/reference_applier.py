"""Applies a patch plan to a copy of a file so that the result runs on ordinary Linux.

It does what ARCHITECTURE.md ("Patch plans") says the loader does, but a trampoline holds the real instruction where
the loader's jumps to the kernel. If a patched libc, interpreter or program still behaves, the plan moved no byte
that it should not have moved.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from compat.analysis import FilePlan, SiteRecord, Technique

_PAGE = 4096
_PT_LOAD, _PT_NOTE, _PT_GNU_PROPERTY = 1, 4, 0x6474E553
_PHDR = struct.Struct("<IIQQQQQQ")
_INT3, _UD2 = b"\xcc", b"\x0f\x0b"


@dataclass
class _Image:
    """The file being changed, and the trampolines that go to its end."""

    data: bytearray
    base: int
    """Address of the trampolines."""
    trampolines: bytearray
    trap: bool
    """Trampolines fault instead."""

    def vaddr(self, offset: int) -> int:
        for kind, _, start, vaddr, _, size, _, _ in phdrs(self.data):
            if kind == _PT_LOAD and start <= offset < start + size:
                return vaddr - start + offset
        raise AssertionError(f"offset {offset:#x} is in no segment")

    @property
    def here(self) -> int:
        return self.base + len(self.trampolines)


def phdrs(data: bytes | bytearray) -> list[tuple[int, ...]]:
    """The program headers."""
    (offset,) = struct.unpack_from("<Q", data, 32)
    (count,) = struct.unpack_from("<H", data, 56)
    return [_PHDR.unpack_from(data, offset + index * _PHDR.size) for index in range(count)]


def apply(path: Path, plan: FilePlan, result: Path, *, trap: bool = False) -> None:
    """Write a patched copy. With `trap`, trampolines fault instead: a way to see that they are reached."""
    data = bytearray(path.read_bytes())
    top = max(row[3] + row[6] for row in phdrs(data) if row[0] == _PT_LOAD)
    base = (top + _PAGE - 1) // _PAGE * _PAGE + 0x10000
    image = _Image(data, base, bytearray(), trap)
    for record in plan.records:
        _apply_site(image, record)
    _add_segment(image)
    result.write_bytes(image.data)
    result.chmod(0o755)


def _jump(source: int, target: int) -> bytes:
    return b"\xe9" + struct.pack("<i", target - (source + 5))


def _apply_site(image: _Image, record: SiteRecord) -> None:
    site = image.vaddr(record.site)
    start, end = record.site - record.head, record.site + 2 + record.tail
    window = bytes(image.data[start:end])
    assert zlib.crc32(window) == record.check
    assert image.data[record.site : record.site + 2] == record.instruction.code
    entry = _UD2 if image.trap else record.instruction.code
    entrance = image.here
    if record.technique in (Technique.MOV, Technique.BEFORE):
        assert record.head >= 3
        moved = _moved(image, record, window[: record.head], site - record.head)
        image.trampolines += moved + entry
        jump = _jump(site - record.head, entrance).ljust(record.head, _INT3)
        image.data[start : start + len(jump)] = jump
        image.trampolines += _jump(image.here, site + 2)
    elif record.technique == Technique.HOP:
        distance = record.pad - 2
        assert -128 <= distance <= 127
        image.data[record.site : record.site + 2] = b"\xeb" + struct.pack("<b", distance)
        pad = record.site + record.pad
        image.data[pad : pad + 5] = _jump(site + record.pad, entrance)
        image.trampolines += entry
        image.trampolines += _jump(image.here, site + 2)
    else:
        assert record.tail >= 3
        image.trampolines += entry
        image.trampolines += _moved(image, record, window[2:], site + 2)
        image.trampolines += _jump(image.here, site + 2 + record.tail)
        image.data[start:end] = _jump(site, entrance).ljust(2 + record.tail, _INT3)


def _moved(image: _Image, record: SiteRecord, code: bytes, origin: int) -> bytes:
    """Displaced bytes with their rip-relative operand, if any, pointing where it did."""
    if not record.rip_fix:
        return code
    moved = bytearray(code)
    at = record.rip_fix - 1
    (disp,) = struct.unpack_from("<i", moved, at)
    struct.pack_into("<i", moved, at, disp + origin - image.here)
    return bytes(moved)


def _add_segment(image: _Image) -> None:
    """Turn a note's program header, which nothing needs to run, into one for the trampolines."""
    rows = phdrs(image.data)
    note = next(index for index, row in enumerate(rows) if row[0] in (_PT_NOTE, _PT_GNU_PROPERTY))
    del rows[note]
    offset = (len(image.data) + _PAGE - 1) // _PAGE * _PAGE
    size = len(image.trampolines)
    last = max(index for index, row in enumerate(rows) if row[0] == _PT_LOAD)
    rows.insert(last + 1, (_PT_LOAD, 5, offset, image.base, image.base, size, size, _PAGE))
    (table,) = struct.unpack_from("<Q", image.data, 32)
    for index, row in enumerate(rows):
        _PHDR.pack_into(image.data, table + index * _PHDR.size, *row)
    image.data += bytes(offset - len(image.data)) + image.trampolines
