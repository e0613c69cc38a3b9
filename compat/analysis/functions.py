"""Which bytes are code, and of which function.

A site counts only inside a function that something vouches for: an FDE, Go's table, a symbol, control flow
that runs on from such a function, or (bodies of code without any table, as musl's) a sweep that is consistent
from end to end. Everything else may be data that happens to hold `0f 05`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compat.analysis.decode import Budget, Code, decode_function, ends_flow, is_flow, is_padding, sweep
from compat.analysis.eh_frame import Frame, Frames
from compat.analysis.elf import Addresses, ElfFile
from compat.analysis.gaps import Gaps
from compat.analysis.gopclntab import go_functions

_JOIN_LIMIT = 256
_MAX_FUNCTION = 1 << 20
# The largest programs take a twelfth of it.
_MAX_DECODED = 16 << 20


@dataclass(frozen=True, slots=True)
class Function:
    """A decoded function and what is known of it from outside its code."""

    code: Code
    frame: Frame | None
    swept: bool
    """No table vouches for it; its sites must look plausible on their own."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Sorted functions of one source."""

    starts: Addresses
    ends: Addresses

    def find(self, address: int) -> tuple[int, int] | None:
        """The range that holds an address."""
        index = int(np.searchsorted(self.starts, address, side="right")) - 1
        if index < 0 or address >= int(self.ends[index]):
            return None
        return int(self.starts[index]), int(self.ends[index])


class Functions:
    """Finds and decodes functions by address."""

    def __init__(self, elf: ElfFile) -> None:
        self._elf = elf
        self.frames = Frames(elf)
        self._budget = Budget(_MAX_DECODED)
        self._cache: dict[tuple[int, int], Function | None] = {}

    def at(self, address: int) -> Function | None:
        """The function that holds an address, or None where nothing vouches for code."""
        frame = self._frame(address)
        if frame is not None:
            return self._framed(frame, address)
        for bounds in (self.go, self.symbols):
            found = bounds.find(address)
            if found is not None:
                return self._plain(*found, swept=False)
        return self._joined(address) or self._swept(address)

    def before(self, start: int) -> Function | None:
        """The last function that starts before an address; it need not reach it. Mere padding is no function."""
        found = [self.at(start - 1)]
        index = int(np.searchsorted(self.frames.starts, start)) - 1
        frame = self.frames.at(index) if index >= 0 else None
        if frame is not None:
            found.append(self._plain(frame.start, frame.end, swept=False, frame=frame))
        for bounds in (self.go, self.symbols):
            index = int(np.searchsorted(bounds.starts, start)) - 1
            if index >= 0:
                found.append(self._plain(int(bounds.starts[index]), int(bounds.ends[index]), swept=False))
        known = [function for function in found if function and not all(map(is_padding, function.code.lines))]
        return max(known, key=lambda function: function.code.start, default=None)

    def landing_pads(self, function: Function) -> list[int] | None:
        """Where exceptions enter the function; None when that cannot be told."""
        return self.frames.landing_pads(function.frame) if function.frame is not None else []

    def starts_near(self, low: int, high: int) -> list[int]:
        """Known function starts in [low, high)."""
        found: set[int] = set()
        for starts in (self.frames.starts, self.go.starts, self.symbols.starts, self._gaps.starts_seen):
            first, last = np.searchsorted(starts, [low, high])
            found.update(int(start) for start in starts[first:last])
        return sorted(found)

    @cached_property
    def go(self) -> Bounds:
        """Go's functions."""
        return Bounds(*go_functions(self._elf))

    @cached_property
    def symbols(self) -> Bounds:
        """Sized function symbols; where they overlap the inner one wins for its own range."""
        table = self._elf.function_symbols
        table = table[(table["size"] > 0) & (table["size"] < _MAX_FUNCTION) & (table["value"] > 0)]
        order = np.lexsort((table["size"], table["value"]))
        starts, first = np.unique(table["value"][order], return_index=True)
        return Bounds(starts, starts + table["size"][order][first])

    @cached_property
    def _gaps(self) -> Gaps:
        return Gaps(self._elf, self.frames, (self.go.starts, self.go.ends))

    def _frame(self, address: int) -> Frame | None:
        index = int(np.searchsorted(self.frames.starts, address, side="right")) - 1
        frame = self.frames.at(index) if index >= 0 else None
        return frame if frame is not None and frame.start <= address < frame.end else None

    def _plain(self, start: int, end: int, *, swept: bool, frame: Frame | None = None) -> Function | None:
        if (start, end) not in self._cache:
            self._cache[start, end] = self._decode(start, end, swept=swept, frame=frame)
        return self._cache[start, end]

    def _decode(self, start: int, end: int, *, swept: bool, frame: Frame | None) -> Function | None:
        segment = self._elf.segment_of(start)
        if segment is None or not segment.executable or end > segment.end or end - start > _MAX_FUNCTION:
            return None
        self._budget.spend(end - start)
        return Function(decode_function(self._elf.read(start, end - start), start), frame, swept)

    def _framed(self, frame: Frame, address: int) -> Function | None:
        """An FDE's function; one that the previous FDE runs into begins there instead."""
        if address - frame.start < _JOIN_LIMIT:
            before = self._frame(frame.start - 1)
            if before is not None and before.end == frame.start and not before.signal:
                function = self._plain(before.start, before.end, swept=False, frame=before)
                if function is not None and _runs_on(function.code):
                    return self._plain(before.start, frame.end, swept=False, frame=before)
        return self._plain(frame.start, frame.end, swept=False, frame=frame)

    def _joined(self, address: int) -> Function | None:
        """Code that the FDE before it runs into: glibc ends clone's FDE right before its `syscall`."""
        frame = self._frame_before(address)
        if frame is None:
            return None
        function = self._plain(frame.start, frame.end, swept=False, frame=frame)
        if function is None or not _runs_on(function.code):
            return None
        index = int(np.searchsorted(self.frames.starts, frame.end))
        limit = frame.end + _JOIN_LIMIT
        if index < len(self.frames.starts):
            limit = min(limit, int(self.frames.starts[index]))
        end = frame.end
        for line in sweep(self._elf.read(frame.end, limit - frame.end), frame.end):
            end = line[0] + line[1]
            if ends_flow(line):
                break
        return self._plain(frame.start, end, swept=False, frame=frame) if address < end else None

    def _frame_before(self, address: int) -> Frame | None:
        index = int(np.searchsorted(self.frames.starts, address, side="right")) - 1
        frame = self.frames.at(index) if index >= 0 else None
        return frame if frame is not None and frame.end <= address < frame.end + _JOIN_LIMIT else None

    def _swept(self, address: int) -> Function | None:
        bounds = self._gaps.find(address)
        return self._plain(*bounds, swept=True) if bounds is not None else None


def _runs_on(code: Code) -> bool:
    """Whether execution passes the end of a function's known range."""
    if not code.lines or code.lines[-1][0] + code.lines[-1][1] != code.end:
        return False
    last = code.lines[-1]
    return not ends_flow(last) and not is_flow(last) and not is_padding(last)
