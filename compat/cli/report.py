"""What `compat wrap` tells: progress on a terminal, then what went in."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator

from compat.plans import PlanSummary
from compat.select.model import Selection
from compat.units import format_size
from compat.wrap import Progress, WrapReport


@contextlib.contextmanager
def watch() -> Iterator[Progress]:
    """Progress bars on stderr when it is a terminal; silence otherwise."""
    if not sys.stderr.isatty():
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        analysing = bars.add_task("following calls", total=None, visible=False)
        planning = bars.add_task("reading code", total=None)
        writing = bars.add_task("writing the image", total=None)

        def analysed(done: int, total: int) -> None:
            bars.update(analysing, completed=done, total=total, visible=True)

        def planned(done: int, total: int) -> None:
            bars.update(planning, completed=done, total=total)

        def wrote(size: int) -> None:
            bars.advance(writing, size)

        yield Progress(analysing=analysed, planning=planned, writing=wrote)


def print_report(report: WrapReport) -> None:
    """A few lines on stdout."""
    print(f"{report.output}: {format_size(report.sizes.total)}")
    print(f"  kernel {format_size(report.sizes.kernel)}, root file system {format_size(report.sizes.root)}", end="")
    print(f" in {report.files} files, patch plans {format_size(report.sizes.plans)}")
    if report.libraries:
        print(f"  libraries: {', '.join(report.libraries)}")
    for added in report.added:
        size = format_size(added.size)
        if added.left_out:
            print(f"  left out, {added.reason}: {_paths(added.paths)} ({size}; add with --add)")
        else:
            print(f"  added, {added.reason}: {_paths(added.paths)} ({size})")
    for name, owner in report.missing.items():
        print(f"  missing: {name}, needed by {owner} (optional: the program starts without it)")
    _print_selection(report.selection)
    _print_plans(report.plans)


def _print_selection(selection: Selection) -> None:
    how = {
        "all": "all" if len(selection.calls) == selection.of else "all but those excluded",
        "analysis": "those that the program can reach",
        "profile": "by the trace",
    }[selection.method]
    print(f"  kernel: {len(selection.calls)} of {selection.of} calls ({how})", end="")
    print(f", with {', '.join(selection.parts)}" if selection.parts else "")
    for note in selection.notes:
        print(f"    {note}")


def _print_plans(plans: PlanSummary) -> None:
    if plans.found:
        print(f"  system calls: {plans.found} sites found, {plans.patched} patched", end="")
        print(f" ({_counts(plans.by_technique)}), {plans.left} left to the slower trap")
    if plans.left_by_reason:
        print(f"    left because: {_counts(plans.left_by_reason)}")
    for path, reason in plans.failed.items():
        print(f"  not analysed, its system calls take the slower trap: {path}: {reason}")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common() if count)


def _paths(paths: tuple[str, ...]) -> str:
    shown = ", ".join(paths[:4])
    return shown if len(paths) <= 4 else f"{shown} and {len(paths) - 4} more"
