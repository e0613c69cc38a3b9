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


@dataclass(frozen=True, slots=True)
class LeftSite:
    """A real `syscall` instruction that keeps taking the trap path, and why."""

    site: int
    reason: str


@dataclass(frozen=True, slots=True)
class FilePlan:
    """All that is known about the `syscall` sites of one file.

    `raw` counts the byte pairs `0f 05` in executable segments, `rejected` says why some of them are no
    instructions of a known function; the others are `sites`, each either in `records` or in `left`.
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
        return len(self.records) + len(self.left)

    @property
    def by_technique(self) -> dict[Technique, int]:
        """Number of records of each technique, all four named."""
        counts = Counter(record.technique for record in self.records)
        return {technique: counts[technique] for technique in Technique}

    @property
    def left_by_reason(self) -> dict[str, int]:
        """Number of sites left to the trap path, by reason."""
        return dict(Counter(left.reason for left in self.left))
