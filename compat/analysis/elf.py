"""The few ELF tables that the analysis needs, read straight into numpy arrays.

Bulk tables (a million symbols, relocations) are what costs time here, so they are never walked in Python.
Everything comes from program headers and the dynamic section; section headers are used where they exist.
"""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from compat.analysis.model import AnalysisError

Addresses = npt.NDArray[np.int64]
Table = npt.NDArray[np.void]

_EHDR = np.dtype(
    [
        ("ident", "S16"), ("type", "<u2"), ("machine", "<u2"), ("version", "<u4"), ("entry", "<i8"),
        ("phoff", "<i8"), ("shoff", "<i8"), ("flags", "<u4"), ("ehsize", "<u2"), ("phentsize", "<u2"),
        ("phnum", "<u2"), ("shentsize", "<u2"), ("shnum", "<u2"), ("shstrndx", "<u2"),
    ]
)  # fmt: skip
_PHDR = np.dtype(
    [
        ("type", "<u4"), ("flags", "<u4"), ("offset", "<i8"), ("vaddr", "<i8"), ("paddr", "<i8"),
        ("filesz", "<i8"), ("memsz", "<i8"), ("align", "<i8"),
    ]
)  # fmt: skip
_SHDR = np.dtype(
    [
        ("name", "<u4"), ("type", "<u4"), ("flags", "<i8"), ("addr", "<i8"), ("offset", "<i8"),
        ("size", "<i8"), ("link", "<u4"), ("info", "<u4"), ("addralign", "<i8"), ("entsize", "<i8"),
    ]
)  # fmt: skip
_SYM = np.dtype([("name", "<u4"), ("info", "u1"), ("other", "u1"), ("shndx", "<u2"), ("value", "<i8"), ("size", "<i8")])
_RELA = np.dtype([("offset", "<i8"), ("info", "<i8"), ("addend", "<i8")])

_ET_EXEC, _ET_DYN = 2, 3
_EM_X86_64 = 62
_PT_LOAD, _PT_DYNAMIC, _PT_NOTE, _PT_GNU_EH_FRAME = 1, 2, 4, 0x6474E550
_PF_X, _PF_W = 1, 2
_SHT_SYMTAB, _SHT_NOBITS, _SHT_DYNSYM = 2, 8, 11
_DT_PLTRELSZ, _DT_RELA, _DT_RELASZ, _DT_JMPREL = 2, 7, 8, 23
_DT_SYMTAB, _DT_STRTAB = 6, 5
_DT_RELR = 36
_DT_TEXTREL, _DT_FLAGS, _DF_TEXTREL = 22, 30, 4
_STT_FUNC, _STT_IFUNC = 2, 10
_NT_GNU_BUILD_ID = 3
_ADDRESS_LIMIT = 1 << 47


@dataclass(frozen=True, slots=True)
class Segment:
    """A PT_LOAD segment, cut down to the bytes that the file really has."""

    vaddr: int
    offset: int
    size: int
    executable: bool
    writable: bool

    @property
    def end(self) -> int:
        """First address after the segment's file bytes."""
        return self.vaddr + self.size


