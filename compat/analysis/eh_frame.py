"""Function bounds and landing pads from the unwinder's tables.

An FDE is the compiler's own statement that a range is one function's code, so it is the best bound there is.
`.eh_frame_hdr` is a sorted index: with it only the FDEs of interest are read. Files without it (static glibc)
are walked once. Layout: Linux Standard Base, "DWARF Extensions" and "Exception Frames".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from compat.analysis.elf import Addresses, ElfFile

_PE_OMIT = 0xFF
_PE_PCREL, _PE_DATAREL, _PE_INDIRECT = 0x10, 0x30, 0x80
_FORMATS = {0x00: "<q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}
_ULEB, _SLEB = 0x01, 0x09
_INDEX_ENCODING = (0x1B, 0x03, 0x3B)
_MAX_FDE = 1 << 16


class _MalformedError(Exception):
    """The record cannot be read; its function counts as unknown."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One FDE: a function's range, its landing pads, and whether it is a signal trampoline."""

    start: int
    end: int
    lsda: int
    signal: bool


class _Reader:
    """A cursor over DWARF-encoded bytes at a virtual address."""

    def __init__(self, data: bytes, vaddr: int) -> None:
        self.data, self.vaddr, self.at = data, vaddr, 0

    def number(self, layout: str) -> int:
        try:
            (value,) = struct.unpack_from(layout, self.data, self.at)
        except struct.error as error:
            raise _MalformedError(str(error)) from error
        self.at += struct.calcsize(layout)
        return int(value)

    def leb(self, *, signed: bool = False) -> int:
        value = shift = 0
        while True:
            byte = self.number("<B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value - (1 << shift) if signed and byte & 0x40 else value
            if shift > 63:
                raise _MalformedError("LEB128 number too long")

    def pointer(self, encoding: int, base: int = 0) -> int:
        """A pointer in a DW_EH_PE encoding; 0 stays 0, as the tables mean "none" by it."""
        here = self.vaddr + self.at
        form = encoding & 0x0F
        if form == _ULEB:
            value = self.leb()
        elif form == _SLEB:
            value = self.leb(signed=True)
        elif form in _FORMATS:
            value = self.number(_FORMATS[form])
        else:
            raise _MalformedError(f"pointer encoding {encoding:#x}")
        if value and encoding & 0x70 == _PE_PCREL:
            value += here
        elif value and encoding & 0x70 == _PE_DATAREL:
            value += base
        return value


@dataclass(frozen=True, slots=True)
class _Cie:
    pointer: int
    lsda: int
    augmented: bool
    signal: bool


class Frames:
    """All FDEs of a file, read when asked for."""

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self._cies: dict[int, _Cie | None] = {}
        self._read: dict[int, Frame | None] = {}
        starts, records = self._index()
        if not len(starts):
            starts, records = self._walk()
        order = np.argsort(starts, kind="stable")
        self.starts: Addresses = starts[order]
        self._records: Addresses = records[order]

    def at(self, index: int) -> Frame | None:
        """The FDE at an index into `starts`; None when its record is broken."""
        record = int(self._records[index])
        if record not in self._read:
            try:
                self._read[record] = self._fde(record)
            except _MalformedError:
                self._read[record] = None
        return self._read[record]

    def landing_pads(self, frame: Frame) -> list[int] | None:
        """Addresses where exceptions enter the function; None when the table cannot be read."""
        if not frame.lsda:
            return []
        try:
            return self._lsda(frame)
        except _MalformedError:
            return None

    def _index(self) -> tuple[Addresses, Addresses]:
        none = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        base = self._elf.eh_frame_hdr
        if base is None:
            return none
        head = self._elf.read(base, 12)
        if len(head) < 12 or head[0] != 1 or tuple(head[1:4]) != _INDEX_ENCODING:
            return none
        count = int.from_bytes(head[8:12], "little")
        rows = self._elf.numbers(base + 12, 8 * count, "<i4")
        rows = rows[: len(rows) // 2 * 2].reshape(-1, 2) + base
        return rows[:, 0], rows[:, 1]

    def _walk(self) -> tuple[Addresses, Addresses]:
        """Find every record of .eh_frame one after the other."""
        section = self._elf.section(b".eh_frame")
        starts: list[int] = []
        records: list[int] = []
        segment = self._elf.segment_of(section[0]) if section is not None else None
        if section is not None and segment is not None:
            at, end = section[0], min(section[0] + section[1], segment.end)
            while at + 8 <= end:
                length = int.from_bytes(self._elf.read(at, 4), "little")
                if length == 0xFFFF_FFFF:
                    break  # the 64-bit form is not used on x86-64
                if length and (frame := self._fde_or_none(at)) is not None:
                    starts.append(frame.start)
                    records.append(at)
                at += 4 + length
        return np.array(starts, dtype=np.int64), np.array(records, dtype=np.int64)

    def _fde_or_none(self, record: int) -> Frame | None:
        try:
            return self._fde(record)
        except _MalformedError:
            return None

    def _record(self, record: int) -> _Reader:
        length = int.from_bytes(self._elf.read(record, 4), "little")
        if not 4 <= length <= _MAX_FDE:
            raise _MalformedError("record length")
        return _Reader(self._elf.read(record + 4, length), record + 4)

    def _fde(self, record: int) -> Frame:
        reader = self._record(record)
        distance = reader.number("<I")
        if distance == 0:
            raise _MalformedError("a CIE")
        cie = self._cie(record + 4 - distance)
        start = reader.pointer(cie.pointer)
        size = reader.pointer(cie.pointer & 0x0F)
        lsda = 0
        if cie.augmented:
            reader.leb()
            if cie.lsda != _PE_OMIT:
                lsda = reader.pointer(cie.lsda)
        if cie.signal:
            # glibc starts the FDE of its restorer one byte early, so that unwinders that look up `pc - 1` find it.
            start, size = start + 1, size - 1
        if start <= 0 or size <= 0:
            raise _MalformedError("empty range")
        return Frame(start, start + size, lsda, cie.signal)

    def _cie(self, record: int) -> _Cie:
        if record not in self._cies:
            self._cies[record] = None
            self._cies[record] = self._read_cie(self._record(record))
        cie = self._cies[record]
        if cie is None:
            raise _MalformedError("broken CIE")
        return cie

    @staticmethod
    def _read_cie(reader: _Reader) -> _Cie:
        if reader.number("<I") != 0:
            raise _MalformedError("not a CIE")
        version = reader.number("<B")
        end = reader.data.find(b"\0", reader.at)
        augmentation = reader.data[reader.at : max(end, reader.at)]
        reader.at = end + 1
        reader.leb()
        reader.leb(signed=True)
        if version == 1:
            reader.number("<B")
        else:
            reader.leb()
        pointer, lsda = 0, _PE_OMIT
        if augmentation.startswith(b"z"):
            reader.leb()
        for letter in augmentation[1:] if augmentation.startswith(b"z") else b"":
            if letter == ord("R"):
                pointer = reader.number("<B")
            elif letter == ord("L"):
                lsda = reader.number("<B")
            elif letter == ord("P"):
                encoding = reader.number("<B")
                reader.pointer(encoding)
            elif letter != ord("S"):
                raise _MalformedError("unknown augmentation")
        if pointer & _PE_INDIRECT:
            raise _MalformedError("indirect function start")
        return _Cie(pointer, lsda, augmentation.startswith(b"z"), b"S" in augmentation)

    def _lsda(self, frame: Frame) -> list[int]:
        reader = _Reader(self._elf.read(frame.lsda, _MAX_FDE), frame.lsda)
        encoding = reader.number("<B")
        base = frame.start if encoding == _PE_OMIT else reader.pointer(encoding)
        if reader.number("<B") != _PE_OMIT:
            reader.leb()
        encoding = reader.number("<B")
        size = reader.leb()
        end = reader.at + size
        pads = []
        while reader.at < end:
            reader.pointer(encoding)
            reader.pointer(encoding)
            pad = reader.pointer(encoding)
            reader.leb()
            if pad:
                pads.append(base + pad)
        return pads
