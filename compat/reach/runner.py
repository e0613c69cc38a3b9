"""Runs the analysis program and reads what it found."""

from __future__ import annotations

import json
import resource
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compat.reach.model import CallUse, Certainty, Detail, Reach, Step, Unresolved

TIME_LIMIT = 600
MEMORY_LIMIT = 4 << 30
TOOL_FAILED = "the analysis failed"


def analyse(
    tool: Path, files: list[str], interpreter: str | None, progress: Callable[[int, int], None] | None
) -> Reach:
    """What the tool says of the files, the program first. A tool that fails or takes too long knows nothing."""
    request = json.dumps({"files": files, "interpreter": interpreter}).encode()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [str(tool)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            preexec_fn=_limit_memory,  # noqa: PLW1509 - only sets a limit
        )
        timer = threading.Timer(TIME_LIMIT, process.kill)
        timer.start()
        try:
            _talk(process, request, progress)
        finally:
            timer.cancel()
        output.seek(0)
        text = output.read()
    if process.returncode != 0:
        return Reach(calls={}, unknown_files=dict.fromkeys(files, TOOL_FAILED))
    return _reach(json.loads(text))


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def _talk(process: subprocess.Popen[bytes], request: bytes, progress: Callable[[int, int], None] | None) -> None:
    assert process.stdin is not None
    assert process.stderr is not None
    with process.stdin as pipe:
        pipe.write(request)
    for line in process.stderr:
        done, _, total = line.partition(b" ")
        if progress is not None and done.isdigit() and total.strip().isdigit():
            progress(int(done), int(total))
    process.stderr.close()
    process.wait()


def _reach(found: dict[str, Any]) -> Reach:
    return Reach(
        calls={row["nr"]: _call(row) for row in found["calls"]},
        unresolved=tuple(Unresolved(**row) for row in found["unresolved"]),
        unknown_files=dict(found["unknown_files"]),
        paths={file: tuple(paths) for file, paths in found["paths"].items()},
    )


def _call(row: dict[str, Any]) -> CallUse:
    return CallUse(
        nr=row["nr"],
        certainty=Certainty.CERTAIN if row["certain"] else Certainty.OVER_APPROXIMATE,
        path=tuple(Step(*step) for step in row["path"]),
        sites=row["sites"],
        details=tuple(Detail(*detail) for detail in row["details"]),
    )
