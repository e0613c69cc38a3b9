"""Runs a load under strace and reads which system calls the program itself made."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

TIME_LIMIT = 240
# What loads may use beside $TRACE; a program that serves is told to end, and waited for.
PROLOGUE = r"""
wait_for() { for i in $(seq 300); do "$@" > /dev/null 2>&1 && return; sleep 0.1; done; return 1; }
stop_traced() { for s in $(jobs -p); do for p in $(cat /proc/$s/task/*/children); do kill -TERM $p; done; done; wait; }
"""
LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
STARTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
# The kernel puts it in for a call that a signal interrupted.
INJECTED = frozenset({"restart_syscall"})
LIBRARY = re.compile(r'"(/[^"]*\.so(?:\.[0-9.]+)?)", O_RDONLY.*= \d')


class LoadError(Exception):
    """The load did not run; the text says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """One program and what it is made to do."""

    name: str
    path: str
    kind: str
    run: str
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What processes did while they ran the program, not what they started: calls, and libraries that they opened."""

    calls: frozenset[str]
    libraries: frozenset[str]


def trace(load: Load) -> Trace:
    """Runs a program's load."""
    with tempfile.TemporaryDirectory(prefix="recall-", ignore_cleanup_errors=True) as home:
        logs = Path(home) / "logs.d"
        work = Path(home) / "work"
        logs.mkdir()
        work.mkdir()
        started = f"strace -f -qq -s 256 -o {logs}/$(date +%s%N).log -- {load.path}"
        script = PROLOGUE + load.run.replace("$TRACE", started)
        environment = os.environ | {"PROGRAM": load.path, "LC_ALL": "C.UTF-8"}
        try:
            subprocess.run(
                ["bash", "-c", script],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=TIME_LIMIT,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise LoadError(f"not done after {TIME_LIMIT} s") from error
        found = [read_log(log.read_text(errors="replace"), load.path) for log in sorted(logs.iterdir())]
    calls = frozenset[str]().union(*(one.calls for one in found))
    if not calls:
        raise LoadError("strace saw nothing")
    return Trace(calls, frozenset[str]().union(*(one.libraries for one in found)))


def read_log(log: str, program: str) -> Trace:
    """What all processes of a log did while their program was the one traced."""
    wanted = os.path.realpath(program)
    running: dict[str, bool] = {}
    parents: dict[str, bool] = {}
    starting: dict[str, bool] = {}
    calls = set()
    libraries = set()
    first = True
    for line in log.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        pid, resumed, entered, rest = match.groups()
        name = resumed or entered
        own = running.setdefault(pid, parents.pop(pid, True))
        if own and not first and name not in INJECTED:
            calls.add(name)
            if name == "openat" and (library := LIBRARY.search(rest)):
                libraries.add(library[1])
        first = False
        if name in {"execve", "execveat"}:
            if entered and (path := STARTED.search(rest)):
                starting[pid] = os.path.realpath(path[1]) == wanted
            if rest.endswith("= 0"):
                running[pid] = starting.get(pid, False)
        elif name in {"clone", "clone3", "fork", "vfork"} and (child := re.search(r"= (\d+)$", rest)):
            _inherit(child[1], own, running, parents)
    return Trace(frozenset(calls), frozenset(libraries))


def _inherit(child: str, own: bool, running: dict[str, bool], parents: dict[str, bool]) -> None:  # noqa: FBT001
    """A child runs what its parent ran. Its own lines may come before the parent's call returns."""
    if child not in running:
        parents[child] = own
