"""Results on disk, by the contents of all files that went in."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Any

from compat.reach.model import CallUse, Certainty, Detail, Reach, Step, Unresolved

FORMAT = 1
"""Goes up with every change of how results are stored."""


def load(folder: Path, key: str) -> Reach | None:
    """A stored result; None when there is none or it cannot be read."""
    try:
        stored = json.loads(_path(folder, key).read_bytes())
        return Reach(
            calls={call.nr: call for call in map(_call, stored["calls"])},
            unresolved=tuple(Unresolved(**row) for row in stored["unresolved"]),
            unknown_files=dict(stored["unknown_files"]),
            paths={file: tuple(paths) for file, paths in stored["paths"].items()},
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def store(folder: Path, key: str, found: Reach) -> None:
    """Keeps a result; a cache that cannot be written is no reason to fail."""
    row = asdict(found) | {"calls": [asdict(call) for call in found.calls.values()]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".part", delete=False) as file:
            json.dump(row, file, default=_plain)
        os.replace(file.name, _path(folder, key))
    except OSError:
        return


def _plain(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    raise TypeError(type(value).__name__)


def _call(row: dict[str, Any]) -> CallUse:
    return CallUse(
        nr=row["nr"],
        certainty=Certainty(row["certainty"]),
        path=tuple(Step(**step) for step in row["path"]),
        sites=row["sites"],
        details=tuple(Detail(**detail) for detail in row["details"]),
    )


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.reach.json"
