"""Reads what the wrapper must know of an ELF file, and refuses malformed ones with the reason.

Own code rather than a library: every field here may be hostile, and each defect needs a message of its own.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from compat.elf_structs import EHDR, PHDR, PT_DYNAMIC, PT_INTERP, PT_LOAD
from compat.errors import UnsupportedProgramError

PF_X = 1
ET_EXEC, ET_DYN = 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH, DT_FLAGS_1 = (
    0,
    1,
    5,
    10,
    14,
    15,
    29,
    0x6FFFFFFB,
)
DF_1_NODEFLIB = 0x800

EM_X86_64 = 62
USER_END = 0x7FFF_FFFF_F000
KERNEL_START, KERNEL_END = 0x6600_0000_0000, 0x6680_0000_0000
MAX_ALIGN = 1 << 32
MAX_HEADERS = 65536 // 56
MAX_DYNAMIC = 1 << 20
MAX_STRINGS = 64 << 20

# Imported functions that tell what a program opens at run time (see `runtime_rules`).
INTERESTING = frozenset(
    b"getaddrinfo gethostbyname getservbyname getpwnam getgrnam getpwuid getpwuid_r setlocale newlocale iconv_open "
    b"localtime localtime_r mktime tzset __localtime64_r".split()
)

MACHINES = {
    2: "SPARC", 3: "i386 (32-bit x86)", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "S390", 40: "ARM", 42: "SuperH",
    43: "SPARC V9", 50: "IA-64", 62: "x86-64", 183: "AArch64 (64-bit ARM)", 243: "RISC-V", 247: "BPF", 258: "LoongArch",
}  # fmt: skip
KINDS = {0: "no type", 1: "a relocatable object (.o)", 4: "a core dump"}


class ElfError(UnsupportedProgramError):
    """The file is not an ELF file that can run here."""


@dataclass(frozen=True, slots=True)
class Segment:
    kind: int
    flags: int
    offset: int
    vaddr: int
    filesz: int
    memsz: int
    align: int


@dataclass(frozen=True, slots=True)
class ElfFile:
    """Headers of one executable or library."""

    path: str
    kind: int
    entry: int
    segments: tuple[Segment, ...]
    interpreter: str | None
    needed: tuple[str, ...]
    soname: str | None
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    no_default_lib: bool
    # Names in the dynamic string table, among them those of imported functions.
    imports: frozenset[bytes] = field(repr=False, default=frozenset())

    @property
    def has_code(self) -> bool:
        return any(segment.kind == PT_LOAD and segment.flags & PF_X for segment in self.segments)


def is_elf(path: str | Path) -> bool:
    """Whether the file starts like an ELF file; unreadable and special files do not."""
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def read_elf(path: str | Path, *, program: bool = False) -> ElfFile:
    """Reads and checks a file; `program` asks for what an executable needs (a valid entry, segments in user space)."""
    reader = _Reader(os.fspath(path))
    try:
        return reader.read(program=program)
    finally:
        reader.close()


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path
        self.names: frozenset[bytes] = frozenset()
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ElfError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
        self.size = os.fstat(self.fd).st_size

    def close(self) -> None:
        os.close(self.fd)

    def fail(self, why: str) -> ElfError:
        return ElfError(f"{self.path}: {why}")

    def at(self, offset: int, length: int, what: str) -> bytes:
        if offset + length > self.size or offset < 0:
            raise self.fail(f"{what} lies outside the file (truncated?)")
        data = os.pread(self.fd, length, offset)
        if len(data) != length:
            raise self.fail(f"{what} cannot be read whole")
        return data

    def read(self, *, program: bool) -> ElfFile:
        header = self._header()
        _, kind, _, _, entry, phoff = header[:6]
        segments = self._segments(phoff, header[9], header[10])
        self._check_loads(segments)
        if program:
            self._check_program(kind, entry, segments)
        dynamic = self._dynamic(segments)
        return ElfFile(
            path=self.path,
            kind=kind,
            entry=entry,
            segments=segments,
            interpreter=self._interpreter(segments),
            needed=tuple(dynamic.get(DT_NEEDED, ())),
            soname=next(iter(dynamic.get(DT_SONAME, ())), None),
            rpath=_split(dynamic.get(DT_RPATH, [])),
            runpath=_split(dynamic.get(DT_RUNPATH, [])),
            no_default_lib=DT_FLAGS_1 in dynamic,
            imports=self.names,
        )

    def _header(self) -> tuple[int, ...]:
        self._check_ident(os.pread(self.fd, 20, 0))
        header = EHDR.unpack(self.at(0, EHDR.size, "the ELF header"))
        if header[3] != 1:
            raise self.fail(f"unknown ELF version {header[3]}")
        if header[1] not in {ET_EXEC, ET_DYN}:
            raise self.fail(f"{KINDS.get(header[1], f'of unknown type {header[1]}')}, not an executable")
        if header[8] != EHDR.size:
            raise self.fail(f"ELF header size {header[8]} instead of {EHDR.size}")
        return header

    def _check_ident(self, ident: bytes) -> None:
        """What the program is for: the class and the machine are named first, since they say most."""
        if not ident.startswith(b"\x7fELF"):
            raise self.fail("not an ELF file")
        if len(ident) < 20:
            raise self.fail("truncated ELF header")
        machine = int.from_bytes(ident[18:20], "big" if ident[5] == 2 else "little")
        name = MACHINES.get(machine, f"machine {machine}")
        problems = {
            f"a 32-bit program for {name}; compat runs 64-bit x86-64 programs": ident[4] == 1,
            f"invalid ELF class {ident[4]}": ident[4] not in {1, 2},
            f"a big-endian program for {name}": ident[5] == 2,
            f"invalid byte order {ident[5]}": ident[5] not in {1, 2},
            f"a program for {name}; compat runs x86-64 programs": machine != EM_X86_64,
            f"unknown ELF version {ident[6]}": ident[6] != 1,
            f"not a Linux program (OS ABI {ident[7]})": ident[7] not in {0, 3},
        }
        for problem, applies in problems.items():
            if applies:
                raise self.fail(problem)

    def _segments(self, phoff: int, phentsize: int, phnum: int) -> tuple[Segment, ...]:
        if phentsize != PHDR.size:
            raise self.fail(f"program header size {phentsize} instead of {PHDR.size}")
        if phnum == 0:
            raise self.fail("no program headers: nothing to load")
        if phnum > MAX_HEADERS:
            raise self.fail(f"too many program headers ({phnum})")
        table = self.at(phoff, phnum * PHDR.size, "the program header table")
        return tuple(
            Segment(kind, flags, offset, vaddr, filesz, memsz, align)
            for kind, flags, offset, vaddr, _, filesz, memsz, align in PHDR.iter_unpack(table)
        )

    def _check_loads(self, segments: tuple[Segment, ...]) -> None:
        loads = [segment for segment in segments if segment.kind == PT_LOAD]
        if not loads:
            raise self.fail("no loadable segment")
        last = 0
        for segment in loads:
            where = f"the segment at {segment.vaddr:#x}"
            if segment.filesz > segment.memsz:
                raise self.fail(f"{where} is larger in the file than in memory")
            if segment.offset + segment.filesz > self.size:
                raise self.fail(f"{where} reaches beyond the end of the file (truncated?)")
            if segment.vaddr + segment.memsz > USER_END:
                raise self.fail(f"{where} lies outside the address space")
            if segment.vaddr < KERNEL_END and segment.vaddr + segment.memsz > KERNEL_START:
                raise self.fail(f"{where} lies where compat's kernel lives")
            # As on Linux, an alignment that is no power of two counts as none.
            if segment.align.bit_count() == 1 and segment.align > MAX_ALIGN:
                raise self.fail(f"{where} has an alignment of {segment.align:#x}")
            if (segment.vaddr - segment.offset) % 4096:
                raise self.fail(f"{where} is not congruent to its file offset")
            if segment.vaddr < last:
                raise self.fail(f"{where} overlaps another or is out of order")
            last = segment.vaddr + segment.memsz

    def _check_program(self, kind: int, entry: int, segments: tuple[Segment, ...]) -> None:
        code = [s for s in segments if s.kind == PT_LOAD and s.flags & PF_X]
        if entry == 0 and kind == ET_DYN:
            raise self.fail("a shared library, not a program (it has no entry point)")
        if not any(s.vaddr <= entry < s.vaddr + s.memsz for s in code):
            raise self.fail(f"the entry point {entry:#x} lies in no executable segment")
        if kind == ET_EXEC and any(s.kind == PT_LOAD and s.memsz and s.vaddr < 0x1000 for s in segments):
            raise self.fail("a segment lies on the zero page")

    def _interpreter(self, segments: tuple[Segment, ...]) -> str | None:
        found = [segment for segment in segments if segment.kind == PT_INTERP]
        if len(found) > 1:
            raise self.fail("more than one interpreter")
        if not found:
            return None
        if not 2 <= found[0].filesz <= 4096:
            raise self.fail(f"an interpreter path of {found[0].filesz} bytes")
        raw = self.at(found[0].offset, found[0].filesz, "the interpreter's path")
        if raw[-1] != 0:
            raise self.fail("the interpreter's path is not terminated")
        text = os.fsdecode(raw.split(b"\0", 1)[0])
        if not text.startswith("/"):
            raise self.fail(f"the interpreter's path {text!r} is not absolute")
        return text

    def _dynamic(self, segments: tuple[Segment, ...]) -> dict[int, list[str]]:
        found = [segment for segment in segments if segment.kind == PT_DYNAMIC]
        if len(found) > 1:
            raise self.fail("more than one dynamic section")
        if not found:
            return {}
        if found[0].filesz > MAX_DYNAMIC:
            raise self.fail("an oversized dynamic section")
        raw = self.at(found[0].offset, found[0].filesz & ~15, "the dynamic section")
        tags: list[tuple[int, int]] = []
        for tag, value in struct.iter_unpack("<qQ", raw):
            if tag == DT_NULL:
                break
            tags.append((tag, value))
        return self._names(tags, segments)

    def _names(self, tags: list[tuple[int, int]], segments: tuple[Segment, ...]) -> dict[int, list[str]]:
        wanted = [(tag, value) for tag, value in tags if tag in {DT_NEEDED, DT_SONAME, DT_RPATH, DT_RUNPATH}]
        names: dict[int, list[str]] = {}
        if any(tag == DT_FLAGS_1 and value & DF_1_NODEFLIB for tag, value in tags):
            names[DT_FLAGS_1] = []
        if not wanted:
            return names
        first = dict(reversed(tags))
        if DT_STRTAB not in first or DT_STRSZ not in first:
            raise self.fail("library names without a string table")
        size = first[DT_STRSZ]
        if size > MAX_STRINGS:
            raise self.fail("an oversized string table")
        strings = self.at(self._to_offset(first[DT_STRTAB], segments), size, "the dynamic string table")
        self.names = INTERESTING.intersection(strings.split(b"\0"))
        for tag, value in wanted:
            end = strings.find(b"\0", value)
            if value >= size or end < 0:
                raise self.fail("a library name lies outside the string table")
            names.setdefault(tag, []).append(os.fsdecode(strings[value:end]))
        return names

    def _to_offset(self, vaddr: int, segments: tuple[Segment, ...]) -> int:
        for segment in segments:
            if segment.kind == PT_LOAD and segment.vaddr <= vaddr < segment.vaddr + segment.filesz:
                return segment.offset + vaddr - segment.vaddr
        raise self.fail("the dynamic string table lies in no segment")


def _split(values: list[str]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(":") if part)
