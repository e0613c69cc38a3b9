"""Patch plans for all code in the image: which `syscall` and `cpuid` instructions become jumps."""

from __future__ import annotations

import hashlib
import mmap
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from compat.cache import cache_dir
from compat.elf import is_elf
from compat.errors import CompatError, InternalError

if TYPE_CHECKING:
    from compat.analysis import FilePlan
    from compat.erofs import Layout
    from compat.tree import Node, Tree

# Below this much code a second process costs more than it saves.
WORTH_A_PROCESS = 1 << 20

PlanProgress = Callable[[int, int], None]


@dataclass(slots=True)
class PlanSummary:
    """System calls over all files, and files that could not be analysed, with the reason."""

    files: int = 0
    found: int = 0
    patched: int = 0
    left: int = 0
    by_technique: Counter[str] = field(default_factory=Counter)
    left_by_reason: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)


def make_plans(tree: Tree, layout: Layout, progress: PlanProgress | None = None) -> tuple[bytes, PlanSummary]:
    """The plans segment and what it holds."""
    from compat.analysis import Instruction, encode_plans

    nodes = {node.source: node for node in _code(tree) if node.source is not None}
    summary = PlanSummary()
    plans = _plan_all(sorted(nodes, key=lambda path: -nodes[path].size), summary, progress)
    for plan in plans.values():
        summary.files += 1
        summary.found += plan.sites
        summary.patched += plan.patched(Instruction.SYSCALL)
        summary.left += sum(plan.left_by_reason.values())
        summary.by_technique.update({technique.name.lower(): count for technique, count in plan.by_technique.items()})
        summary.left_by_reason.update(plan.left_by_reason)
    return encode_plans({layout.nid(nodes[path]): plan for path, plan in plans.items()}), summary


def _code(tree: Tree) -> Iterator[Node]:
    """Files that may hold sites: ELF files that can be mapped executable, with the bytes of an instruction."""
    seen: set[int] = set()
    for path, node in tree.walk():
        if not node.is_file or node.source is None or id(node) in seen:
            continue
        seen.add(id(node))
        mappable = node.mode & 0o111 or b".so" in path or path.endswith(b".node")
        if mappable and is_elf(node.source) and _holds_sites(node.source):
            yield node


def _holds_sites(path: str) -> bool:
    from compat.analysis import Instruction

    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return any(data.find(instruction.code) >= 0 for instruction in Instruction)
    except (OSError, ValueError):
        return False


def _plan_all(paths: list[str], summary: PlanSummary, progress: PlanProgress | None) -> dict[str, FilePlan]:
    from compat.analysis import cache

    directory = _plan_cache()
    plans: dict[str, FilePlan] = {}
    todo: list[str] = []
    for path in paths:
        known = cache.load(directory, _digest(path)) if directory is not None else None
        if known is None:
            todo.append(path)
        else:
            plans[path] = known
    done = len(plans)
    for path, result in _plan_new(todo, directory):
        if isinstance(result, str):
            summary.failed[path] = result
        else:
            plans[path] = result
        done += 1
        if progress is not None:
            progress(done, len(paths))
    return plans


def _plan_new(todo: list[str], directory: Path | None) -> Iterator[tuple[str, FilePlan | str]]:
    """Plans the files, largest first, in as many processes as there are CPUs."""
    workers = min(len(os.sched_getaffinity(0)), len(todo))
    if workers < 2 or sum(os.path.getsize(path) for path in todo) < WORTH_A_PROCESS:
        for path in todo:
            yield path, _plan_one(path, directory)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["compat.analysis.planner"])
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts) as pool:
        futures = {pool.submit(_plan_one, path, directory): path for path in todo}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise InternalError("the analysis of the program's code was killed (out of memory?)") from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _plan_one(path: str, directory: Path | None) -> FilePlan | str:
    from compat.analysis import AnalysisError, plan_patches

    try:
        return plan_patches(Path(path), cache_dir=directory)
    except AnalysisError as error:
        return str(error)
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"


def _leave_interrupts() -> None:
    """Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _plan_cache() -> Path | None:
    """Plans outlive images. Without a writable cache they are made each time."""
    directory = cache_dir() / "plans"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return directory


def _digest(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CompatError(f"cannot read {path}: {error.strerror}") from error
