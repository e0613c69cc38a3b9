"""Proves of each patch of a file that the patched program does what the unpatched one does."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compat.analysis import Instruction, SiteRecord, Technique, plan_patches
from compat.analysis.decode import Line, ends_flow, is_flow, operation, sweep
from compat.analysis.elf import ElfFile
from tools.patches.apply import Patched, apply_plan
from tools.patches.model import ENTRIES, JUMP, SITE, Patch, Violation
from tools.patches.survey import Survey, survey

_RIP = re.compile(r"\[rip ([+-]) (\w+)\]")
_SITES = {instruction.name.lower() for instruction in Instruction}


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at in one file, and what is wrong."""

    path: str
    records: tuple[SiteRecord, ...]
    violations: tuple[Violation, ...]
    left: int = 0
    instructions: int = 0
    branches: int = 0
    pointers: int = 0
    table_entries: int = 0
    seconds: float = 0.0


def prove(path: Path, records: tuple[SiteRecord, ...] | None = None) -> Proof:
    """Check the planner's own plan, or `records` in its place."""
    began = time.perf_counter()
    left = 0
    if records is None:
        plan = plan_patches(path)
        records, left = plan.records, len(plan.left)
    if not records:
        return Proof(str(path), records, (), left, seconds=time.perf_counter() - began)
    with ElfFile(path) as elf:
        patched, violations = apply_plan(elf, records)
        patches = list(patched.patches.values())
        seen = survey(elf, patches)
        for trampoline, patch in patched.patches.items():
            found = [*_whole(elf, patch, seen), *_entered(patch, seen), *_rewritten(patched, patch, trampoline)]
            violations += [Violation(patch.record.site, what) for what in found]
        violations += _untouched(elf, patched)
    return Proof(
        path=str(path),
        records=records,
        violations=tuple(violations),
        left=left,
        instructions=seen.instructions,
        branches=seen.branches,
        pointers=seen.pointers,
        table_entries=seen.table_entries,
        seconds=time.perf_counter() - began,
    )


def _whole(elf: ElfFile, patch: Patch, seen: Survey) -> list[str]:
    """The window is made of whole instructions, and those that move may."""
    at = patch.start
    found = []
    while at < patch.end:
        line = seen.kept.get(at)
        if line is None:
            return [f"no instruction begins at {at:#x}, in the window or at its start"]
        if at != patch.site and (is_flow(line) or ends_flow(line) or operation(line) in _SITES):
            found.append(f"{line[2]} at {at:#x} cannot move")
        at += line[1]
    if at != patch.end:
        found.append(f"the window's end {patch.end:#x} cuts an instruction")
    if patch.site not in seen.kept:
        found.append("the site is within an instruction")
    if patch.record.technique is Technique.MOV and elf.read(patch.start, 1) != b"\xb8":
        found.append("no mov before it")
    return found


def _entered(patch: Patch, seen: Survey) -> list[str]:
    """Nothing leads into the window, nor to padding that became a jump."""
    found = [f"{seen.entries[at]} leads to {at:#x}, in the window" for at in patch.closed if at in seen.entries]
    if patch.pad is None:
        return found
    idle = seen.idle_from.get(patch.pad)
    if idle is None or any(seen.idle_from.get(at) != idle for at in range(patch.pad, patch.pad + JUMP)):
        return [*found, f"the pad {patch.pad:#x} is no padding that nothing runs into"]
    doors = [at for at in range(idle, patch.pad + JUMP) if at in seen.entries]
    return [*found, *(f"{seen.entries[at]} leads to {at:#x}, in the pad or right before it" for at in doors)]


def _rewritten(patched: Patched, patch: Patch, trampoline: int) -> list[str]:
    """The way through the patched bytes: jump, displaced instructions that mean the same, the call, the way back."""
    door = patch.site if patch.record.technique in (Technique.HOP, Technique.AFTER) else patch.start
    first = _decode(patched, door, SITE if patch.pad is not None else JUMP)
    if patch.pad is not None:
        if _texts(first) != [("jmp", hex(patch.pad))]:
            return [f"the hop reads {_texts(first)}"]
        first = _decode(patched, patch.pad, JUMP)
    if _texts(first) != [("jmp", hex(trampoline))]:
        return [f"the jump to the trampoline reads {_texts(first)}"]
    low, high = patch.displaced
    moved = _texts(sweep(patched.elf.read(low, high - low), low))
    after = patch.site + SITE
    entry = ENTRIES[patch.record.instruction]
    way_in = ("jmp", f"qword ptr gs:[{hex(entry.offset) if entry.offset > 9 else entry.offset}]")
    size = high - low + 15
    if patch.record.technique is Technique.AFTER:
        wanted = [("lea", f"{entry.register}, [{trampoline + 15:#x}]"), way_in, *moved, ("jmp", hex(patch.end))]
        size += JUMP
    else:
        wanted = [*moved, ("lea", f"{entry.register}, [{after:#x}]"), way_in]
    seen = _texts(_decode(patched, trampoline, size))
    return [] if seen == wanted else [f"the trampoline reads {seen}, not {wanted}"]


def _untouched(elf: ElfFile, patched: Patched) -> list[Violation]:
    """Outside windows and pads no byte differs."""
    for patch in patched.patches.values():
        for low, high in patch.taken:
            patched.write(patch, low, elf.read(low, high - low))
    differs = [start for start, code in patched.code.items() if elf.read(start, len(code)) != bytes(code)]
    return [Violation(0, f"bytes outside the windows of the segment at {start:#x} changed") for start in differs]


def _decode(patched: Patched, address: int, size: int) -> list[Line]:
    return list(sweep(patched.read(address, size), address))


def _texts(lines: Iterable[Line]) -> list[tuple[str, str]]:
    """Instructions with rip-relative operands as the addresses that they mean."""
    return [(line[2], _absolute(line)) for line in lines]


def _absolute(line: Line) -> str:
    match = _RIP.search(line[3])
    if match is None:
        return line[3]
    address = line[0] + line[1] + int(match[1] + match[2], 0)
    return f"{line[3][: match.start()]}[{address:#x}]{line[3][match.end() :]}"
