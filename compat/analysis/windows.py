"""What to overwrite at a site: techniques 1, 2 and 4 of ARCHITECTURE.md ("Patch plans")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compat.analysis.decode import Code, Detail, Line, constant_rax, detail, keeps_rax
from compat.analysis.elf import ElfFile
from compat.analysis.model import INSTRUCTION_SIZE, NR_UNKNOWN, Technique
from compat.analysis.sites import Site

JUMP = 5
"""Bytes of a `jmp rel32`."""
_MOV_EAX = 0xB8
_MAX_LOOK_BACK = 64


@dataclass(frozen=True, slots=True)
class Window:
    """The bytes [start, end) that a patch overwrites or covers, and how."""

    technique: Technique
    start: int
    end: int
    rip_fix: int = 0
    rip_end: int = 0


IsTarget = Callable[[int], bool]


class Windows:
    """Finds the window of one site. `is_target` tells whether anything may jump to an instruction."""

    def __init__(self, elf: ElfFile, is_target: IsTarget) -> None:
        self._elf = elf
        self._is_target = is_target

    def before(self, site: Site, *, resolved: bool) -> Window | str:
        """Techniques 1 and 2, or the reason why neither works."""
        lines = site.code.lines
        if site.line and self._is_mov(lines[site.line - 1]):
            return Window(Technique.MOV, site.address - JUMP, site.address + INSTRUCTION_SIZE)
        first = self._first_before(site, site.address)
        if isinstance(first, str):
            return first
        moved = lines[first : site.line]
        if self._entered(site.code, moved, moved[1:]):
            return "jump into the instructions before it"
        if len(moved) > 1 and not resolved:
            return "unresolved indirect jump in the function"
        return self._moves(site, moved)

    def short(self, site: Site, *, resolved: bool) -> Window | None:
        """Technique 2 with a jump that ends in the site, to which nothing else may jump then."""
        lines = site.code.lines
        first = self._first_before(site, site.address + INSTRUCTION_SIZE)
        if isinstance(first, str) or not resolved:
            return None
        moved = lines[first : site.line]
        if self._entered(site.code, moved, lines[first + 1 : site.line + 1]):
            return None
        return self._moves(site, moved)

    def after(self, site: Site, *, resolved: bool) -> Window | str:
        """Technique 4, or the reason why it does not work."""
        if not resolved:
            return "unresolved indirect jump in the function"
        lines = site.code.lines
        last = site.line
        while (end := lines[last][0] + lines[last][1]) - site.address < JUMP:
            last += 1
            if last == len(lines):
                return "function ends right after it"
            if not self._details(lines[last]).movable:
                return f"{lines[last][2]} right after it"
        moved = lines[site.line + 1 : last + 1]
        if any(self._is_target(line[0]) or self._into(site.code, line) for line in moved):
            return "jump into the instructions after it"
        fix = self._rip_fix(moved, site.address + INSTRUCTION_SIZE)
        return Window(Technique.AFTER, site.address, end, *fix)

    def number(self, site: Site, window_start: int, *, resolved: bool) -> int:
        """What eax holds (the system-call number), where every way through the patched window leads to the same one."""
        for line in reversed(site.code.lines[max(0, site.line - _MAX_LOOK_BACK) : site.line]):
            if line[0] + line[1] <= window_start and (not resolved or self._is_target(line[0] + line[1])):
                return NR_UNKNOWN
            constant = constant_rax(line)
            if constant is not None:
                return constant
            if not keeps_rax(line):
                return NR_UNKNOWN
        return NR_UNKNOWN

    def _first_before(self, site: Site, end: int) -> int | str:
        """The line with which a jump that ends at `end` can begin, or the reason why there is none."""
        lines = site.code.lines
        first = site.line
        while end - lines[first][0] < JUMP:
            first -= 1
            if first < 0:
                return "function starts right before it"
            if not self._details(lines[first]).movable:
                return f"{lines[first][2]} right before it"
        return first

    def _entered(self, code: Code, moved: list[Line], inner: list[Line]) -> bool:
        """Whether anything may jump into one of `moved`, or to the start of one of `inner`."""
        return any(self._into(code, line) for line in moved) or any(self._is_target(line[0]) for line in inner)

    def _moves(self, site: Site, moved: list[Line]) -> Window:
        """Technique 2 by which `moved` go elsewhere."""
        start = moved[0][0]
        return Window(Technique.BEFORE, start, site.address + INSTRUCTION_SIZE, *self._rip_fix(moved, start))

    def _is_mov(self, line: Line) -> bool:
        return line[1] == JUMP and self._elf.read(line[0], 1) == bytes((_MOV_EAX,))

    def _details(self, line: Line) -> Detail:
        return detail(self._elf.read(line[0], line[1]), line[0])

    @staticmethod
    def _into(code: Code, line: Line) -> bool:
        """Whether code of the same function jumps into the instruction, past its `lock` prefix."""
        return not code.targets.isdisjoint(range(line[0] + 1, line[0] + line[1]))

    def _rip_fix(self, moved: list[Line], base: int) -> tuple[int, int]:
        """`rip_fix` and `rip_end` of the plan format.

        An instruction with such an operand is longer than a jump, so a window never needs two of them.
        """
        for line in moved:
            disp = self._details(line).rip_disp
            if disp is not None:
                return 1 + line[0] + disp - base, line[0] + line[1] - base
        return 0, 0
