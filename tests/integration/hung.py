"""What a program is doing that does not end: asked of its processes, and of the instance where it runs in a guest."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from compat.errors import CompatError
from compat.instances import Instance, ask_instance, instance_folder

# For what the guest's kernel says on standard error.
TELL_SECONDS = 1.0


def describe(leader: int, environment: Mapping[str, str]) -> str:
    """Of the session that began with the process `leader`. The guest's kernel tells on the program's standard error."""
    lines = []
    for pid in session(leader):
        lines += [f"process {pid}: {command_line(pid)}", *threads(pid)]
        path = instance_folder(environment) / f"{pid}.sock"
        if path.exists():
            lines += ask(Instance(pid, path))
    return "\n".join(lines)


def session(leader: int) -> list[int]:
    """All of its processes."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(ValueError, ProcessLookupError):
            if os.getsid(int(entry.name)) == leader:
                found.append(int(entry.name))
    return sorted(found)


def command_line(pid: int) -> str:
    return read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")[:300]


def threads(pid: int) -> Iterator[str]:
    """What each waits for, and the CPU time that it takes."""
    with contextlib.suppress(OSError):
        tasks = sorted(Path(f"/proc/{pid}/task").iterdir())
        before = {task: cpu_ticks(task) for task in tasks}
        time.sleep(TELL_SECONDS / 2)
        for task in tasks:
            state = next((line for line in read(task / "status").splitlines() if line.startswith("State:")), "gone")
            used = cpu_ticks(task) - before[task]
            where = read(task / "wchan")
            yield f"  {task.name} {read(task / 'comm').strip()} {state.split()[-1]} in {where}, {used} ticks in 0.5 s"


def cpu_ticks(task: Path) -> int:
    """Of user and system time."""
    fields = read(task / "stat").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if fields else 0


def read(path: Path) -> str:
    """Nothing if it is gone."""
    with contextlib.suppress(OSError):
        return path.read_text(errors="backslashreplace")
    return ""


def ask(instance: Instance) -> Iterator[str]:
    for command in ("stats", "threads"):
        try:
            yield f"  {command}: {json.dumps(ask_instance(instance, command))}"
        except CompatError as error:
            yield f"  {command}: {error}"
    time.sleep(TELL_SECONDS)
