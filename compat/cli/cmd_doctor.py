"""`compat doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from compat.doctor import Check

SCHEMA_VERSION = 1
MARKS = {"ok": "[green]ok[/]     ", "warning": "[yellow]warning[/]", "failure": "[red]failure[/]"}


@click.command("doctor", short_help="What this machine offers, and what to do about what it lacks.")
@click.option("--json", "as_json", is_flag=True, help="For programs; see compat/schema/doctor.schema.json.")
def command(*, as_json: bool) -> None:
    """Look at this machine: KVM, CPU, memory, disk, QEMU and compat's own parts. Changes nothing.

    Exit status: 0 when programs can run here, on KVM or by emulation; else 125.
    """
    from compat.doctor import can_run, examine
    from compat.errors import STATUS_CANNOT_RUN

    checks = examine()
    runs = can_run(checks)
    if as_json:
        print(json.dumps(_document(checks, runs=runs), indent=1))
    else:
        _print_checks(checks, runs=runs)
    if not runs:
        raise SystemExit(STATUS_CANNOT_RUN)


def _document(checks: list[Check], *, runs: bool) -> dict[str, object]:
    rows = [
        {"name": check.name, "verdict": check.verdict.value, "detail": check.detail, "advice": check.advice}
        for check in checks
    ]
    return {"schema_version": SCHEMA_VERSION, "can_run": runs, "checks": rows}


def _print_checks(checks: list[Check], *, runs: bool) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    for check in checks:
        console.print(f"{MARKS[check.verdict.value]}  {check.name}: {escape(check.detail)}")
        if check.advice:
            console.print(f"           {escape(check.advice)}")
    console.print("Programs can run here." if runs else "Programs cannot run here.")
