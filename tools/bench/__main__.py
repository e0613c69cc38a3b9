"""`python -m tools.bench`: prints one table, or JSON."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.bench.network import network
from tools.bench.programs import BenchError
from tools.bench.rows import Bench, Row
from tools.bench.runtimes import runtimes
from tools.bench.smp import smp
from tools.bench.tap import tap

GROUPS: dict[str, Callable[[Bench], Iterable[Row]]] = {
    "micro": Bench.micro,
    "computation": Bench.computation,
    "starting": Bench.starting,
    "sizes": Bench.sizes,
    "network": network,
    "tap": tap,
    "smp": smp,
    "runtimes": runtimes,
}
SCHEMA_VERSION = 1
WIDTH = 110


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench", description="Measures natively and in the guest, side by side."
    )
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument(
        "--runs", type=int, default=5, help="runs of each, at least 5 for a figure that counts (default 5)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON with all samples")
    parser.add_argument("--keep", type=Path, help="build in this folder and keep it")
    arguments = parser.parse_args()
    unknown = set(arguments.groups) - GROUPS.keys()
    if unknown or arguments.runs < 1:
        parser.error(f"no such group: {', '.join(sorted(unknown))}" if unknown else "--runs must be at least 1")
    # "sizes" measures what "starting" builds.
    wanted = [
        name
        for name in GROUPS
        if not arguments.groups or name in arguments.groups or (name == "starting" and "sizes" in arguments.groups)
    ]
    with tempfile.TemporaryDirectory(prefix="compat-bench-") as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(folder, arguments.runs, lambda what: print(f"measuring {what} ...", file=sys.stderr, flush=True))
        try:
            rows = [row for name in wanted for row in GROUPS[name](bench)]
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    print_json(rows) if arguments.json else print_table(rows)
    return 0


def print_json(rows: list[Row]) -> None:
    found = [{**asdict(row), "ratio": row.ratio, "reached": row.reached} for row in rows]
    print(json.dumps({"schema_version": SCHEMA_VERSION, "machine": platform.platform(), "rows": found}, indent=2))


def print_table(rows: list[Row]) -> None:
    table = Table(title="Native Linux and the guest, medians; less is better")
    table.add_column("what")
    for heading in ("native", "guest", "unit", "ratio", "target", "reached"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.name, figure(row.native), figure(row.guest), row.unit, figure(row.ratio), target(row), verdict(row)
        )
    console = Console()
    # Not on a terminal rich assumes 80 columns, which would break every name.
    Console(width=None if console.is_terminal else WIDTH).print(table)


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}" if value < 10000 else f"{value:.0f}"


def target(row: Row) -> str:
    parts = [
        f"{row.ratio_at_most:.4g} x" if row.ratio_at_most else "",
        f"{row.guest_at_most:.4g} {row.unit}" if row.guest_at_most else "",
    ]
    return ", ".join(part for part in parts if part)


def verdict(row: Row) -> str:
    return {None: "", True: "[green]yes[/]", False: "[red]no[/]"}[row.reached]


if __name__ == "__main__":
    sys.exit(main())
