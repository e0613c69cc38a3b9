"""Finding the real instructions among the byte pairs that look like them: `0f 05` is `syscall`, `0f a2` is `cpuid`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from compat.analysis.decode import Code, direct_target, ends_flow
from compat.analysis.elf import ElfFile, Segment
from compat.analysis.functions import Function, Functions
from compat.analysis.model import Instruction

# `mov $15,%rax` or `mov $15,%eax` before the `syscall`: unwinders and debuggers know signal frames by these bytes.
RESTORERS = (b"\x48\xc7\xc0\x0f\x00\x00\x00", b"\xb8\x0f\x00\x00\x00")
_MAX_LOOK_BACK = 64


@dataclass(frozen=True, slots=True)
class Site:
    """A real instruction."""

    instruction: Instruction
    address: int
    segment: Segment
    function: Function
    line: int
    """Its number among the function's instructions."""

    @property
    def code(self) -> Code:
        """The decoded function."""
        return self.function.code


def raw_pairs(elf: ElfFile, instruction: Instruction) -> Iterator[tuple[Segment, int]]:
    """Addresses of all pairs in executable segments."""
    for segment in elf.segments:
        if segment.executable:
            at = segment.offset - 1
            while (at := elf.find(instruction.code, at + 1, segment.offset + segment.size)) >= 0:
                yield segment, at - segment.offset + segment.vaddr


def find_sites(elf: ElfFile, functions: Functions, instruction: Instruction) -> tuple[list[Site], Counter[str], int]:
    """The real sites in order, why the other pairs are none, and the number of pairs."""
    sites = []
    rejected: Counter[str] = Counter()
    raw = 0
    for segment, address in raw_pairs(elf, instruction):
        raw += 1
        found = "in code with relocations" if elf.relocates_code else _site(functions, instruction, segment, address)
        if isinstance(found, Site):
            sites.append(found)
        else:
            rejected[found] += 1
    return sites, rejected, raw


def has_restorer_bytes(elf: ElfFile, site: Site) -> bool:
    """Whether the site returns from a signal handler by the bytes that unwinders look for."""
    before = elf.read(site.address - 7, 7)
    return any(before.endswith(restorer) for restorer in RESTORERS)


def _site(functions: Functions, instruction: Instruction, segment: Segment, address: int) -> Site | str:
    if segment.writable:
        return "in writable code"
    function = functions.at(address)
    if function is None:
        return "in no known function"
    if not function.code.complete:
        return "in a function that does not decode"
    line = function.code.index.get(address)
    if line is None:
        return "within an instruction"
    if function.swept and not _sets_rax(function.code, line):
        return "in unlisted code, without a number in rax"
    return Site(instruction, address, segment, function, line)


def _sets_rax(code: Code, line: int, jumps: int = 2) -> bool:
    """Whether something on the way to the site, jumps to it included, loads a number into rax."""
    for number in range(line - 1, max(0, line - _MAX_LOOK_BACK) - 1, -1):
        if ends_flow(code.lines[number]):
            block = {before[0] for before in code.lines[number + 1 : line + 1]}
            sources = [index for index, source in enumerate(code.lines) if direct_target(source) in block]
            return jumps > 0 and any(_sets_rax(code, source, jumps - 1) for source in sources)
        if code.lines[number][3].partition(", ")[0] in ("eax", "rax"):
            return True
    return False
