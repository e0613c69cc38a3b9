"""What static analysis says of a program and all code that it may load: plain frozen data.

Every system call that the program can make is in `Reach.calls`, or `Reach.unbounded` says why that cannot be promised;
then an image must keep everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Certainty(Enum):
    """How sure it is that the program makes the call."""

    CERTAIN = "certain"
    """Direct calls lead from the entry to the site, and its number is a constant."""
    OVER_APPROXIMATE = "over-approximate"
    """An indirect call or a set of possible values lies on the way: the program may never make it."""
    UNKNOWN = "unknown"
    """Only code that cannot be followed would make it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One function on the way to a site. `function` is `sub_HEX` (its file offset) where no symbol names it."""

    file: str
    function: str


@dataclass(frozen=True, slots=True)
class Detail:
    """A constant argument: `kind` is what it selects, such as `ioctl.request` or `socket.domain`."""

    kind: str
    value: int


@dataclass(frozen=True, slots=True)
class CallUse:
    """One system call. `path` leads from the program's entry to one site, the shortest way found."""

    nr: int
    certainty: Certainty
    path: tuple[Step, ...]
    sites: int
    details: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A reachable `syscall` instruction (or a call of a wrapper) whose number is not known."""

    file: str
    function: str
    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class Reach:
    """`calls` by number. `unknown_files` are not followed, with the reason; `paths` are names below /proc, /sys and
    /dev in the data of each file.
    """

    calls: dict[int, CallUse]
    unresolved: tuple[Unresolved, ...] = ()
    unknown_files: dict[str, str] = field(default_factory=dict)
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def unbounded(self) -> bool:
        """Whether calls beyond `calls` are possible."""
        return bool(self.unresolved or self.unknown_files)
