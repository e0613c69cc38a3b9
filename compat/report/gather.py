"""Makes the report of a program: over the same code as an image of it would hold."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from compat import native
from compat.closure import find_closure
from compat.erofs import plan_layout
from compat.errors import CompatError, MissingLibraryError, UnsupportedProgramError
from compat.plans import make_plans
from compat.program import Kind, Program, find_program
from compat.report.model import Chosen, Reason, Report, Size, Verdict, Word
from compat.report.verdict import judge
from compat.report.weigh import weigh
from compat.runtime_files import add_runtime_files
from compat.select.kernel import select_kernel
from compat.select.model import Selection, SelectRequest, Uplinks
from compat.select.programs import analyse
from compat.skeleton import add_skeleton
from compat.syscall_table import Call, read_table
from compat.tree import Tree

Progress = Callable[[int, int], None]


def make_report(name: str, *, trace: Counter[str] | None = None, progress: Progress | None = None) -> Report:
    """Looks at a program, or at the interpreter of a script. `trace` counts the calls of a real run."""
    started = time.monotonic()
    try:
        program = find_program(name)
        if program.kind is Kind.IMAGE:
            hint = "compat inspect shows what an image holds"
            raise CompatError(f"{name} is an image; a report is about a program", hint)
        report = _look(program, trace, progress)
    except (MissingLibraryError, UnsupportedProgramError) as error:
        report = Report(name, os.path.abspath(name), Verdict(Word.FAILS, (Reason(str(error)),)))
    return replace(report, seconds=time.monotonic() - started)


def _look(program: Program, trace: Counter[str] | None, progress: Progress | None) -> Report:
    tree = Tree(keep_ids=False)
    add_skeleton(tree)
    closure = find_closure(program.exe)
    tree.add_host(program.exe)
    add_runtime_files(tree, program.exe, closure)
    for path in closure.files:
        tree.add_host(path)
    table = native.native_file(native.TABLE)
    rows = read_table(table)
    reaches = analyse(closure, tree, rows, progress)
    kernel, selection = select_kernel(SelectRequest(uplinks=Uplinks.USER), lambda _rows: reaches)
    layout = plan_layout(tree)
    segment, plans = make_plans(tree, layout)
    # What the program may start besides is in the image, but it is not what the report is about.
    reach = reaches[0]
    needs, beyond = weigh(reach, table, trace)
    return Report(
        program=program.typed,
        path=program.path,
        verdict=judge(needs, reach),
        interpreter=program.exe if program.kind is Kind.SCRIPT else "",
        files=tuple(closure.files),
        needs=needs,
        unresolved=reach.unresolved,
        unknown_files=dict(reach.unknown_files),
        paths=dict(reach.paths),
        plans=plans,
        size=Size(len(kernel.data), layout.size, len(segment), len(layout.placed)),
        chosen=_chosen(selection, rows),
        beyond=beyond,
    )


def _chosen(selection: Selection, rows: Sequence[Call]) -> Chosen:
    components = {row.component for row in rows if row.name in selection.calls}
    others = {row.component for row in rows if row.has_handler} - components
    return Chosen(
        calls=len(selection.calls),
        of=selection.of,
        components=tuple(sorted(components)),
        left_out=tuple(sorted(others)),
        notes=selection.notes,
    )
