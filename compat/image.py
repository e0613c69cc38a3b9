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
from compat.elf_structs import EHDR, PHDR, PT_LOAD, SHDR
from compat.elf_symbols import symbols
from compat.erofs import Layout, write_image
from compat.errors import CompatError, InternalError
from compat.image_tail import PT_MANIFEST, Sections, move_sections
from compat.kernel_symbols import PART
from compat.program import TRAILER_MAGIC

PAGE = 4096
HUGE = 2 * 1024 * 1024
# Guest-physical memory appears at this virtual address; see "Address space" in ARCHITECTURE.md.
DIRECT_MAP = 0x6600_0000_0000
HEADER_SYMBOL = "compat_image_header"
HEADER_MAGIC = 0x31474D4954504D43

PF_X, PF_W, PF_R = 1, 2, 4
# Configuration with plans, root file system, manifest.
EXTRA_SEGMENTS = 3

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
    parts: tuple[str, ...]
    """Optional parts that it holds, see `kernel/src/parts.rs`."""


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
    return parse_kernel(data, str(path))


def parse_kernel(data: bytes, name: str) -> Kernel:
    """Checks a kernel's ELF file; `name` is for the message if it is none."""
    try:
        header = EHDR.unpack_from(data)
        segments = tuple(Segment(*PHDR.unpack_from(data, header[5] + 56 * i)) for i in range(header[10]))
        exported = symbols(data, b"compat")
        vaddr = exported[HEADER_SYMBOL]
    except (struct.error, ValueError, IndexError) as error:
        raise InternalError(f"{name} is not a compat kernel: {error}") from error
    except KeyError as error:
        raise InternalError(f"{name} is not a compat kernel: no symbol {HEADER_SYMBOL}") from error
    if not any(segment.kind == PT_LOAD for segment in segments):
        raise InternalError(f"{name} is not a compat kernel: nothing to load")
    parts = tuple(sorted(name.removeprefix(PART) for name in exported if name.startswith(PART)))
    return Kernel(data=data, segments=segments, header_vaddr=vaddr, parts=parts)


def build_image(
    *,
    kernel: Kernel,
    config: bytes,
    plans: bytes,
    layout: Layout,
    output: Path,
    monitor: Path | None = None,
    manifest: bytes = b"",
    symbols: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImageSizes:
    """Writes the image to `output`; with `monitor`, a file that runs itself; with `symbols`, for nm and gdb too."""
    plan = _place(kernel, config, plans, layout)
    pieces, end = _with_tail(kernel, plan, manifest, symbols=symbols)
    with replacing(output, executable=monitor is not None) as fd:
        base = _copy_monitor(monitor, fd, HUGE if layout.size >= HUGE else PAGE) if monitor is not None else 0
        os.ftruncate(fd, base + end)
        for offset, data in pieces:
            _write(fd, data, base + offset)
        write_image(layout, fd, base + plan.root.offset, progress)
        if monitor is not None:
            _write(fd, struct.pack("<QQ8s", base, end, TRAILER_MAGIC), base + end)
    return ImageSizes(
        kernel=plan.kernel_end,
        configuration=len(config),
        plans=len(plans),
        root=layout.size,
        monitor=base,
        total=base + end + (24 if monitor is not None else 0),
    )


@dataclass(frozen=True, slots=True)
class _Placement:
    """The loaded part. `moved` are the kernel's segments at their new offsets."""

    pieces: list[tuple[int, bytes]]
    moved: list[Segment]
    data: Segment
    root: Segment
    kernel_end: int


def _place(kernel: Kernel, config: bytes, plans: bytes, layout: Layout) -> _Placement:
    loads = [segment for segment in kernel.segments if segment.kind == PT_LOAD]
    count = len(kernel.segments) + EXTRA_SEGMENTS
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
    pieces = [
        (new.offset, kernel.data[old.offset : old.offset + old.filesz])
        for old, new in zip(kernel.segments, moved, strict=True)
        if old.kind == PT_LOAD
    ]
    pieces.append((_file_offset(moved, kernel.header_vaddr, _HEADER.size), _HEADER.pack(HEADER_MAGIC, *values)))
    pieces.append((data_offset, config))
    pieces.append((data_offset + config_size, plans))
    return _Placement(pieces=pieces, moved=moved, data=data, root=root, kernel_end=kernel_end)


def _with_tail(
    kernel: Kernel, plan: _Placement, manifest: bytes, *, symbols: bool
) -> tuple[list[tuple[int, bytes]], int]:
    """All pieces but the root file system, headers and what is not loaded included; and where the file ends."""
    segments = [*plan.moved, plan.data, plan.root]
    pieces = list(plan.pieces)
    end = plan.root.offset + plan.root.filesz
    if manifest:
        segments.append(Segment(PT_MANIFEST, PF_R, end, 0, 0, len(manifest), 0, 1))
        pieces.append((end, manifest))
        end += len(manifest)
    sections, table_at = Sections(), 0
    if symbols:
        table_at = _up(end, 8)
        sections = move_sections(kernel.data, lambda vaddr: _file_offset(plan.moved, vaddr, 0), table_at)
        pieces.append((table_at, sections.data))
        end = table_at + len(sections.data)
    pieces.append((0, _headers(kernel, segments, sections, table_at)))
    return pieces, end


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


def _headers(kernel: Kernel, segments: list[Segment], sections: Sections, table_at: int) -> bytes:
    """The ELF header and the program headers."""
    old = EHDR.unpack_from(kernel.data)
    tables = (EHDR.size, table_at, old[7], EHDR.size, PHDR.size, len(segments))
    header = EHDR.pack(*old[:5], *tables, SHDR.size, sections.count, sections.names)
    return header + b"".join(segment.pack() for segment in segments)


def _read_only(offset: int, paddr: int, size: int) -> Segment:
    return Segment(PT_LOAD, PF_R, offset, DIRECT_MAP + paddr, paddr, size, size, PAGE)


def _file_offset(segments: list[Segment], vaddr: int, size: int) -> int:
    for segment in segments:
        if segment.kind == PT_LOAD and segment.vaddr <= vaddr <= segment.vaddr + segment.filesz - size:
            return segment.offset + vaddr - segment.vaddr
    raise InternalError(f"{vaddr:#x} lies in no loaded segment of the kernel")


def _copy_monitor(monitor: Path, fd: int, alignment: int) -> int:
    """Puts the monitor's executable first; returns where the image begins."""
    try:
        data = monitor.read_bytes()
    except OSError as error:
        hint = "build the native parts: python -m compat._build"
        raise InternalError(f"cannot read the monitor {monitor}: {error.strerror}", hint) from error
    if not data.startswith(b"\x7fELF"):
        raise CompatError(f"{monitor} is not an executable")
    _write(fd, data, 0)
    return _up(len(data), alignment)


def _write(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
