"""Plans on disk, by content: the same library in the next image costs nothing."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compat.analysis.model import FilePlan, Instruction, LeftSite, SiteRecord, Technique

FORMAT = 5
"""Goes up with every change of what the planner finds or how it is stored."""


def load(folder: Path, sha256: str) -> FilePlan | None:
    """A stored plan; None when there is none or it cannot be read."""
    try:
        stored = json.loads(_path(folder, sha256).read_text())
        stored["records"] = tuple(_record(row) for row in stored["records"])
        stored["left"] = tuple(_left(row) for row in stored["left"])
        stored["rejected"] = tuple((str(reason), int(count)) for reason, count in stored["rejected"])
        return FilePlan(**stored)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def store(folder: Path, plan: FilePlan) -> None:
    """Keep a plan; a cache that cannot be written is no reason to fail."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
            json.dump(asdict(plan), file)
        os.replace(file.name, _path(folder, plan.sha256))
    except OSError:
        return


def _record(row: dict[str, int]) -> SiteRecord:
    technique, instruction = Technique(row.pop("technique")), Instruction(row.pop("instruction"))
    return SiteRecord(technique=technique, instruction=instruction, **row)


def _left(row: dict[str, Any]) -> LeftSite:
    return LeftSite(int(row["site"]), str(row["reason"]), Instruction(row["instruction"]))


def _path(folder: Path, sha256: str) -> Path:
    return folder / f"{sha256}.plan{FORMAT}.json"
