"""`compat stats`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Group

SCHEMA_VERSION = 1
INTERVAL = 1.0

# pid: what the instance said
Figures = dict[int, dict[str, Any]]


@click.command("stats", short_help="What running instances do: packets, sockets, memory, exits.")
@click.argument("instance", required=False, type=click.IntRange(min=1), metavar="[INSTANCE]")
@click.option("--json", "as_json", is_flag=True, help="For programs; see compat/schema/stats.schema.json.")
@click.option("--watch", is_flag=True, help="Again every second, with what happened a second, until Ctrl-C.")
@click.option("--threads", is_flag=True, help="Have INSTANCE say on its standard error what its threads do.")
def command(instance: int | None, *, as_json: bool, watch: bool, threads: bool) -> None:
    """Ask the running instances of this user, or the one with process number INSTANCE, for their figures.

    Figures that are zero are left out; --json has them. With --json --watch each second gives one line.
    """
    if threads:
        if instance is None or as_json or watch:
            raise click.UsageError("--threads needs an INSTANCE, and goes with no other option")
        ask_for_threads(instance)
        return
    figures = ask(instance)
    if watch:
        _watch(instance, figures, as_json=as_json)
    elif as_json:
        print(json.dumps(document(figures), indent=1))
    else:
        _print(figures)


def ask(pid: int | None) -> Figures:
    """All instances that answer; the one that is named must."""
    from compat.errors import CompatError
    from compat.instances import ask_instance, find_instances

    chosen = [instance for instance in find_instances() if pid in {None, instance.pid}]
    answers = {instance.pid: ask_instance(instance, "stats") for instance in chosen}
    figures = {number: answer for number, answer in answers.items() if answer is not None}
    if pid is not None and not figures:
        raise CompatError(f"there is no instance {pid}", "compat stats alone shows all")
    return figures


def ask_for_threads(pid: int) -> None:
    """They are told of where the kernel tells of everything else: on the instance's standard error."""
    from compat.errors import CompatError
    from compat.instances import ask_instance, find_instances

    chosen = [instance for instance in find_instances() if instance.pid == pid]
    answer = ask_instance(chosen[0], "threads") if chosen else None
    if answer is None:
        raise CompatError(f"there is no instance {pid}", "compat stats alone shows all")
    if "asked" not in answer:
        raise CompatError(f"instance {pid} tells nothing of its threads: {answer.get('error')}")


def document(figures: Figures) -> dict[str, object]:
    rows = [{**answer, "pid": pid} for pid, answer in figures.items()]
    return {"schema_version": SCHEMA_VERSION, "instances": rows}


def flatten(figures: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """`{"a": {"b": 1}}`: (("a", "b"), 1). Objects in a list are called by the first text in them; null is nothing."""
    for name, value in figures.items():
        if isinstance(value, dict):
            yield from flatten(value, (*above, name))
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for item in value:
                text = next((text for text in item.values() if isinstance(text, str)), name)
                rest = {key: figure for key, figure in item.items() if figure != text}
                yield from flatten(rest, (*above, text))
        elif value is not None:
            yield (*above, name), value


def show(path: tuple[str, ...], value: object) -> str:
    """A figure for people, by the unit that its name or its section tells."""
    from compat.units import format_size

    if isinstance(value, bool) or not isinstance(value, int | float):
        return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if path[-1].endswith("_kib"):
        return format_size(int(value * 1024))
    if any("bytes" in name or name == "memory" for name in path):
        return format_size(int(value))
    if path[-1].endswith("_us"):
        return f"{value / 1e6:.3f} s"
    if path[-1].endswith("_ns"):
        return f"{value / 1e9:.3f} s"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _title(path: tuple[str, ...]) -> str:
    words = " ".join(path).replace("_", " ")
    for unit in (" kib", " us", " ns"):
        words = words.removesuffix(unit)
    return words


def _tables(figures: Figures, before: Figures | None = None, seconds: float = INTERVAL) -> Group:
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    tables = []
    for pid, answer in figures.items():
        earlier = dict(flatten((before or {}).get(pid, {})))
        table = Table(title=f"instance {pid}", title_justify="left", box=None, padding=(0, 2, 0, 0))
        table.add_column("")
        table.add_column("", justify="right")
        table.add_column("a second" if before is not None else "", justify="right")
        section = None
        # What concerns all comes first.
        for path, value in sorted(flatten(answer), key=lambda figure: len(figure[0]) > 1):
            if path in {("schema_version",), ("pid",)} or value == 0:
                continue
            if path[:-1] != section and section is not None:
                table.add_section()
            section = path[:-1]
            table.add_row(escape(_title(path)), escape(show(path, value)), _rate(path, value, earlier, seconds))
        tables.append(table)
    return Group(*tables)


def _rate(path: tuple[str, ...], value: object, earlier: dict[tuple[str, ...], object], seconds: float) -> str:
    """Only for what has changed."""
    old = earlier.get(path)
    if not isinstance(value, int) or not isinstance(old, int) or value == old:
        return ""
    return show(path, round((value - old) / seconds))


def _print(figures: Figures) -> None:
    from rich.console import Console

    if not figures:
        print("No instance is running.")
        return
    Console(highlight=False, soft_wrap=True).print(_tables(figures))


def _watch(pid: int | None, figures: Figures, *, as_json: bool) -> None:
    from rich.live import Live

    if as_json:
        while True:
            print(json.dumps(document(figures)), flush=True)
            time.sleep(INTERVAL)
            figures = ask(pid)
    with Live(_tables(figures), auto_refresh=False) as live:
        then = time.monotonic()
        while True:
            time.sleep(INTERVAL)
            before, figures = figures, ask(pid)
            now = time.monotonic()
            live.update(_tables(figures, before, now - then), refresh=True)
            then = now
