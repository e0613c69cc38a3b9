"""Runs a program with its patches and with an image whose plans are empty, and tells what differs."""

from __future__ import annotations

import mmap
import shlex
import shutil
import struct
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compat.analysis.plan_format import MAGIC
from compat.cli import cmd_run
from compat.diff.align import compare as compare_traces
from compat.diff.runs import Run, run_in_guest
from compat.errors import CompatError
from compat.inspection import inspect
from compat.wrap_request import Addition
from tools.verdicts.loads import DATA, STARTED

PAGE = 4096
_HEAD = struct.Struct("<8sII")
DEFAULTS: dict[str, Any] = {
    "mem": None,
    "cpus": 1,
    "env": (),
    "additions": (),
    "cwd": None,
    "publish": (),
    "net": None,
    "allow_net": (),
    "pcap": None,
    "platform": "kvm",
    "json_stats": None,
    "minimal": False,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of one command."""

    command: str
    status: int
    planned_files: int
    calls: tuple[int, int]
    steady: bool
    """Whether a second patched run made the same calls. If not, its calls tell nothing about the patches."""
    differences: tuple[str, ...]

    def text(self) -> str:
        found = "same" if not self.differences else "DIFFERS: " + "; ".join(self.differences)
        calls = f"{self.calls[0]} calls patched, {self.calls[1]} unpatched"
        calls += "" if self.steady else " (not compared, for they differ between patched runs as well)"
        return f"{self.command}: {self.planned_files} files with patches, status {self.status}, {calls}: {found}"


def compare(command: str, data: Path | None = None, stdin: Path | None = None, lines: int | None = None) -> Comparison:
    """All runs are under trace. `data` is the working directory of a load of `tools/verdicts`.

    `lines`: so many of the output are the same on every run.
    """
    program, *args = shlex.split(command)
    options = DEFAULTS
    if data is not None:
        added = [Addition(str(data), DATA), *(Addition(path, path) for path in STARTED)]
        options = {**DEFAULTS, "additions": tuple(added), "cwd": DATA}
    request = cmd_run.prepare(program=program, args=tuple(args), **options)
    planned = inspect(request.image).planned_files
    if not planned:
        raise CompatError(f"{program}: the image has no patch plans to leave out")
    with tempfile.TemporaryDirectory(prefix="patches-") as folder:
        bare = Path(folder) / "unpatched.img"
        shutil.copy(request.image, bare)
        empty_plans(bare, planned)
        patched, unpatched = run_in_guest(request, stdin), run_in_guest(replace(request, image=bare), stdin)
        steady = not _divergences(patched, run_in_guest(request, stdin))
    calls = [sum(map(len, run.trace.threads.values())) for run in (patched, unpatched)]
    if not all(calls):
        raise CompatError(f"{program} did not run: {patched.stderr.decode(errors='replace').strip()}")
    pairs = (
        ("status", patched.status, unpatched.status),
        ("standard output", *(b"".join(run.stdout.splitlines(keepends=True)[:lines]) for run in (patched, unpatched))),
        ("standard error", patched.stderr, unpatched.stderr),
    )
    differences = [f"{name} {one!r:.80} and {other!r:.80}" for name, one, other in pairs if one != other]
    if steady:
        differences += _divergences(patched, unpatched)
    return Comparison(command, patched.status, planned, (calls[0], calls[1]), steady, tuple(differences))


def _divergences(one: Run, other: Run) -> list[str]:
    found = []
    for divergence in compare_traces(one.trace, other.trace):
        calls = (side.shown if side else "nothing" for side in (divergence.native, divergence.guest))
        found.append(f"{divergence.kind} in thread {divergence.thread}: {' and '.join(calls)}")
    return found


def empty_plans(image: Path, planned: int) -> None:
    """Say in the image that no file has a plan. The plans begin a page and know how many files they are for."""
    head = _HEAD.pack(MAGIC, planned, 0)
    with image.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        at = -1
        while (at := data.find(head, at + 1)) >= 0:
            if at % PAGE == 0:
                data[at : at + len(head)] = _HEAD.pack(MAGIC, 0, 0)
                break
    left = inspect(image).planned_files
    if left:
        raise CompatError(f"{image}: the plans of {left} files are still there")
