"""`compat syscalls`."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from compat.syscall_table import Call, Part

SCHEMA_VERSION = 1


@click.command("syscalls", short_help="The table of system calls.")
@click.option("--json", "as_json", is_flag=True, help="For programs; see compat/schema/syscalls.schema.json.")
@click.option("--level", "levels", multiple=True, help="Only rows of this level; may be repeated.")
@click.option("--component", "components", multiple=True, help="Only rows of this component; may be repeated.")
@click.argument("names", nargs=-1)
def command(*, as_json: bool, levels: tuple[str, ...], components: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Show every system call of Linux x86-64 and how well it is covered.

    NAMES limits it to some, and shows of these also which requests, options and flags are covered.
    """
    from compat import native
    from compat.errors import CompatError
    from compat.syscall_table import read_parts, read_table

    table = native.native_file(native.TABLE)
    calls = read_table(table)
    unknown = set(names) - {call.name for call in calls}
    if unknown:
        raise CompatError(f"no such system call: {', '.join(sorted(unknown))}")
    chosen = [
        call
        for call in calls
        if (not levels or call.level in levels)
        and (not components or call.component in components)
        and (not names or call.name in names)
    ]
    shown = {call.name for call in chosen}
    parts = [part for part in read_parts(table).values() if part.call in shown]
    if as_json:
        print(json.dumps(_document(chosen, parts), indent=1))
        return
    _print_table(chosen)
    for part in parts if names else ():
        _print_part(part)


def _document(calls: list[Call], parts: list[Part]) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "totals": dict(Counter(call.level for call in calls)),
        "calls": [dataclasses.asdict(call) for call in calls],
        "parts": [
            {
                "call": part.call,
                "argument": part.argument,
                "flags": part.flags,
                "values": [
                    {"number": number, "name": value.name, "level": value.level}
                    for number, value in sorted(part.values.items())
                ],
            }
            for part in parts
        ],
    }


def _print_part(part: Part) -> None:
    """The values of an argument by level; any other is missing."""
    from rich.console import Console

    from compat.syscall_table import COLOURS, LEVELS

    console = Console(highlight=False)
    console.print(f"\n{part.call}: {part.argument}")
    for level in LEVELS:
        names = [value.name for value in part.values.values() if value.level == level]
        if names:
            console.print(f"  [{COLOURS[level]}]{level}[/]: {' '.join(names)}")


def _print_table(calls: list[Call]) -> None:
    from rich.console import Console
    from rich.table import Table

    from compat.syscall_table import COLOURS, LEVELS

    table = Table("nr", "name", "component", "level", "note", box=None, pad_edge=False)
    for call in calls:
        level = f"[{COLOURS[call.level]}]{call.level}[/]"
        table.add_row(str(call.nr), call.name, call.component, level, call.note)
    console = Console()
    console.print(table)
    totals = Counter(call.level for call in calls)
    for level, meaning in LEVELS.items():
        if totals[level]:
            console.print(f"{totals[level]:4} {level}: {meaning}")
