"""What to wrap. Apart from the wrapping itself, so that the command line can check its options without loading that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compat.program import Program
from compat.select.model import SelectRequest


@dataclass(frozen=True, slots=True)
class Addition:
    """`--add HOST[:GUEST]`."""

    host: str
    guest: str


@dataclass(frozen=True, slots=True)
class WrapRequest:
    program: Program
    output: Path
    args: Sequence[str] = ()
    env: Sequence[str] = ()
    cwd: str | None = None
    additions: Sequence[Addition] = ()
    standalone: bool = False
    keep_ids: bool = False
    lean: bool = False
    symbols: bool = False
    describe: bool = True
    """With a manifest, which `compat inspect` reads."""
    select: SelectRequest = field(default_factory=lambda: SelectRequest(everything=True))