class ElfFile:
    """A mapped x86-64 ELF file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (ValueError, OSError) as error:
                raise AnalysisError(f"{path}: {error}") from error
        self.data: npt.NDArray[np.uint8] = np.frombuffer(self._map, dtype=np.uint8)
        self.size = len(self._map)
        header = self._table(_EHDR, 0, 1)
        ident = self.bytes_at(0, 6)
        if ident != b"\x7fELF\x02\x01" or len(header) == 0:
            raise AnalysisError(f"{path}: not a 64-bit little-endian ELF file")
        self._header = header[0]
        if int(self._header["machine"]) != _EM_X86_64 or int(self._header["type"]) not in (_ET_EXEC, _ET_DYN):
            raise AnalysisError(f"{path}: not an x86-64 program or shared object")
        self._phdrs = self._table(_PHDR, int(self._header["phoff"]), int(self._header["phnum"]))
        self.segments = self._load_segments()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Arrays still point into the mapping; it goes away with the last of them.
        self.data = np.zeros(0, dtype=np.uint8)

    @property
    def is_position_independent(self) -> bool:
        """Whether absolute addresses in code cannot occur without a relocation."""
        return int(self._header["type"]) == _ET_DYN

    @property
    def entry(self) -> int:
        """Address of the first instruction."""
        return int(self._header["entry"])

    def bytes_at(self, offset: int, size: int) -> bytes:
        """File bytes; fewer than asked for at the end of the file."""
        if offset < 0 or offset >= self.size or size <= 0:
            return b""
        return self._map[offset : offset + size]

    def find(self, needle: bytes, start: int, end: int) -> int:
        """Offset of the next occurrence of `needle` in the file's bytes [start, end), or -1."""
        return self._map.find(needle, start, end)

    def read(self, vaddr: int, size: int) -> bytes:
        """Bytes at a virtual address; fewer where the segment's file bytes end."""
        segment = self.segment_of(vaddr)
        if segment is None:
            return b""
        return self.bytes_at(vaddr - segment.vaddr + segment.offset, min(size, segment.end - vaddr))

    def numbers(self, vaddr: int, size: int, kind: str) -> Addresses:
        """The whole numbers of a numpy kind that lie in so many bytes; fewer where the segment's file bytes end."""
        data = self.read(vaddr, size)
        dtype = np.dtype(kind)
        return np.frombuffer(data, dtype=dtype, count=len(data) // dtype.itemsize).astype(np.int64)

    def segment_of(self, vaddr: int) -> Segment | None:
        """The segment whose file bytes hold the address."""
        for segment in self.segments:
            if segment.vaddr <= vaddr < segment.end:
                return segment
        return None

    def view(self, segment: Segment) -> npt.NDArray[np.uint8]:
        """The segment's bytes."""
        return self.data[segment.offset : segment.offset + segment.size]

    def _table(self, dtype: np.dtype[Any], offset: int, count: int) -> Table:
        """As many whole entries as the file has, from a table at a file offset."""
        if not 0 <= offset < self.size:
            return np.zeros(0, dtype=dtype)
        count = max(0, min(count, (self.size - offset) // dtype.itemsize))
        return np.frombuffer(self._map, dtype=dtype, count=count, offset=offset)

    def _table_at(self, dtype: np.dtype[Any], vaddr: int, size: int) -> Table:
        segment = self.segment_of(vaddr)
        if segment is None:
            return np.zeros(0, dtype=dtype)
        size = min(size, segment.end - vaddr)
        return self._table(dtype, vaddr - segment.vaddr + segment.offset, size // dtype.itemsize)

    def _load_segments(self) -> tuple[Segment, ...]:
        found = []
        for row in self._phdrs[self._phdrs["type"] == _PT_LOAD]:
            vaddr, offset = int(row["vaddr"]), int(row["offset"])
            size = min(int(row["filesz"]), int(row["memsz"]), max(0, self.size - offset))
            if size > 0 and vaddr >= 0 and offset >= 0 and vaddr + size <= _ADDRESS_LIMIT:
                flags = int(row["flags"])
                found.append(Segment(vaddr, offset, size, bool(flags & _PF_X), bool(flags & _PF_W)))
        return tuple(sorted(found, key=lambda segment: segment.vaddr))

    @cached_property
    def sections(self) -> Table:
        """Section headers; empty when they are stripped or out of the file."""
        if int(self._header["shentsize"]) != _SHDR.itemsize or int(self._header["shoff"]) == 0:
            return np.zeros(0, dtype=_SHDR)
        return self._table(_SHDR, int(self._header["shoff"]), int(self._header["shnum"]))

    def section(self, name: bytes) -> tuple[int, int] | None:
        """Address and size of an allocated section with contents."""
        index = int(self._header["shstrndx"])
        if index >= len(self.sections):
            return None
        strings = self.sections[index]
        table = self.bytes_at(int(strings["offset"]), int(strings["size"]))
        for row in self.sections:
            start = int(row["name"])
            if row["addr"] and row["type"] != _SHT_NOBITS and table[start:].startswith(name + b"\0"):
                return int(row["addr"]), int(row["size"])
        return None

    @property
    def eh_frame_hdr(self) -> int | None:
        """Address of the unwinder's index."""
        rows = self._phdrs[self._phdrs["type"] == _PT_GNU_EH_FRAME]
        return int(rows[0]["vaddr"]) if len(rows) else None

    @cached_property
    def sha256(self) -> str:
        """Digest of the whole file, in hexadecimal."""
        return hashlib.sha256(self._map).hexdigest()

    @cached_property
    def build_id(self) -> str:
        """The GNU build id in hexadecimal, or an empty string."""
        for row in self._phdrs[self._phdrs["type"] == _PT_NOTE]:
            note = self.bytes_at(int(row["offset"]), min(int(row["filesz"]), 1 << 16))
            at = 0
            while at + 12 <= len(note):
                name_size, size, kind = (int(v) for v in np.frombuffer(note, "<u4", 3, at))
                body = at + 12 + (name_size + 3 & ~3)
                if kind == _NT_GNU_BUILD_ID and note[at + 12 : at + 16] == b"GNU\0":
                    return note[body : body + size].hex()
                at = body + (size + 3 & ~3)
        return ""

    @cached_property
    def _dynamic(self) -> dict[int, int]:
        rows = self._phdrs[self._phdrs["type"] == _PT_DYNAMIC]
        if not len(rows):
            return {}
        table = self._table(
            np.dtype([("tag", "<i8"), ("value", "<i8")]), int(rows[0]["offset"]), int(rows[0]["filesz"]) // 16
        )
        return {int(row["tag"]): int(row["value"]) for row in table}

    @cached_property
    def symbols(self) -> Table:
        """All defined symbols of .symtab and .dynsym."""
        kinds = (_SHT_SYMTAB, _SHT_DYNSYM)
        tables = [self._symbol_section(row) for row in self.sections if row["type"] in kinds]
        if not tables:
            tables = [self._dynamic_symbols()]
        table: Table = np.concatenate(tables)
        defined: Table = table[(table["shndx"] != 0) & (table["value"] != 0)]
        return defined

    def _symbol_section(self, row: np.void) -> Table:
        return self._table(_SYM, int(row["offset"]), int(row["size"]) // _SYM.itemsize)

    def _dynamic_symbols(self) -> Table:
        """Without section headers nothing says how many there are; the string table follows by custom."""
        start, end = self._dynamic.get(_DT_SYMTAB, 0), self._dynamic.get(_DT_STRTAB, 0)
        return self._table_at(_SYM, start, max(0, end - start))

    @cached_property
    def function_symbols(self) -> Table:
        """Symbols that name a function, sized or not."""
        kind = self.symbols["info"] & 15
        functions: Table = self.symbols[(kind == _STT_FUNC) | (kind == _STT_IFUNC)]
        return functions

    @cached_property
    def relocations(self) -> Table:
        """RELA relocations, PLT ones included."""
        dynamic = self._dynamic
        return np.concatenate(
            [
                self._table_at(_RELA, dynamic.get(_DT_RELA, 0), dynamic.get(_DT_RELASZ, 0)),
                self._table_at(_RELA, dynamic.get(_DT_JMPREL, 0), dynamic.get(_DT_PLTRELSZ, 0)),
            ]
        )

    @cached_property
    def pointers(self) -> Addresses:
        """Every address that a relocation may store."""
        rows = self.relocations
        indices = rows["info"] >> 32
        dynamic = [row for row in self.sections if row["type"] == _SHT_DYNSYM]
        table = self._symbol_section(dynamic[0]) if dynamic else self._dynamic_symbols()
        known = (indices > 0) & (indices < len(table))
        addresses: Addresses = rows["addend"].copy()
        addresses[known] += table["value"][indices[known]]
        return addresses

    @property
    def has_unrecorded_pointers(self) -> bool:
        """Whether data may hold addresses that no RELA entry mentions: fixed addresses, or RELR."""
        return not self.is_position_independent or _DT_RELR in self._dynamic

    @property
    def relocates_code(self) -> bool:
        """Whether the dynamic linker changes instructions, after the file was mapped and patched."""
        return _DT_TEXTREL in self._dynamic or bool(self._dynamic.get(_DT_FLAGS, 0) & _DF_TEXTREL)

    def word(self, vaddr: int) -> int:
        """The pointer at an address, with its RELATIVE relocation where there is one."""
        if self.is_position_independent:
            addends = self.relocations[self.relocations["offset"] == vaddr]["addend"]
            if len(addends) and int(addends[0]):
                return int(addends[0])
        return int.from_bytes(self.read(vaddr, 8), "little")
