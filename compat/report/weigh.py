"""Lays what a program reaches beside the table of system calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from compat.reach.model import CallUse, Reach
from compat.report.model import Need, UsedPart
from compat.syscall_table import UNCOVERED, Call, Part, read_parts, read_table

# What the analysis calls arguments whose names in the table are those of the rows.
KINDS = {"fcntl.command": "fcntl.cmd", "futex.operation": "futex.op", "setsockopt.option": "setsockopt.name"}
OPTION_LEVEL, OPTION = "setsockopt.level", "setsockopt.name"
LEVEL_SHIFT = 32


def weigh(
    reach: Reach, table: Path, trace: Counter[str] | None = None, offered: frozenset[str] | None = None
) -> tuple[tuple[Need, ...], dict[str, int]]:
    """Each call that is reached with its row of the table, and what only the trace has.

    `offered`: what an image holds.
    """
    rows = {call.nr: call for call in read_table(table)}
    parts = read_parts(table)
    needs = []
    for use in sorted(reach.calls.values(), key=lambda use: use.nr):
        # A number that no Linux has: a program that probes, or a value that the analysis could not narrow down.
        call = rows.get(use.nr) or Call(use.nr, f"number {use.nr}", "none", "missing", "Linux has no such call")
        if offered is not None and call.has_handler and call.name not in offered:
            call = replace(call, level="missing", note=f"left out of this image (compat wrap --include {call.name})")
        used = None if trace is None else trace[call.name]
        needs.append(Need(call, use.certainty, use.sites, use.path, tuple(_parts(use, parts)), used))
    reached = {need.call.name for need in needs}
    beyond = {name: count for name, count in (trace or Counter()).items() if name not in reached}
    return tuple(needs), dict(sorted(beyond.items()))


def _parts(use: CallUse, parts: dict[str, Part]) -> Iterator[UsedPart]:
    """What the constant arguments stand for, each thing once."""
    seen = set()
    for kind, number in _selections(use, parts):
        for value in parts[kind].judge(number):
            if value not in seen:
                seen.add(value)
                yield UsedPart(kind, number, value)


def _selections(use: CallUse, parts: dict[str, Part]) -> Iterator[tuple[str, int]]:
    levels = [detail.value for detail in use.details if detail.kind == OPTION_LEVEL]
    for detail in use.details:
        kind = KINDS.get(detail.kind, detail.kind)
        if kind == OPTION and OPTION in parts:
            yield from ((OPTION, number) for number in _options(parts[OPTION], levels, detail.value))
        elif kind in parts:
            yield kind, detail.value


def _options(part: Part, levels: list[int], option: int) -> list[int]:
    """The socket options that a number can mean at the levels that are used; which goes with which is not known.

    So what is not covered counts only if nothing else can be meant.
    """
    possible = [number for level in levels if (number := level << LEVEL_SHIFT | option) in part.values]
    covered = [number for number in possible if part.values[number].level not in UNCOVERED]
    return covered or possible
