"""The table of system calls that the build put into the package: the calls, and what is known of their parts."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from compat.errors import InternalError

LEVELS = {
    "full": "as Linux does it",
    "partial": "with the limits that the note names",
    "stub": "a fixed answer",
    "refused": "deliberately not provided",
    "missing": "not provided yet (ENOSYS)",
}
COLOURS = {"full": "green", "partial": "yellow", "stub": "yellow", "refused": "red", "missing": "red"}
# What a program that makes the call does not get.
UNCOVERED = frozenset({"refused", "missing"})
ALL_BITS = (1 << 64) - 1

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Call:
    """One row. `essential` says what a program cannot do where the call fails; of most calls it can do without."""

    nr: int
    name: str
    component: str
    level: str
    note: str
    essential: str = ""

    @property
    def has_handler(self) -> bool:
        return self.level not in UNCOVERED


@dataclass(frozen=True, slots=True)
class Value:
    """A value or flag of an argument, by its name in Linux's headers."""

    name: str
    level: str
    essential: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """What an argument selects. A value that is not listed is missing.

    Of flags each bit counts alone. Without a bit of `required` it is another call, and covered as that one is.
    """

    call: str
    argument: str
    flags: bool
    mask: int
    values: dict[int, Value]
    required: dict[int, Value] = field(default_factory=dict)

    def judge(self, number: int) -> Iterator[Value]:
        """The values that a constant argument stands for."""
        number &= self.mask
        if not self.flags:
            yield self.values.get(number) or Value(hex(number), "missing")
            return
        yield from (value for bit, value in self.required.items() if not number & bit)
        rest = number
        for bits, value in sorted(self.values.items(), reverse=True):
            if bits and number & bits == bits:
                rest &= ~bits
                yield value
        if rest:
            yield Value(hex(rest), "missing")


def read_table(path: Path) -> list[Call]:
    """The rows by number."""
    calls = _parse(path, lambda document: [_call(row) for row in document["call"]])
    _check(path, (call.level for call in calls))
    return sorted(calls, key=lambda call: call.nr)


def read_parts(path: Path) -> dict[str, Part]:
    """What is known of arguments that select what a call does, by `CALL.ARGUMENT`."""
    parts = _parse(path, _parts)
    _check(path, (value.level for part in parts for value in part.values.values()))
    return {f"{part.call}.{part.argument}": part for part in parts}


def _parse(path: Path, parse: Callable[[dict[str, Any]], list[Row]]) -> list[Row]:
    try:
        with path.open("rb") as file:
            return parse(tomllib.load(file))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InternalError(f"cannot read the table {path}: {error}") from error


def _check(path: Path, levels: Iterable[str]) -> None:
    if unknown := set(levels) - LEVELS.keys():
        raise InternalError(f"{path}: unknown level {', '.join(sorted(unknown))}")


def _call(row: dict[str, Any]) -> Call:
    words = (row["nr"], row["name"], row["component"], row["level"])
    return Call(*words, row.get("note", ""), row.get("essential", ""))


def _parts(document: dict[str, Any]) -> list[Part]:
    calls = {row["name"]: _call(row) for row in document["call"]}
    return [_part(row, calls) for row in document.get("part", [])]


def _part(row: dict[str, Any], calls: dict[str, Call]) -> Part:
    levels = {level: names for level, names in row.items() if level in LEVELS}
    required = {}
    for bit in row.get("required", {}).values():
        other = calls[row["otherwise"]]
        required[bit] = Value(f"as {other.name}", other.level, other.essential)
    return Part(
        call=row["call"],
        argument=row["argument"],
        flags=row.get("flags", False),
        mask=row.get("mask", ALL_BITS),
        values={number: Value(name, level) for level, names in levels.items() for name, number in names.items()},
        required=required,
    )
