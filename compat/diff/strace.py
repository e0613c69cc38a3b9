"""Reads what strace -f -o wrote; `compat trace` writes the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r"(?P<tid>\d+)\s+(?P<text>.*)")
_CALL = re.compile(r"(?P<name>[a-z_][a-z0-9_]*)\((?P<rest>.*)", re.DOTALL)
_RESUMED = re.compile(r"<\.\.\. (?P<name>[a-z_0-9]+) resumed>(?P<rest>.*)", re.DOTALL)
_RESULT = re.compile(r"(?P<args>.*)\)\s+= (?P<result>.*)", re.DOTALL)
_ENDED = re.compile(r"\+\+\+ (?:exited with (?P<status>\d+)|killed by (?P<signal>\w+).*) \+\+\+")
_SIGNAL = re.compile(r"--- (?P<name>\S+)")
_UNFINISHED = " <unfinished ...>"
_OPENING, _CLOSING = "([{", ")]}"


@dataclass
class TracedCall:
    tid: int
    name: str
    args: list[str]
    # As it stands behind the equals sign; None: it never returned.
    result: str | None


@dataclass
class Trace:
    """The calls of each thread, threads by their first appearance."""

    threads: dict[int, list[TracedCall]] = field(default_factory=dict)
    # How the first thread ended: "0", "SIGKILL".
    end: str | None = None
    # Lines that are none of strace's.
    strange: int = 0


def read_trace(lines: Iterable[str]) -> Trace:
    trace = Trace()
    halves: dict[int, str] = {}
    for line in lines:
        match = _LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            trace.strange += 1
            continue
        tid, text = int(match["tid"]), match["text"]
        calls = trace.threads.setdefault(tid, [])
        if text.startswith("+++"):
            _end(trace, tid, text)
        elif signal := _SIGNAL.match(text):
            calls.append(TracedCall(tid, "signal", [signal["name"]], None))
        elif text.endswith(_UNFINISHED):
            halves[tid] = text.removesuffix(_UNFINISHED)
        else:
            resumed = _RESUMED.fullmatch(text)
            whole = halves.pop(tid, f"{resumed['name']}(") + resumed["rest"] if resumed else text
            call = parse_call(tid, whole)
            if call is None:
                trace.strange += 1
            else:
                calls.append(call)
    for tid, text in halves.items():
        call = parse_call(tid, f"{text}) = ?")
        if call is not None:
            trace.threads[tid].append(call)
    return trace


def _end(trace: Trace, tid: int, text: str) -> None:
    match = _ENDED.fullmatch(text)
    if match is not None and tid == next(iter(trace.threads)):
        trace.end = match["status"] or match["signal"]


def parse_call(tid: int, text: str) -> TracedCall | None:
    """One call on one line."""
    start = _CALL.fullmatch(text)
    rest = _RESULT.fullmatch(start["rest"]) if start else None
    if start is None or rest is None:
        return None
    result = None if rest["result"].strip() == "?" else rest["result"].strip()
    args = [argument for argument in split_arguments(rest["args"]) if argument != _UNFINISHED.strip()]
    return TracedCall(tid, start["name"], args, result)


def split_arguments(text: str) -> Iterator[str]:
    """At commas outside of brackets, strings and comments."""
    depth, quoted, skip, start = 0, False, False, 0
    for at, char in enumerate(text):
        if skip:
            skip = False
        elif quoted:
            skip = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in _OPENING:
            depth += 1
        elif char in _CLOSING:
            depth -= 1
        elif char == "," and depth == 0:
            yield text[start:at].strip()
            start = at + 1
    if text[start:].strip():
        yield text[start:].strip()
