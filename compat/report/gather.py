"""Makes the report of a program, over the same code as an image of it would hold, or of an image."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from compat import native
from compat.erofs import plan_layout
from compat.errors import CompatError, MissingLibraryError, UnsupportedProgramError
from compat.manifest import Manifest
from compat.plans import make_plans
from compat.program import Kind, Program, find_program
from compat.reach import find_reach
from compat.report.model import Chosen, Reason, Report, Size, Verdict, Word
from compat.report.unpack import plain_reach, unpacked
from compat.report.verdict import judge
from compat.report.weigh import weigh
from compat.select.kernel import select_kernel
from compat.select.model import Selection, SelectRequest, Uplinks
from compat.select.programs import analyse
from compat.syscall_table import Call, read_table
from compat.tree import Tree
from compat.wrap import fill
from compat.wrap_request import Addition

Progress = Callable[[int, int], None]


def make_report(
    name: str,
    *,
    additions: Sequence[Addition] = (),
    trace: Counter[str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Looks at a program, at the interpreter of a script, or at a finished image. `trace` counts a real run's calls."""
    started = time.monotonic()
    try:
        program = find_program(name)
        if program.kind is Kind.IMAGE and additions:
            raise CompatError("--add needs a PROGRAM: an image is complete", "add the files with compat wrap --add")
        if program.kind is Kind.IMAGE:
            report = _look_at_image(program, trace, progress)
        else:
            report = _look(program, additions, trace, progress)
    except (MissingLibraryError, UnsupportedProgramError) as error:
        report = Report(name, os.path.abspath(name), Verdict(Word.FAILS, (Reason(str(error)),)))
    return replace(report, seconds=time.monotonic() - started)


def _look(
    program: Program, additions: Sequence[Addition], trace: Counter[str] | None, progress: Progress | None
) -> Report:
    tree = Tree(keep_ids=False)
    _, closure, _ = fill(tree, program, additions)
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


def _look_at_image(program: Program, trace: Counter[str] | None, progress: Progress | None) -> Report:
    """Its own files, and of the kernel what it holds: a call that was left out is missing."""
    table = native.native_file(native.TABLE)
    with unpacked(Path(program.path)) as image:
        tree = Tree(keep_ids=False)
        tree.add_tree(image.root, "/")
        reach = plain_reach(find_reach(image.closure, progress=progress), image)
        _, plans = make_plans(tree, plan_layout(tree))
        plans = replace(plans, failed={image.plain(file): why for file, why in plans.failed.items()})
        files = tuple(map(image.plain, image.closure.files))
        found = image.inspection
    manifest = found.manifest
    offered = frozenset(manifest.calls) if manifest is not None else None
    needs, beyond = weigh(reach, table, trace, offered)
    scripts = manifest.scripts if manifest is not None else ()
    kernel = found.kernel
    return Report(
        program=program.typed,
        path=program.path,
        verdict=judge(needs, reach),
        interpreter=files[0] if scripts else "",
        files=files,
        needs=needs,
        unresolved=reach.unresolved,
        unknown_files=dict(reach.unknown_files),
        paths=dict(reach.paths),
        plans=plans,
        size=Size(kernel.text + kernel.rodata + kernel.data, found.root_size, found.plans_size, len(found.files)),
        chosen=None if manifest is None else _chosen(_selection(manifest), read_table(table)),
        beyond=beyond,
    )


def _selection(manifest: Manifest) -> Selection:
    return Selection(method=manifest.method, calls=frozenset(manifest.calls), of=manifest.of, parts=manifest.parts)


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
