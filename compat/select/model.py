"""What the user asks for, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Margin(Enum):
    """What an image holds beyond the calls of a trace."""

    NONE = "none"
    COMPONENT = "component"
    """The other calls of the components of which the trace used one."""
    REACH = "reach"
    """Whatever static analysis finds."""


class Uplinks(Enum):
    """Which ways out of the guest the image holds, if it has sockets."""

    USER = "user"
    TAP = "tap"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class SelectRequest:
    """`include` and `exclude` hold names, and components as `@NAME`; `everything` overrides analysis and profile."""

    everything: bool = False
    profile: Path | None = None
    margin: Margin = Margin.COMPONENT
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    uplinks: Uplinks = Uplinks.ALL


@dataclass(frozen=True, slots=True)
class Selection:
    """`method`: all, analysis, profile. `notes` tell the user why more is kept than was asked."""

    method: str
    calls: frozenset[str]
    of: int
    """So many calls have handlers."""
    parts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
