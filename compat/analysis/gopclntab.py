"""Function bounds of Go programs, from the run-time's own table.

Go writes no unwind tables; `.gopclntab` names every function start instead, and is there in stripped files too.
It is found by its magic, since stripping or packing may take the section names away.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from compat.analysis.elf import Addresses, ElfFile

_GO_1_2, _GO_1_16, _GO_1_18, _GO_1_20 = 0xFFFFFFFB, 0xFFFFFFFA, 0xFFFFFFF0, 0xFFFFFFF1
_MAGICS = (_GO_1_20, _GO_1_18, _GO_1_16, _GO_1_2)
_COMMON_MAGIC = bytes((0xFF, 0xFF, 0xFF, 0, 0, 1, 8))  # second byte on: zeros, instruction size 1, pointer size 8
_MAX_FUNCTIONS = 1 << 24
# Places that look like a table, or point to one. A program has a few, a hostile file may consist of them.
_MAX_CANDIDATES = 64

# Words of runtime.moduledata: pcHeader is the first, minpc and maxpc delimit the code, text is what the
# table's offsets count from (Go 1.26 no longer repeats it in the table).
_MODULE_WORDS, _MINPC, _MAXPC, _TEXT = 23, 20, 21, 22


def go_functions(elf: ElfFile) -> tuple[Addresses, Addresses]:
    """Starts and ends of all Go functions, empty for other programs. Ends include the padding that follows."""
    for table in islice(_tables(elf), _MAX_CANDIDATES):
        magic = int.from_bytes(elf.read(table, 4), "little")
        bounds = _functions(elf, table, magic)
        if bounds is not None:
            return bounds[:-1], bounds[1:]
    none = np.zeros(0, dtype=np.int64)
    return none, none


def _tables(elf: ElfFile) -> Iterator[int]:
    """Addresses at which something begins as the table does."""
    for segment in elf.segments:
        at = segment.offset
        while (at := elf.find(_COMMON_MAGIC, at + 1, segment.offset + segment.size)) >= 0:
            table = segment.vaddr + at - 1 - segment.offset
            if int.from_bytes(elf.read(table, 4), "little") in _MAGICS:
                yield table


def _functions(elf: ElfFile, table: int, magic: int) -> Addresses | None:
    """All function starts and the end of the last one; None when this is no such table."""
    head = elf.read(table, 8 * 9)
    if len(head) < 72:
        return None
    words = [int(word) for word in np.frombuffer(head, dtype="<u8")]
    count = words[1]
    if not 0 < count < _MAX_FUNCTIONS:
        return None
    if magic in (_GO_1_18, _GO_1_20):
        raw = elf.numbers(table + words[8], (count + 1) * 8, "<u4")[::2]
        base = _text_start(elf, table, words[3], raw) if len(raw) == count + 1 else None
    else:
        distance = words[6] if magic == _GO_1_16 else 16
        raw = elf.numbers(table + distance, (count + 1) * 16, "<i8")[::2]
        base = 0
    if len(raw) != count + 1 or base is None:
        return None
    bounds = raw + base
    segment = elf.segment_of(int(bounds[0]))
    if segment is None or not segment.executable or int(bounds[-1]) > segment.end:
        return None
    if bool(np.any(bounds[1:] < bounds[:-1])):
        return None
    return bounds


def _text_start(elf: ElfFile, table: int, stated: int, offsets: Addresses) -> int | None:
    """Address that the table's offsets count from."""
    if stated and elf.segment_of(stated) is not None:
        return stated
    for address in _words_equal_to(elf, table)[:_MAX_CANDIDATES]:
        words = [elf.word(address + 8 * index) for index in (_MINPC, _MAXPC, _TEXT)]
        if elf.segment_of(words[0]) is None:
            continue
        if words[0] == words[2] + int(offsets[0]) and words[1] == words[2] + int(offsets[-1]):
            return words[2]
    return None


def _words_equal_to(elf: ElfFile, value: int) -> list[int]:
    """Addresses of aligned pointers with a value, before or after relocation."""
    relocations = elf.relocations
    found = [int(row) for row in relocations[relocations["addend"] == value]["offset"]]
    for segment in elf.segments:
        skip = -segment.vaddr % 8
        view = elf.view(segment)[skip:]
        words = view[: len(view) // 8 * 8].view("<i8")
        found += [int(i) * 8 + skip + segment.vaddr for i in np.flatnonzero(words == value)]
    return found
