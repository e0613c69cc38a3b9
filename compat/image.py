"""Makes the image: the kernel's segments, then configuration and patch plans, then the root file system.

The result is one ELF file that any PVH monitor can boot. It appears under its name only when it is complete.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from compat.atomic import replacing
from compat.elf_structs import EHDR, PHDR, PT_LOAD
from compat.erofs import Layout, write_image
from compat.errors import CompatError, InternalError
from compat.program import TRAILER_MAGIC

PAGE = 4096
HUGE = 2 * 1024 * 1024
# Guest-physical memory appears at this virtual address; see "Address space" in ARCHITECTURE.md.
DIRECT_MAP = 0x6600_0000_0000
HEADER_SYMBOL = b"compat_image_header"
HEADER_MAGIC = 0x31474D4954504D43

PF_X, PF_W, PF_R = 1, 2, 4
SHT_SYMTAB = 2

_SHDR = struct.Struct("<IIQQQQIIQQ")
_SYM = struct.Struct("<IBBHQQ")
_HEADER = struct.Struct("<8Q")


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header."""

    kind: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int
    align: int

    def pack(self) -> bytes:
        head = (self.kind, self.flags, self.offset, self.vaddr, self.paddr)
        return PHDR.pack(*head, self.filesz, self.memsz, self.align)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel ELF, read whole: it is about a megabyte."""

    data: bytes
    segments: tuple[Segment, ...]
    header_vaddr: int


@dataclass(frozen=True, slots=True)
class ImageSizes:
    """Bytes by part, as they are stored."""

    kernel: int
    configuration: int
    plans: int
    root: int
    monitor: int
    total: int


def read_kernel(path: Path) -> Kernel:
    """Reads and checks the kernel that the build made."""
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = "build the native parts: python -m compat._build"
        raise InternalError(f"cannot read the kernel {path}: {error.strerror}", hint) from error
    try:
        header = EHDR.unpack_from(data)
        segments = tuple(Segment(*PHDR.unpack_from(data, header[5] + 56 * i)) for i in range(header[10]))
        vaddr = _find_symbol(data, header[6], header[12])
    except (struct.error, ValueError, IndexError) as error:
        raise InternalError(f"{path} is not a compat kernel: {error}") from error
    if not any(segment.kind == PT_LOAD for segment in segments):
        raise InternalError(f"{path} is not a compat kernel: nothing to load")
    return Kernel(data=data, segments=segments, header_vaddr=vaddr)


def build_image(
    *,
    kernel: Kernel,
    config: bytes,
    plans: bytes,
    layout: Layout,
    output: Path,
    monitor: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImageSizes:
    """Writes the image to `output`; with `monitor`, a file that runs itself."""
    plan = _place(kernel, config, plans, layout)
    with replacing(output, executable=monitor is not None) as fd:
        base = _copy_monitor(monitor, fd) if monitor is not None else 0
        end = base + plan.end
        os.ftruncate(fd, end)
        for offset, data in plan.pieces:
            _write(fd, data, base + offset)
        write_image(layout, fd, base + plan.root.offset, progress)
        if monitor is not None:
            _write(fd, struct.pack("<QQ8s", base, plan.end, TRAILER_MAGIC), end)
    return ImageSizes(
        kernel=plan.kernel_end,
        configuration=len(config),
        plans=len(plans),
        root=layout.size,
        monitor=base,
        total=end + (24 if monitor is not None else 0),
    )


@dataclass(frozen=True, slots=True)
class _Placement:
    pieces: list[tuple[int, bytes]]
    root: Segment
    kernel_end: int
    end: int


def _place(kernel: Kernel, config: bytes, plans: bytes, layout: Layout) -> _Placement:
    loads = [segment for segment in kernel.segments if segment.kind == PT_LOAD]
    count = len(kernel.segments) + 2
    moved, kernel_end = _move_kernel(kernel, _up(EHDR.size + count * PHDR.size, PAGE))
    config_size = _up(len(config), PAGE)
    data_size = config_size + _up(len(plans), PAGE)
    data_paddr = _up(max(segment.paddr + segment.memsz for segment in loads), HUGE)
    root_paddr = _up(data_paddr + data_size, HUGE)
    data_offset = _up(kernel_end, PAGE)
    root_offset = _up(data_offset + data_size, HUGE if layout.size >= HUGE else PAGE)
    data = _read_only(data_offset, data_paddr, data_size)
    root = _read_only(root_offset, root_paddr, layout.size)
    values = (data_paddr, len(config), data_paddr + config_size, len(plans), root_paddr, layout.size, 0)
    pieces = [(0, _headers(kernel, [*moved, data, root]))]
    for old, new in zip(kernel.segments, moved, strict=True):
        if old.kind == PT_LOAD:
            pieces.append((new.offset, kernel.data[old.offset : old.offset + old.filesz]))
    pieces.append((_file_offset(moved, kernel.header_vaddr), _HEADER.pack(HEADER_MAGIC, *values)))
    pieces.append((data_offset, config))
    pieces.append((data_offset + config_size, plans))
    return _Placement(pieces=pieces, root=root, kernel_end=kernel_end, end=root_offset + layout.size)


def _move_kernel(kernel: Kernel, start: int) -> tuple[list[Segment], int]:
    """New file offsets: loaded segments one after the other, congruent to their addresses; the rest inside them."""
    offsets: dict[Segment, int] = {}
    end = start
    for segment in kernel.segments:
        if segment.kind == PT_LOAD:
            offsets[segment] = end + (segment.vaddr - end) % PAGE
            end = offsets[segment] + segment.filesz
    moved = []
    for segment in kernel.segments:
        home = next((load for load in offsets if _holds(load, segment)), None)
        at = offsets[home] + segment.offset - home.offset if home is not None else 0
        moved.append(replace(segment, offset=at))
    return moved, end


def _holds(load: Segment, segment: Segment) -> bool:
    if segment.filesz == 0 and segment is not load:
        return False
    return load.offset <= segment.offset and segment.offset + segment.filesz <= load.offset + load.filesz


def _headers(kernel: Kernel, segments: list[Segment]) -> bytes:
    """The ELF header without section headers (debugging uses the kernel's own file), and the program headers."""
    old = EHDR.unpack_from(kernel.data)
    header = EHDR.pack(*old[:5], EHDR.size, 0, old[7], EHDR.size, PHDR.size, len(segments), 64, 0, 0)
    return header + b"".join(segment.pack() for segment in segments)


def _read_only(offset: int, paddr: int, size: int) -> Segment:
    return Segment(PT_LOAD, PF_R, offset, DIRECT_MAP + paddr, paddr, size, size, PAGE)


def _file_offset(segments: list[Segment], vaddr: int) -> int:
    for segment in segments:
        if segment.kind == PT_LOAD and segment.vaddr <= vaddr <= segment.vaddr + segment.filesz - _HEADER.size:
            return segment.offset + vaddr - segment.vaddr
    raise InternalError("the kernel's image header lies in no loaded segment")


def _find_symbol(data: bytes, shoff: int, shnum: int) -> int:
    sections = [_SHDR.unpack_from(data, shoff + _SHDR.size * i) for i in range(shnum)]
    for section in sections:
        if section[1] != SHT_SYMTAB:
            continue
        names_at, names_len = sections[section[6]][4:6]
        names = data[names_at : names_at + names_len]
        for fields in _SYM.iter_unpack(data[section[4] : section[4] + section[5]]):
            if names.startswith(HEADER_SYMBOL + b"\0", fields[0]):
                return int(fields[4])
    raise ValueError(f"no symbol {HEADER_SYMBOL.decode()}")


def _copy_monitor(monitor: Path, fd: int) -> int:
    """Puts the monitor's executable first; returns where the image begins."""
    try:
        data = monitor.read_bytes()
    except OSError as error:
        hint = "build the native parts: python -m compat._build"
        raise InternalError(f"cannot read the monitor {monitor}: {error.strerror}", hint) from error
    if not data.startswith(b"\x7fELF"):
        raise CompatError(f"{monitor} is not an executable")
    _write(fd, data, 0)
    return _up(len(data), PAGE)


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
