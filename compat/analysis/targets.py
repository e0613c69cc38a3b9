"""Every address that anything in the file might jump to.

No disassembly of the whole file: each byte offset of executable code is read as if a jump, call or `lea` began
there. That finds a superset of the real targets, and the few false ones only make the planner more careful.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compat.analysis.elf import Addresses, ElfFile, Segment

Bytes = npt.NDArray[np.uint8]
Hits = tuple[Addresses, Addresses]

_CHUNK = 4 << 20
_OVERLAP = 8
_MAX_TABLE = 4096


@dataclass(frozen=True, slots=True)
class Targets:
    """Possible jump targets within the ranges asked for."""

    stated: frozenset[int]
    """From symbols, tables, pointers and the like."""
    guessed: dict[int, list[int]]
    """Target to the addresses of the opcodes that would go there, if they are instructions."""


class Interest:
    """Address ranges whose targets matter."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        self._starts, self._ends = _merge(ranges)
        self.low = int(self._starts[0]) if len(self._starts) else 0
        self.high = int(self._ends[-1]) if len(self._ends) else 0

    def select(self, addresses: Addresses) -> npt.NDArray[np.bool_]:
        """Which of the addresses lie in a range."""
        inside: npt.NDArray[np.bool_] = (addresses >= self.low) & (addresses < self.high)
        near = addresses[inside]
        inside[inside] = near < self._ends[np.searchsorted(self._starts, near, side="right") - 1]
        return inside


def _merge(ranges: list[tuple[int, int]]) -> tuple[Addresses, Addresses]:
    """The same ranges, sorted and disjoint."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    starts, ends = zip(*merged, strict=True) if merged else ((), ())
    return np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)


def find_targets(elf: ElfFile, interest: Interest, starts: list[Addresses]) -> Targets:
    """Collect all possible targets within the ranges of interest; `starts` are known function starts."""
    stated = [elf.symbols["value"], elf.pointers, np.array([elf.entry], dtype=np.int64), *starts]
    guessed: dict[int, list[int]] = {}
    tables: set[int] = set()
    for segment in elf.segments:
        view = elf.view(segment)
        if elf.has_unrecorded_pointers:
            stated.extend(_words(view, segment, (8,) if elf.is_position_independent else (4, 8)))
        if not segment.executable:
            continue
        for base, chunk in _chunks(view, segment.vaddr):
            leas = _lea_hits(chunk, base)
            for sources, targets in (*_branch_hits(chunk, base), leas):
                keep = interest.select(targets)
                for source, target in zip(sources[keep].tolist(), targets[keep].tolist(), strict=True):
                    guessed.setdefault(target, []).append(source)
            tables.update(np.unique(leas[1]).tolist())
            if not elf.is_position_independent:
                stated.append(_absolute(chunk, interest))
    stated.append(_jump_tables(elf, np.array(sorted(tables), dtype=np.int64), interest))
    found: set[int] = set()
    for addresses in stated:
        found.update(addresses[interest.select(addresses)].tolist())
    return Targets(frozenset(found), guessed)


def table_entries(elf: ElfFile, table: int) -> list[int]:
    """First entry of a jump table at an address, read in either of the two usual forms."""
    relative = int.from_bytes(elf.read(table, 4), "little", signed=True) + table
    return [relative, elf.word(table)]


def _chunks(view: Bytes, base: int) -> Iterator[tuple[int, Bytes]]:
    for start in range(0, len(view), _CHUNK):
        yield base + start, view[start : start + _CHUNK + _OVERLAP]


def _rel32(chunk: Bytes, at: Addresses) -> Addresses:
    """The signed 32-bit numbers at unaligned positions."""
    return np.ndarray((max(0, len(chunk) - 3),), dtype="<i4", buffer=chunk, strides=(1,))[at].astype(np.int64)


def _positions(mask: npt.NDArray[np.bool_], chunk: Bytes, length: int) -> Addresses:
    """Where the mask is set and an instruction of that length still fits."""
    found = np.flatnonzero(mask).astype(np.int64)
    return found[found <= len(chunk) - length]


def _branch_hits(chunk: Bytes, base: int) -> Iterator[Hits]:
    """Jumps and calls: e8/e9 rel32, 0f 8x rel32, c7 f8 (xbegin) rel32, 7x/eb/e0-e3 rel8."""
    if len(chunk) < 2:
        return
    first, second = chunk[:-1], chunk[1:]
    at = _positions((chunk & 0xFE) == 0xE8, chunk, 5)
    yield at + base, at + base + 5 + _rel32(chunk, at + 1)
    two = ((first == 0x0F) & ((second & 0xF0) == 0x80)) | ((first == 0xC7) & (second == 0xF8))
    at = _positions(two, chunk, 6)
    yield at + base, at + base + 6 + _rel32(chunk, at + 2)
    at = _positions(((chunk & 0xF0) == 0x70) | (chunk == 0xEB) | ((chunk & 0xFC) == 0xE0), chunk, 2)
    yield at + base, at + base + 2 + chunk[at + 1].astype(np.int8).astype(np.int64)


def _lea_hits(chunk: Bytes, base: int) -> Hits:
    """`lea disp32(%rip), reg`: 8d with mod 00, r/m 101."""
    at = _positions((chunk[:-1] == 0x8D) & ((chunk[1:] & 0xC7) == 0x05), chunk, 6)
    return at + base, at + base + 6 + _rel32(chunk, at + 2)


def _absolute(chunk: Bytes, interest: Interest) -> Addresses:
    """Immediates and displacements that are addresses, in code that may contain them."""
    every = np.ndarray((max(0, len(chunk) - 3),), dtype="<u4", buffer=chunk, strides=(1,))
    found = every[(every >= interest.low) & (every < interest.high)].astype(np.int64)
    return np.unique(found)


def _words(view: Bytes, segment: Segment, sizes: tuple[int, ...]) -> Iterator[Addresses]:
    """Aligned pointers in data: vtables, jump tables, and RELR relocations, which have no other record."""
    for size in sizes:
        skip = -segment.vaddr % size
        aligned = view[skip : skip + max(0, len(view) - skip) // size * size]
        yield aligned.view(f"<i{size}")


def _jump_tables(elf: ElfFile, tables: Addresses, interest: Interest) -> Addresses:
    """Entries of all tables of 32-bit offsets from their own start, at any address that code mentions."""
    found: list[Addresses] = []
    code = [(segment.vaddr, segment.end) for segment in elf.segments if segment.executable]
    low, high = min(start for start, _ in code), max(end for _, end in code)
    for segment in elf.segments:
        view = elf.view(segment)
        if len(view) < 4:
            continue
        alive = tables[(tables >= segment.vaddr) & (tables < segment.end)]
        for step in range(_MAX_TABLE):
            at = alive + 4 * step - segment.vaddr
            alive, at = alive[at <= len(view) - 4], at[at <= len(view) - 4]
            if not len(alive):
                break
            entries = alive + _rel32(view, at)
            good = (entries >= low) & (entries < high)
            alive, entries = alive[good], entries[good]
            found.append(entries[interest.select(entries)])
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
