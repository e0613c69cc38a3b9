"""Static analysis of what an image runs: its program, and the programs that this one may start."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence

from compat import native
from compat.cache import cache_dir
from compat.closure import Closure, find_closure
from compat.elf import ElfError, is_elf
from compat.errors import MissingLibraryError
from compat.reach import Reach, find_reach
from compat.runtime_files import PLUGIN_NAME
from compat.select.starts import starts_programs
from compat.syscall_table import Call
from compat.tree import Tree

Progress = Callable[[int, int], None]


def analyse(closure: Closure, tree: Tree, table: Sequence[Call], progress: Progress | None = None) -> list[Reach]:
    """What each program reaches."""
    if not (native.native_dir() / native.REACH).is_file():
        return [_unknown(closure.program.path, f"this installation lacks {native.REACH}")]
    first = find_reach(closure, cache_dir=cache_dir() / "reach", progress=progress)
    if not starts_programs(first, table):
        return [first]
    return [first, *(_analyse_other(path) for path in _other_programs(tree, closure))]


def _analyse_other(path: str) -> Reach:
    try:
        closure = find_closure(path)
    except (MissingLibraryError, ElfError) as error:
        return _unknown(path, str(error))
    return find_reach(closure, cache_dir=cache_dir() / "reach")


def _other_programs(tree: Tree, closure: Closure) -> Iterator[str]:
    sources = {node.source for _, node in tree.walk() if node.is_file and node.mode & stat.S_IXUSR and node.source}
    known = {os.path.realpath(path) for path in closure.files}
    for source in sorted(sources):
        if os.path.realpath(source) not in known and not PLUGIN_NAME.fullmatch(source) and is_elf(source):
            yield source


def _unknown(path: str, reason: str) -> Reach:
    return Reach(calls={}, unknown_files={path: reason})
