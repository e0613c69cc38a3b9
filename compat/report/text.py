"""The report for people: tables in colour on a terminal, plain lines otherwise."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compat.reach.model import Step
from compat.report.model import Chosen, Need, Report, Word
from compat.report.verdict import plural
from compat.syscall_table import COLOURS, LEVELS
from compat.units import format_size

VERDICTS = {Word.RUNS: "green", Word.PROBABLY: "yellow", Word.FAILS: "red"}
# Nothing wraps in a pipe: whoever reads it cuts lines as they like.
PIPE_WIDTH = 10_000
SHOWN = 8


def make_console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH, no_color=True)


def print_report(console: Console, report: Report, *, everything: bool) -> None:
    """The verdict, what speaks against the program, and what it needs by component; `everything` lists each call."""
    console.print(f"[bold {VERDICTS[report.verdict.word]}]{escape(report.program)}: {escape(report.verdict.line)}[/]")
    _print_some(console, [f"also: {reason.text}" for reason in report.verdict.reasons[1:]])
    if report.interpreter:
        console.print(
            f"  a script: this is about its interpreter {escape(report.interpreter)}; the script decides more"
        )
    if not report.needs:
        return
    _print_summary(console, report)
    _print_uncovered(console, report)
    _print_parts(console, report)
    if everything:
        _print_calls(console, report)
    else:
        _print_components(console, report)
    _print_unknown(console, report)
    _print_code(console, report)


def short_path(path: Sequence[Step]) -> str:
    """`prog: _start > main > libc.so.6: fork`; the file is named where it changes."""
    words, file = [], ""
    for step in path:
        words.append(step.function if step.file == file else f"{os.path.basename(step.file)}: {step.function}")
        file = step.file
    if len(words) > SHOWN:
        words[SHOWN // 2 : -SHOWN // 2] = ["..."]
    return " > ".join(words)


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    table.columns[-1].overflow = "fold"
    return table


def _level(level: str) -> str:
    return f"[{COLOURS[level]}]{level}[/]"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[level]} {_level(level)}" for level in LEVELS if counts[level])


def _print_summary(console: Console, report: Report) -> None:
    console.print(f"  {len(report.needs)} system calls can be reached: {_counts(report.levels)}")
    if report.is_compared:
        used = [need for need in report.needs if need.used]
        lacks = [need.call.name for need in used if need.is_uncovered]
        judged = f"not covered: {', '.join(lacks)}" if lacks else "all covered"
        console.print(
            f"  the trace used {len(used)} of them: {_counts(Counter(need.call.level for need in used))}; {judged}"
        )
    for name, count in report.beyond.items():
        console.print(f"  [red]the trace has {escape(name)} ({count}), which the analysis did not find[/]")


def _print_uncovered(console: Console, report: Report) -> None:
    """By what is missing, the essential first."""
    needs = [need for need in report.needs if need.is_uncovered]
    if not needs:
        return
    console.print("\n[bold]Not covered[/] (programs mostly go another way; what they cannot do without is marked)")
    table = _table("call", "level", "needed to", "certainty", *_used_column(report), "reached by")
    for need in sorted(needs, key=lambda need: (not need.call.essential, need.call.component, need.call.nr)):
        words = (need.call.name, _level(need.call.level), need.call.essential, need.certainty.value)
        table.add_row(*words, *_used(need, report), escape(short_path(need.path)))
    console.print(table)


def _print_parts(console: Console, report: Report) -> None:
    rows = [(need, part) for need in report.needs for part in need.uncovered_parts]
    if not rows:
        return
    console.print("\n[bold]Parts of calls that are not covered[/]")
    table = _table("call", "part", "level", "call reached by")
    for need, part in rows:
        argument = part.kind.partition(".")[2]
        words = (need.call.name, f"{argument} {part.value.name}", _level(part.value.level))
        table.add_row(*words, escape(short_path(need.path)))
    console.print(table)


def _print_components(console: Console, report: Report) -> None:
    components: dict[str, list[Need]] = defaultdict(list)
    for need in report.needs:
        components[need.call.component].append(need)
    console.print("\n[bold]Calls by component[/]")
    table = _table("component", "calls", *LEVELS, "")
    for component, needs in sorted(components.items()):
        counts = Counter(need.call.level for need in needs)
        numbers = [str(counts[level] or "-") for level in LEVELS]
        names = " ".join(f"[{COLOURS[need.call.level]}]{need.call.name}[/]" for need in needs)
        table.add_row(component, str(len(needs)), *numbers, names)
    console.print(table)


def _print_calls(console: Console, report: Report) -> None:
    console.print("\n[bold]Calls[/]")
    table = _table("call", "component", "level", "certainty", *_used_column(report), "parts", "reached by")
    for need in sorted(report.needs, key=lambda need: (need.call.component, need.call.nr)):
        words = (need.call.name, need.call.component, _level(need.call.level), need.certainty.value)
        parts = " ".join(f"[{COLOURS[part.value.level]}]{part.value.name}[/]" for part in need.parts)
        table.add_row(*words, *_used(need, report), parts, escape(short_path(need.path)))
    console.print(table)


def _used_column(report: Report) -> tuple[str, ...]:
    return ("used",) if report.is_compared else ()


def _used(need: Need, report: Report) -> tuple[str, ...]:
    return (str(need.used or "-"),) if report.is_compared else ()


def _print_unknown(console: Console, report: Report) -> None:
    if report.unresolved:
        console.print(
            f"\n[bold]Unknown[/]: at {plural(len(report.unresolved), 'place')} the number of the call is not known"
        )
        _print_some(console, [f"{site.file}: {site.function}: {site.reason}" for site in report.unresolved])
    if report.unknown_files:
        console.print(f"\n[bold]Not followed[/]: {plural(len(report.unknown_files), 'file')}")
        _print_some(console, [f"{path}: {reason}" for path, reason in report.unknown_files.items()])


def _print_some(console: Console, lines: Sequence[str]) -> None:
    for line in lines[:SHOWN]:
        console.print(f"  {escape(line)}")
    if len(lines) > SHOWN:
        console.print(f"  and {len(lines) - SHOWN} more (--json has all)")


def _print_code(console: Console, report: Report) -> None:
    console.print()
    if report.plans:
        plans = report.plans
        left = f", {plans.left} left to the slower trap" if plans.left else ""
        console.print(f"Code: {plans.found} sites in {plural(plans.files, 'file')}, {plans.patched} become jumps{left}")
        for path, reason in plans.failed.items():
            console.print(f"  not analysed: {escape(path)}: {escape(reason)}")
    if report.size:
        size = report.size
        parts = f"kernel {format_size(size.kernel)}, {plural(size.files, 'file')} {format_size(size.root)}"
        console.print(f"Image: {format_size(size.total)} ({parts})")
    if report.chosen:
        _print_chosen(console, report.chosen)


def _print_chosen(console: Console, chosen: Chosen) -> None:
    left_out = f"; left out: {', '.join(chosen.left_out)}" if chosen.left_out else ""
    console.print(f"  {chosen.calls} of {chosen.of} calls, of {', '.join(chosen.components)}{left_out}")
    _print_some(console, list(chosen.notes))


def print_matrix(console: Console, reports: Iterable[Report]) -> None:
    """A line for each program."""
    table = _table("program", "verdict", "calls", *LEVELS, "unknown", "why")
    for report in reports:
        counts = report.levels
        verdict = f"[{VERDICTS[report.verdict.word]}]{report.verdict.word.value}[/]"
        numbers = [str(counts[level] or "-") for level in LEVELS] if report.needs else ["-"] * len(LEVELS)
        unknown = len(report.unresolved) + len(report.unknown_files)
        why = "; ".join(reason.text for reason in report.verdict.reasons)
        table.add_row(
            escape(report.program), verdict, str(len(report.needs) or "-"), *numbers, str(unknown or "-"), escape(why)
        )
    console.print(table)
