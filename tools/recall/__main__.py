"""`python -m tools.recall`: recall and precision of the static analysis over real programs."""

from __future__ import annotations

import argparse
import glob
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from compat import native
from compat.closure import Closure, find_closure
from compat.errors import CompatError
from compat.reach import Reach, find_reach
from compat.runtime_files import add_runtime_files
from compat.skeleton import add_skeleton
from compat.syscall_table import read_table
from compat.tree import Tree
from tools.recall.trace import Load, LoadError, Trace, trace

PROGRAMS = Path(__file__).with_name("programs.toml")


@dataclass(frozen=True, slots=True)
class Row:
    """What was found for one program: `linked` without plug-ins, `reached` with them.

    `opened` are libraries that this machine's configuration made it open and no image would hold; they were analysed
    with the others. `missed` are calls that it made and the analysis does not name.
    """

    name: str
    kind: str
    files: int
    dynamic: bool
    linked: int
    reached: int
    certain: int
    traced: int
    opened: tuple[str, ...]
    missed: tuple[str, ...]
    unresolved: int
    unknown_files: int
    cpu_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.recall", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="programs of programs.toml (default: all)")
    parser.add_argument("--json", metavar="FILE", help="also write the rows as JSON")
    parser.add_argument("--no-trace", action="store_true", help="analyse only")
    arguments = parser.parse_args()
    if shutil.which("strace") is None:
        print("recall: strace is not installed", file=sys.stderr)
        return 2
    with PROGRAMS.open("rb") as file:
        loads = [Load(**row) for row in tomllib.load(file)["program"]]
    if unknown := set(arguments.names) - {load.name for load in loads}:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")
    rows, absent, broken = [], [], []
    for load in loads:
        if arguments.names and load.name not in arguments.names:
            continue
        if not Path(load.path).exists():
            absent.append(load.name)
            continue
        try:
            rows.append(study(load, traced=not arguments.no_trace))
        except (LoadError, CompatError) as error:
            broken.append(f"{load.name} ({error})")
            continue
        print(line(rows[-1]), flush=True)
    print(summary(rows))
    print(f"not installed: {', '.join(absent) or 'none'}; load failed: {', '.join(broken) or 'none'}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 1 if any(row.missed and not is_unbounded(row) for row in rows) else 0


def is_unbounded(row: Row) -> bool:
    """Whether an image would keep everything."""
    return bool(row.unresolved or row.unknown_files)


def study(load: Load, *, traced: bool) -> Row:
    """Analyses one program and compares."""
    closure = whole_closure(load.path, [file for pattern in load.plugins for file in sorted(glob.glob(pattern))])
    seen = trace(load) if traced else Trace(frozenset(), frozenset())
    known = {os.path.realpath(file) for file in closure.files}
    opened = sorted(file for file in seen.libraries if os.path.realpath(file) not in known)
    closure.extend(opened)
    with tempfile.TemporaryDirectory() as empty:
        start = child_seconds()
        reach = find_reach(closure, cache_dir=Path(empty))
        seconds = child_seconds() - start
        linked = find_reach(find_closure(load.path))
    names = {call.nr: call.name for call in read_table(native.native_file(native.TABLE))}
    reached = {names.get(nr, str(nr)) for nr in reach.calls}
    return Row(
        name=load.name,
        kind=load.kind,
        files=len(closure.files),
        dynamic=closure.program.interpreter is not None,
        linked=len(linked.calls),
        reached=len(reached),
        certain=certain(reach),
        traced=len(seen.calls),
        opened=tuple(opened),
        missed=tuple(sorted(seen.calls - reached)),
        unresolved=len(reach.unresolved),
        unknown_files=len(reach.unknown_files),
        cpu_seconds=round(seconds, 2),
    )


def child_seconds() -> float:
    """Processor time of ended children: a busy machine does not change it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def certain(reach: Reach) -> int:
    return sum(use.certainty.value == "certain" for use in reach.calls.values())


def whole_closure(path: str, plugins: list[str]) -> Closure:
    """The closure with all plug-ins that an image of the program would hold."""
    closure = find_closure(path)
    closure.extend(plugins)
    tree = Tree()
    add_skeleton(tree)
    tree.add_host(path)
    add_runtime_files(tree, path, closure)
    return closure


def line(row: Row) -> str:
    verdict = f"+{len(row.opened)} opened  " if row.opened else ""
    verdict += "recall ok" if not row.missed else f"MISSED {' '.join(row.missed)}"
    bound = f"unbounded ({row.unresolved} sites, {row.unknown_files} files)" if is_unbounded(row) else "bounded"
    counts = f"linked {row.linked:3}  reached {row.reached:3}  certain {row.certain:3}  traced {row.traced:3}"
    return (
        f"{row.name:14} {row.kind:18} {row.files:3} files  {counts}  {row.cpu_seconds:5.1f} s CPU  {bound}  {verdict}"
    )


def summary(rows: list[Row]) -> str:
    dynamic = [row for row in rows if row.dynamic]
    if not dynamic:
        return ""
    bounded = sum(not is_unbounded(row) for row in rows)
    medians = ", ".join(
        f"{what} {statistics.median(getattr(row, what) for row in dynamic):g}"
        for what in ("linked", "reached", "certain", "traced")
    )
    return (
        f"{len(rows)} programs, {len(dynamic)} of them dynamic with these medians: {medians}; "
        f"bounded: {bounded}; calls missed: {sum(len(row.missed) for row in rows)}"
    )


if __name__ == "__main__":
    sys.exit(main())
