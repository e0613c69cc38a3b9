"""What the analysis says about a file: plain frozen data, no behaviour beyond counting."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum

from compat.errors import UnsupportedProgramError


class AnalysisError(UnsupportedProgramError):
    """The file is no x86-64 ELF file, or a stored plan is damaged."""


class Technique(IntEnum):
    """How a site becomes a jump; the values are those of the plan format."""

    MOV = 1
    BEFORE = 2
    HOP = 3
    AFTER = 4


class Instruction(IntEnum):
    """What becomes a jump; the values are those of the plan format, where they are added to the technique."""

    SYSCALL = 0
    CPUID = 0x10

    @property
    def code(self) -> bytes:
        """Its bytes, two for each."""
        return b"\x0f\xa2" if self is Instruction.CPUID else b"\x0f\x05"


INSTRUCTION_SIZE = 2
NR_UNKNOWN = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class SiteRecord:
    """One record of a patch plan, field for field as ARCHITECTURE.md ("Patch plans") lays it out."""

    site: int
    nr: int
    technique: Technique
    head: int
    tail: int
    rip_fix: int
    pad: int
    check: int
    instruction: Instruction = Instruction.SYSCALL


@dataclass(frozen=True, slots=True)
class LeftSite:
    """A real instruction that keeps taking the slower way, and why."""

    site: int
    reason: str
    instruction: Instruction = Instruction.SYSCALL


@dataclass(frozen=True, slots=True)
class FilePlan:
    """All that is known about the sites of one file.

    `raw` counts the byte pairs `0f 05` in executable segments, `rejected` says why some of them are no
    instructions of a known function; the others are `sites`, each either in `records` or in `left`. These two have
    the sites of the other instructions as well.
    """

    build_id: str
    sha256: str
    size: int
    raw: int
    records: tuple[SiteRecord, ...]
    left: tuple[LeftSite, ...]
    rejected: tuple[tuple[str, int], ...]
    seconds: float

    @property
    def sites(self) -> int:
        """Number of real `syscall` instructions found."""
        return self.patched(Instruction.SYSCALL) + sum(self.left_by_reason.values())

    def patched(self, instruction: Instruction) -> int:
        """How many sites of an instruction become jumps."""
        return sum(record.instruction is instruction for record in self.records)

    @property
    def by_technique(self) -> dict[Technique, int]:
        """Number of system calls patched by each technique, all four named."""
        calls = (record for record in self.records if record.instruction is Instruction.SYSCALL)
        counts = Counter(record.technique for record in calls)
        return {technique: counts[technique] for technique in Technique}

    @property
    def left_by_reason(self) -> dict[str, int]:
        """Number of system calls left to the trap path, by reason."""
        calls = (left for left in self.left if left.instruction is Instruction.SYSCALL)
        return dict(Counter(left.reason for left in calls))
