"""What a report holds: plain frozen data, ready to be shown as text, JSON or HTML."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from compat.plans import PlanSummary
from compat.reach.model import Certainty, Step, Unresolved
from compat.syscall_table import UNCOVERED, Call, Value


class Word(Enum):
    """The verdict."""

    RUNS = "runs"
    PROBABLY = "probably runs"
    FAILS = "will not run"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks against a program, in words, and how it comes to that."""

    text: str
    calls: tuple[str, ...] = ()
    path: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    word: Word
    reasons: tuple[Reason, ...] = ()

    @property
    def line(self) -> str:
        """The verdict with its first reason, as the first line of a report has it."""
        if not self.reasons:
            return self.word.value
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        joint = ": " if self.word is Word.FAILS else ", but "
        return f"{self.word.value}{joint}{self.reasons[0].text}{more}"


@dataclass(frozen=True, slots=True)
class UsedPart:
    """A constant argument, what it stands for, and how well that is covered."""

    kind: str
    number: int
    value: Value


@dataclass(frozen=True, slots=True)
class Need:
    """A call that the program can reach. `used` counts it in the trace that the report is compared with."""

    call: Call
    certainty: Certainty
    sites: int
    path: tuple[Step, ...]
    parts: tuple[UsedPart, ...] = ()
    used: int | None = None

    @property
    def is_uncovered(self) -> bool:
        return self.call.level in UNCOVERED

    @property
    def uncovered_parts(self) -> tuple[UsedPart, ...]:
        return tuple(part for part in self.parts if part.value.level in UNCOVERED)


@dataclass(frozen=True, slots=True)
class Size:
    """What an image of the program would take, in bytes."""

    kernel: int
    root: int
    plans: int
    files: int

    @property
    def total(self) -> int:
        return self.kernel + self.root + self.plans


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of the kernel an image holds: so many calls of those that there are, and their components."""

    calls: int
    of: int
    components: tuple[str, ...]
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about one program. Without `needs` the program could not be looked at, as the verdict says."""

    program: str
    path: str
    verdict: Verdict
    interpreter: str = ""
    files: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    unknown_files: dict[str, str] = field(default_factory=dict)
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    plans: PlanSummary | None = None
    size: Size | None = None
    chosen: Chosen | None = None
    # Calls that the trace has and the analysis has not, with their counts.
    beyond: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def levels(self) -> Counter[str]:
        """Number of calls by level."""
        return Counter(need.call.level for need in self.needs)

    @property
    def is_compared(self) -> bool:
        return any(need.used is not None for need in self.needs)
