"""Wraps a program: closure, root file system, patch plans, configuration, image."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compat import manifest, native
from compat.bootconfig import BootConfig, encode
from compat.closure import Closure, find_closure
from compat.dpkg import Dpkg
from compat.elf import ElfError, is_elf
from compat.erofs import Layout, plan_layout
from compat.errors import CompatError
from compat.image import ImageSizes, Kernel, build_image
from compat.plans import PlanSummary, make_plans
from compat.program import Program
from compat.runtime_files import PLUGIN_NAME, Added, add_runtime_files
from compat.select.kernel import select_kernel
from compat.select.model import Selection
from compat.select.programs import analyse
from compat.skeleton import add_own_files, add_skeleton
from compat.tree import Tree
from compat.wrap_request import Addition, WrapRequest

DEFAULT_ENV = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root")


@dataclass(frozen=True, slots=True)
class WrapReport:
    output: Path
    libraries: list[str]
    missing: dict[str, str]
    added: list[Added]
    plans: PlanSummary
    selection: Selection
    sizes: ImageSizes
    files: int
    inputs: dict[str, os.stat_result] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a caller may watch; all default to nothing."""

    analysing: Callable[[int, int], None] | None = None
    planning: Callable[[int, int], None] | None = None
    writing: Callable[[int], None] | None = None


def wrap(request: WrapRequest, progress: Progress | None = None) -> WrapReport:
    """Makes the image and says what went into it."""
    progress = progress or Progress()
    monitor = native.native_file(native.MONITOR) if request.standalone else None
    tree = Tree(keep_ids=request.keep_ids)
    libraries, closure, added = fill(tree, request.program, request.additions, lean=request.lean, cwd=request.cwd)
    kernel, selection = select_kernel(request.select, lambda table: analyse(closure, tree, table, progress.analysing))
    layout = plan_layout(tree)
    plans, summary = make_plans(tree, layout, progress.planning)
    sizes = build_image(
        kernel=kernel,
        config=encode(_config(request)),
        plans=plans,
        layout=layout,
        output=request.output,
        monitor=monitor,
        manifest=_manifest(request, kernel, selection, layout) if request.describe else b"",
        symbols=request.symbols,
        progress=progress.writing,
    )
    return WrapReport(
        output=request.output,
        libraries=libraries,
        missing=dict(closure.missing),
        added=added,
        plans=summary,
        selection=selection,
        sizes=sizes,
        files=len(layout.placed),
        inputs=tree.inputs,
    )


def fill(
    tree: Tree, program: Program, additions: Sequence[Addition] = (), *, lean: bool = False, cwd: str | None = None
) -> tuple[list[str], Closure, list[Added]]:
    """Everything that the program's image holds: its libraries, the closure, and what came along besides."""
    add_skeleton(tree)
    closure = find_closure(program.exe)
    libraries = [path for path in closure.files if path != program.exe]
    tree.add_host(program.exe)
    for script in program.scripts:
        tree.add_host(script)
    for addition in additions:
        if os.path.isdir(addition.host):
            tree.add_tree(addition.host, addition.guest)
        else:
            tree.add_host(addition.host, addition.guest)
    add_own_files(tree)
    closure.extend(_plugins(additions))
    for path in _libraries_of_programs(additions):
        tree.add_host(path)
    added = [] if lean else add_runtime_files(tree, program.exe, closure)
    moved = tuple(f"{item.host}/" for item in additions if item.host != item.guest)
    for path in closure.files:
        if not f"{path}/".startswith(moved):
            tree.add_host(path)
    if cwd is not None:
        tree.add_dir(cwd)
    return libraries, closure, added


def _plugins(additions: Sequence[Addition]) -> list[str]:
    """Shared objects among the added files: their libraries must come along too."""
    return [path for path in _files(additions) if PLUGIN_NAME.fullmatch(path) and is_elf(path)]


def _libraries_of_programs(additions: Sequence[Addition]) -> list[str]:
    """What the programs among the added files are linked with: they may be started."""
    found: dict[str, None] = {}
    for path in _files(additions):
        if os.access(path, os.X_OK) and not PLUGIN_NAME.fullmatch(path) and is_elf(path):
            # One that cannot be loaded is the user's file all the same.
            with contextlib.suppress(CompatError, ElfError):
                found.update(dict.fromkeys(file for file in find_closure(path).files if file != path))
    return list(found)


def _files(additions: Sequence[Addition]) -> Iterator[str]:
    for addition in additions:
        if os.path.isfile(addition.host):
            yield addition.host
        else:
            yield from sorted(os.path.join(base, name) for base, _, names in os.walk(addition.host) for name in names)


def _manifest(request: WrapRequest, kernel: Kernel, selection: Selection, layout: Layout) -> bytes:
    program = request.program
    digest = hashlib.sha256(kernel.data).hexdigest()
    return manifest.encode(manifest.describe(program.exe, program.scripts, digest, selection, layout, Dpkg()))


def _config(request: WrapRequest) -> BootConfig:
    program = request.program
    env = {pair.partition("=")[0]: pair for pair in (*DEFAULT_ENV, *request.env)}
    return BootConfig(
        exe=program.exe,
        arg0=program.arg0,
        args=[*program.prefix, *request.args],
        env=list(env.values()),
        cwd=request.cwd or "/",
        hostname="compat",
    )
