"""Code that no table describes: musl has neither unwind tables nor symbols for its internal functions.

A gap between known functions is accepted as code only as a whole: it must be large or part of a section that no
table describes (small gaps among described functions are where tables of constants hide), decode from end to end
into instructions that compilers emit, and every direct jump and call within it must meet an instruction. Data does
not pass that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compat.analysis.decode import Budget, Line, direct_target, is_plausible, meets, operation, sweep
from compat.analysis.eh_frame import Frames
from compat.analysis.elf import Addresses, ElfFile

_MIN_GAP = 2048
_MAX_GAP = 4 << 20
# Haskell programs, which have no tables, take an eighth of it.
_MAX_SWEPT = 64 << 20
_MAX_ROUNDS = 12
_MOSTLY = 10
_LOOK_BACK = 4
_FILLER = bytes(16)


@dataclass(frozen=True, slots=True)
class _Gap:
    """An accepted gap, cut at every function start seen."""

    start: int
    end: int
    cuts: Addresses


class Gaps:
    """The ranges of executable segments outside all known functions."""

    def __init__(self, elf: ElfFile, frames: Frames, go: tuple[Addresses, Addresses]) -> None:
        self._elf = elf
        self._frames = frames
        self._go = go
        self._known: dict[int, _Gap | None] = {}
        self._budget = Budget(_MAX_SWEPT)

    @property
    def starts_seen(self) -> Addresses:
        """Function starts within the gaps looked at so far."""
        cuts = [gap.cuts for gap in self._known.values() if gap is not None]
        return np.sort(np.concatenate(cuts)) if cuts else np.zeros(0, dtype=np.int64)

    def find(self, address: int) -> tuple[int, int] | None:
        """The function that holds the address, if its gap is code."""
        outer = self._section(address)
        start, end = self._range(address, *outer)
        if not start <= address < end:
            return None
        if start not in self._known:
            wanted = end - start >= _MIN_GAP or self._is_mostly_unlisted(*outer)
            self._known[start] = self._examine(start, end) if wanted and end - start <= _MAX_GAP else None
        gap = self._known[start]
        if gap is None:
            return None
        index = int(np.searchsorted(gap.cuts, address, side="right")) - 1
        cuts = [*gap.cuts.tolist(), gap.end]
        return cuts[index], cuts[index + 1]

    def _section(self, address: int) -> tuple[int, int]:
        """The section around an address when there are sections, else its segment."""
        segment = self._elf.segment_of(address)
        if segment is None:
            return 0, 0
        start, end = segment.vaddr, segment.end
        for row in self._elf.sections:
            if int(row["addr"]) and int(row["addr"]) <= address < int(row["addr"]) + int(row["size"]):
                start, end = max(start, int(row["addr"])), min(end, int(row["addr"]) + int(row["size"]))
        return start, end

    def _is_mostly_unlisted(self, start: int, end: int) -> bool:
        """Whether known functions make up next to nothing of a section."""
        first, last = np.searchsorted(self._go[0], [start, end])
        left = (end - start) // _MOSTLY - int(np.sum(self._go[1][first:last] - self._go[0][first:last]))
        first, last = np.searchsorted(self._frames.starts, [start, end])
        for number in range(int(first), int(last)):
            frame = self._frames.at(number)
            left -= frame.end - frame.start if frame is not None else 0
            if left < 0:
                break
        return left >= 0

    def _range(self, address: int, start: int, end: int) -> tuple[int, int]:
        """The gap around an address within [start, end)."""
        go_starts, go_ends = self._go
        index = int(np.searchsorted(self._frames.starts, address, side="right"))
        go_index = int(np.searchsorted(go_starts, address, side="right"))
        near = (self._frames.at(number) for number in range(max(0, index - _LOOK_BACK), index))
        before = [frame.end for frame in near if frame is not None] + go_ends[:go_index][-1:].tolist()
        after = self._frames.starts[index : index + 1].tolist() + go_starts[go_index : go_index + 1].tolist()
        return max(start, *before, start), min(end, *after, end)

    def _examine(self, start: int, end: int) -> _Gap | None:
        code = self._elf.read(start, end - start)
        if code.endswith(_FILLER):
            code = code.rstrip(b"\0")
        end = start + len(code)
        table = self._elf.function_symbols
        symbols = np.concatenate([table["value"], (table["value"] + table["size"])[table["size"] > 0]])
        cuts = {start, *symbols[(symbols >= start) & (symbols < end)].tolist()}
        for _ in range(_MAX_ROUNDS):
            self._budget.spend(len(code))
            lines = _sweep_pieces(code, start, sorted(cuts))
            if lines is None:
                return None
            index = {line[0]: number for number, line in enumerate(lines)}
            jumps, calls = _flow(lines, start, end)
            missed = {target for target in calls if target not in index}
            if not missed:
                if not all(meets(lines, index, target) for target in jumps):
                    return None
                return _Gap(start, end, np.array(sorted(cuts | calls), dtype=np.int64))
            cuts |= missed
        return None


def _sweep_pieces(code: bytes, base: int, cuts: list[int]) -> list[Line] | None:
    """Decode each piece from its own start; None as soon as anything is no plausible code."""
    lines: list[Line] = []
    for start, end in zip(cuts, [*cuts[1:], base + len(code)], strict=True):
        at = start
        for line in sweep(code[start - base : end - base], start):
            if not is_plausible(line):
                return None
            lines.append(line)
            at = line[0] + line[1]
        if at != end:
            return None
    return lines


def _flow(lines: list[Line], start: int, end: int) -> tuple[set[int], set[int]]:
    """Targets within the gap of direct jumps, and of direct calls."""
    jumps: set[int] = set()
    calls: set[int] = set()
    for line in lines:
        target = direct_target(line)
        if target is not None and start <= target < end:
            (calls if operation(line) == "call" else jumps).add(target)
    return jumps, calls
