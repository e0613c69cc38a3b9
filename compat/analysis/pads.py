"""Technique 3 needs somewhere to jump: five bytes of alignment padding that nothing executes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compat.analysis.decode import Code, ends_flow, is_padding, sweep
from compat.analysis.elf import ElfFile
from compat.analysis.functions import Function, Functions
from compat.analysis.sites import Site
from compat.analysis.windows import JUMP, IsTarget

_FUNCTION_ALIGNMENT = 16
_BLOCK_ALIGNMENT = 8
_MAX_PADDING = 256

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Padding:
    """What a site reaches of some padding: `low` to `end`. What jumps into it, from `start` on, runs on to its end."""

    start: int
    low: int
    end: int


class Pads:
    """Padding near a site. `is_resolved` tells whether all jumps within a function are known."""

    def __init__(self, elf: ElfFile, functions: Functions, is_resolved: Callable[[Function], bool]) -> None:
        self._elf = elf
        self._functions = functions
        self._is_resolved = is_resolved

    def near(self, site: Site) -> list[Padding]:
        """The unreachable padding that a `jmp rel8` in place of the site reaches, nearest first."""
        low, high = reach(site)
        found = list(self._inner(site.function))
        for start in self._functions.starts_near(low, high + _MAX_PADDING):
            found.extend(self._outer(start))
            function = self._functions.at(start)
            found.extend(self._inner(function) if function is not None else ())
        clipped = {Padding(start, max(start, low), min(end, high)) for start, end in found}
        return sorted(
            (padding for padding in clipped if padding.end - padding.low >= JUMP),
            key=lambda padding: (abs(padding.low - site.address), padding.low, padding.end),
        )

    def _inner(self, function: Function) -> Iterator[Range]:
        """Padding between a function's blocks: after a jump or return, before an aligned instruction."""
        if not function.code.complete or not self._is_resolved(function):
            return
        start: int | None = None
        reachable = True
        for line in function.code.lines:
            if is_padding(line) and not reachable:
                start = line[0] if start is None else start
                continue
            if start is not None and line[0] % _BLOCK_ALIGNMENT == 0:
                yield start, line[0]
            start = None
            reachable = not ends_flow(line)

    def _outer(self, start: int) -> Iterator[Range]:
        """The padding that ends where an aligned function starts, if the code before it cannot run into it."""
        before = self._functions.before(start) if start % _FUNCTION_ALIGNMENT == 0 else None
        end = _executed_end(before.code) if before is not None else None
        if end is None or not end < start <= end + _MAX_PADDING:
            return
        at = end
        for line in sweep(self._elf.read(end, start - end), end):
            if not is_padding(line):
                return
            at = line[0] + line[1]
        if at == start:
            yield end, start


def reach(site: Site) -> Range:
    """The bytes that a pad for the site may occupy."""
    after = site.address + 2
    return max(site.segment.vaddr, after - 128), min(site.segment.end, after + 127 + JUMP)


def choose_pad(paddings: list[Padding], used: set[int], is_target: IsTarget) -> int | None:
    """Five free bytes that nothing jumps to, and that nothing runs into from padding before them."""
    for padding in paddings:
        targets = (byte for byte in range(padding.start, padding.end) if is_target(byte))
        end = next(targets, padding.end)
        for at in range(padding.low, end - JUMP + 1):
            if used.isdisjoint(range(at, at + JUMP)):
                return at
    return None


def _executed_end(code: Code) -> int | None:
    """Where a function's last real instruction ends, if nothing runs on from there."""
    if not code.complete:
        return None
    for line in reversed(code.lines):
        if not is_padding(line):
            return line[0] + line[1] if ends_flow(line) else None
    return None
