"""One sweep over all code of the unpatched file: where instructions begin, and where each may lead.

This shares the function bounds with the planner but not its search for targets, which reads jumps at every byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from compat.analysis.decode import Line, direct_target, ends_flow, is_padding, operation, referenced_address, sweep
from compat.analysis.elf import Addresses, ElfFile, Segment
from compat.analysis.functions import Functions
from tools.patches.model import Patch

PADDING = 256
_NUMBER = re.compile(r"(?<!rip \+ )(?<!- )0x[0-9a-f]{5,}")
_TABLE_STEP = 4096


@dataclass
class Survey:
    """What was seen in the watched addresses, and figures."""

    watched: set[int]
    kept: dict[int, Line] = field(default_factory=dict)
    """The instructions there."""
    entries: dict[int, str] = field(default_factory=dict)
    """Addresses there that something leads to, and what."""
    idle_from: dict[int, int] = field(default_factory=dict)
    """Padding there that nothing runs into, and where that padding begins."""
    tables: set[int] = field(default_factory=set)
    numbers: dict[int, str] = field(default_factory=dict)
    """Constants in the code of a program at a fixed address: some are addresses."""
    instructions: int = 0
    branches: int = 0
    pointers: int = 0
    table_entries: int = 0

    def enter(self, address: int, what: str) -> None:
        if address in self.watched:
            self.entries.setdefault(address, what)

    def enter_start(self, address: int, what: str) -> None:
        """For what may be no address at all: a real one is that of an instruction."""
        if address in self.kept:
            self.enter(address, what)


def survey(elf: ElfFile, patches: list[Patch]) -> Survey:
    """Look at the whole file once."""
    watched: set[int] = set()
    for patch in patches:
        watched.update(range(patch.start, patch.end + 1))
        if patch.pad is not None:
            watched.update(range(patch.pad - PADDING, patch.pad + 5))
    found = Survey(watched)
    functions = Functions(elf)
    own = [function for patch in patches if (function := functions.at(patch.site)) is not None]
    starts = [elf.function_symbols["value"], functions.frames.starts, functions.go.starts]
    starts.append(np.array([function.code.start for function in own], dtype=np.int64))
    cuts = np.unique(np.concatenate(starts))
    for segment in elf.segments:
        if segment.executable:
            _sweep_segment(elf, segment, cuts, found)
    _stated(elf, [*starts, elf.symbols["value"], elf.pointers, np.array([elf.entry], dtype=np.int64)], found)
    for function in own:
        for pad in functions.landing_pads(function) or ():
            found.enter(pad, "a landing pad of exceptions")
    _jump_tables(elf, found)
    for number, what in found.numbers.items():
        found.enter_start(number, what)
    return found


def _sweep_segment(elf: ElfFile, segment: Segment, cuts: Addresses, found: Survey) -> None:
    inner = cuts[(cuts > segment.vaddr) & (cuts < segment.end)].tolist()
    for start, end in zip([segment.vaddr, *inner], [*inner, segment.end], strict=True):
        at = start
        while at < end:
            at = _sweep_piece(elf, at, end, found)
            # Data among the code: on with the next byte.
            at += at < end


def _sweep_piece(elf: ElfFile, start: int, end: int, found: Survey) -> int:
    """Up to the first bytes that are no instruction; their address."""
    reachable, idle = True, start
    absolute = not elf.is_position_independent
    at = start
    for line in sweep(elf.read(start, end - start), start):
        found.instructions += 1
        if is_padding(line):
            if not reachable:
                found.idle_from.update((byte, idle) for byte in range(at, at + line[1]) if byte in found.watched)
        else:
            reachable = not ends_flow(line)
            idle = at + line[1]
        if at in found.watched:
            found.kept[at] = line
        target = direct_target(line)
        if target is not None:
            found.branches += 1
            found.enter(target, f"{line[2]} at {at:#x}")
        elif absolute and "0x" in line[3]:
            for number in _NUMBER.findall(line[3]):
                found.numbers.setdefault(int(number, 16), f"{line[2]} at {at:#x}")
        if operation(line) == "lea" and (named := referenced_address(line)) is not None:
            found.tables.add(named)
            found.enter(named, f"lea at {at:#x}")
        at += line[1]
    return at


def _stated(elf: ElfFile, stated: list[Addresses], found: Survey) -> None:
    if elf.has_unrecorded_pointers:
        for segment in elf.segments:
            view = elf.view(segment)[-segment.vaddr % 8 :]
            stated.append(view[: len(view) // 8 * 8].view("<i8"))
    watched = np.array(sorted(found.watched), dtype=np.int64)
    for addresses in stated:
        found.pointers += len(addresses)
        for address in addresses[np.isin(addresses, watched)].tolist():
            found.enter(address, "a symbol, function start or pointer")


def _jump_tables(elf: ElfFile, found: Survey) -> None:
    """Tables of offsets from their own start, each as far as its entries lead to code."""
    code = [segment for segment in elf.segments if segment.executable]
    for table in found.tables:
        at = table
        while True:
            data = elf.read(at, 4 * _TABLE_STEP)
            entries = np.frombuffer(data[: len(data) // 4 * 4], dtype="<i4").astype(np.int64) + table
            good = np.zeros(len(entries), dtype=bool)
            for segment in code:
                good |= (entries >= segment.vaddr) & (entries < segment.end)
            size = len(entries) if good.all() else int(np.argmin(good))
            found.table_entries += size
            for entry in entries[:size].tolist():
                # What follows a table is read as well.
                found.enter_start(entry, f"the jump table at {table:#x}")
            if size < _TABLE_STEP:
                break
            at += 4 * _TABLE_STEP
