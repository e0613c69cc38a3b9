"""System calls as they were made: the two halves of each put together, with the table's row."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from compat import native
from compat.trace.memory import Memory
from compat.trace.records import Enter, Exit, Record

ERRORS = 4095


@dataclass(frozen=True)
class Argument:
    name: str
    type: str


@dataclass(frozen=True)
class Row:
    """Of `syscalls.toml`, which is the only place that knows arguments."""

    nr: int
    name: str
    component: str
    args: tuple[Argument, ...]


@dataclass
class Call:
    """One call; while it has not returned, `result` is None."""

    row: Row
    tid: int
    pid: int
    time: int
    site: int
    raw: tuple[int, ...]
    trapped: bool
    before: Memory = field(default_factory=Memory)
    after: Memory = field(default_factory=Memory)
    result: int | None = None
    duration: int = 0

    @property
    def errno(self) -> int:
        """0: it went well, or has not come back."""
        return -self.result if self.result is not None and -ERRORS <= self.result < 0 else 0


@cache
def table() -> dict[int, Row]:
    with native.native_file(native.TABLE).open("rb") as file:
        rows: list[dict[str, Any]] = tomllib.load(file)["call"]
    return {row["nr"]: _row(row) for row in rows}


def _row(row: dict[str, Any]) -> Row:
    args = (text.partition(": ") for text in row.get("args", ()))
    return Row(row["nr"], row["name"], row["component"], tuple(Argument(name, type_) for name, _, type_ in args))


def row_of(nr: int) -> Row:
    """Calls that no table knows have six arguments that mean nothing."""
    unknown = tuple(Argument(f"arg{at}", "u64") for at in range(6))
    return table().get(nr) or Row(nr, f"syscall_{nr:#x}", "unknown", unknown)


class Pairing:
    """Puts the halves together. Events are ("begin", call), ("end", call), ("other", record)."""

    def __init__(self) -> None:
        self._open: dict[int, Call] = {}

    def feed(self, record: Record) -> tuple[str, Call | Record] | None:
        if isinstance(record, Enter):
            call = Call(
                row=row_of(record.nr),
                tid=record.tid,
                pid=record.pid,
                time=record.time,
                site=record.site,
                raw=record.args,
                trapped=record.trapped,
                before=record.memory,
            )
            self._open[record.tid] = call
            return "begin", call
        if not isinstance(record, Exit):
            return "other", record
        call_or_none = self._open.pop(record.tid, None)
        if call_or_none is None or call_or_none.row.nr != record.nr:
            # It began before the trace did.
            return None
        call_or_none.after, call_or_none.result = record.memory, record.result
        call_or_none.duration = record.duration
        return "end", call_or_none

    def unfinished(self) -> Iterator[Call]:
        """What never returned, in the order of the calls."""
        yield from sorted(self._open.values(), key=lambda call: call.time)
