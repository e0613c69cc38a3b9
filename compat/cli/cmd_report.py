"""`compat report`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from compat.cli.options import additions_option
from compat.errors import CompatError
from compat.wrap_request import Addition

if TYPE_CHECKING:
    from compat.report.model import Report

STATUS_WILL_NOT_RUN = 1
STATUS_ERROR = 2


class ReportCommand(click.Command):
    """Its exit status is for scripts that ask whether a program runs: all errors, of usage too, are 2."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.ClickException as error:
            error.show()
            sys.exit(STATUS_ERROR)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CompatError as error:
            _fail(error)


def _fail(error: CompatError) -> NoReturn:
    print(f"compat: {error}", file=sys.stderr)
    if error.hint:
        print(f"  {error.hint}", file=sys.stderr)
    sys.exit(STATUS_ERROR)


@click.command("report", cls=ReportCommand, short_help="Say before the boot whether a program will run.")
@click.argument("programs", nargs=-1, required=True, metavar="PROGRAM|IMAGE...")
@additions_option("With files that are to be in the image, as compat wrap --add: plug-ins and what they need count.")
@click.option("-a", "--all", "everything", is_flag=True, help="List every call with the way that leads to it.")
@click.option("--json", "as_json", is_flag=True, help="For programs; see compat/schema/report.schema.json.")
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Also write one web page."
)
@click.option(
    "--against",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="TRACE",
    help="Mark what a real run used: the output of strace -f, or of compat trace --json.",
)
def command(
    programs: tuple[str, ...],
    html: Path | None,
    against: Path | None,
    additions: tuple[Addition, ...],
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Say whether PROGRAM will run, and what it needs of Linux.

    The code of the program and of everything that it may load is followed from its entry: nothing is run. Several
    programs give one line each. Of an image its own files are followed, and calls that were left out of it are missing.

    \b
    Examples:
      compat report /usr/bin/redis-server
      compat report --html redis.html --all redis-server
      strace -f -o trace redis-server --port 0; compat report --against trace redis-server
      compat report nginx redis-server sqlite3
      compat report --add module.so:/usr/lib/module.so redis-server
      compat report redis.img

    \b
    Exit status:
      0  it runs, or probably does
      1  it will not run (one of several programs is enough)
      2  no answer: no such program, bad usage ...
    """
    if against is not None and len(programs) > 1:
        raise CompatError("--against goes with one program")
    trace = _read_trace(against)
    reports = [_report(program, additions, trace) for program in programs]
    if html is not None:
        _write_page(html, reports)
    if as_json:
        from compat.report.document import document

        print(json.dumps(document(reports), indent=1))
    else:
        _print(reports, everything=everything)
    from compat.report.model import Word

    if any(report.verdict.word is Word.FAILS for report in reports):
        sys.exit(STATUS_WILL_NOT_RUN)


def _read_trace(path: Path | None) -> Counter[str] | None:
    if path is None:
        return None
    from compat.profile import read_profile

    return read_profile(path)


def _report(program: str, additions: tuple[Addition, ...], trace: Counter[str] | None) -> Report:
    from compat.report.gather import make_report

    if not sys.stderr.isatty():
        return make_report(program, additions=additions, trace=trace)
    from rich.console import Console

    with Console(stderr=True).status(f"following the code of {program}") as status:

        def progress(done: int, total: int) -> None:
            status.update(f"following the code of {program}: {done} of {total} files")

        return make_report(program, additions=additions, trace=trace, progress=progress)


def _print(reports: list[Report], *, everything: bool) -> None:
    from compat.report.text import make_console, print_matrix, print_report

    console = make_console()
    if len(reports) > 1:
        print_matrix(console, reports)
        return
    print_report(console, reports[0], everything=everything)


def _write_page(path: Path, reports: list[Report]) -> None:
    from compat.report.page import render

    try:
        path.write_text(render(reports), encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise CompatError(f"cannot write {path}: {error.strerror}") from error
