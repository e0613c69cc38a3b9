"""The table of system calls that the build put into the package."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from compat.errors import InternalError

LEVELS = {
    "full": "as Linux does it",
    "partial": "with the limits that the note names",
    "stub": "a fixed answer",
    "refused": "deliberately not provided",
    "missing": "not provided yet (ENOSYS)",
}

WITH_HANDLER = frozenset({"full", "partial", "stub"})


@dataclass(frozen=True, slots=True)
class Call:
    """One row."""

    nr: int
    name: str
    component: str
    level: str
    note: str

    @property
    def has_handler(self) -> bool:
        return self.level in WITH_HANDLER


def read_table(path: Path) -> list[Call]:
    """The rows by number."""
    try:
        with path.open("rb") as file:
            rows = tomllib.load(file)["call"]
        calls = [Call(row["nr"], row["name"], row["component"], row["level"], row.get("note", "")) for row in rows]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InternalError(f"cannot read the table {path}: {error}") from error
    unknown = {call.level for call in calls} - LEVELS.keys()
    if unknown:
        raise InternalError(f"{path}: unknown level {', '.join(sorted(unknown))}")
    return sorted(calls, key=lambda call: call.nr)
