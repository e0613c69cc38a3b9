"""Reads which system calls a program made from a trace: `strace -f` text, or the JSON Lines of `compat trace`."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from compat.errors import CompatError

# What strace puts before a call: a process number or a time stamp, each in one of its forms.
_PREFIX = r"(?:\[pid\s+\d+\]\s+|\d+\s+)?(?:(?:\d\d:\d\d:\d\d(?:\.\d+)?|\d+\.\d+)\s+)?(?:\(\+\s*[\d.]+\)\s+)?"
_CALL = re.compile(_PREFIX + r"([a-z_][a-z0-9_]*)\(")
# No calls: signals, ends, the second half of a call, and messages about attaching.
_OTHER = re.compile(_PREFIX + r"(?:---|\+\+\+|<\.\.\. |strace: )")
_START = re.compile(_PREFIX + r"execve\(.*\)\s+= 0\b")


def read_profile(path: Path) -> Counter[str]:
    """How often each call was made, by name; the execve with which strace starts the program is no call of it."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return _read(file)
    except OSError as error:
        raise CompatError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except _NoTraceError as error:
        hint = "a trace is the output of strace -f -o FILE, or of compat trace --json"
        raise CompatError(f"{path} is no trace: {error}", hint) from error


class _NoTraceError(Exception):
    pass


def _read(lines: Iterable[str]) -> Counter[str]:
    calls: Counter[str] = Counter()
    strange = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip() or _OTHER.match(line):
            continue
        if not calls and _START.match(line):
            continue
        name = _json_call(line, number) if line.startswith("{") else _strace_call(line)
        if name is not None:
            calls[name] += 1
        elif not line.startswith("{"):
            strange += 1
    if not calls:
        raise _NoTraceError("it names no system call")
    # A program that traces to its own standard error writes between the calls, but not mostly.
    if strange > calls.total():
        raise _NoTraceError(f"{strange} lines are not understood")
    return calls


def _strace_call(line: str) -> str | None:
    match = _CALL.match(line)
    return match[1] if match else None


def _json_call(line: str, number: int) -> str | None:
    """Lines without a call tell of other events."""
    try:
        event = json.loads(line)
    except ValueError as error:
        raise _NoTraceError(f"line {number} is no JSON") from error
    call = event.get("call") if isinstance(event, dict) else None
    return call if isinstance(call, str) else None
