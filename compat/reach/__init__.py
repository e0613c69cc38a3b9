"""Which system calls a program can reach, and how."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from compat import native
from compat.closure import Closure
from compat.reach import cache, runner
from compat.reach.model import CallUse, Certainty, Detail, Reach, Step, Unresolved

__all__ = ["CallUse", "Certainty", "Detail", "Reach", "Step", "Unresolved", "find_reach"]


def find_reach(
    closure: Closure, *, cache_dir: Path | None = None, progress: Callable[[int, int], None] | None = None
) -> Reach:
    """What the program of a closure can reach in all its files.

    Never fails because of what the files hold: what cannot be analysed is in `Reach.unknown_files`.
    `progress` is told how many files are done, of how many.
    """
    start = time.monotonic()
    files = list(closure.files)
    tool = native.native_file(native.REACH)
    if cache_dir is None:
        found = runner.analyse(tool, files, closure.program.interpreter, progress)
        return replace(found, seconds=time.monotonic() - start)
    key = _key([str(tool), *files])
    found_before = cache.load(cache_dir, key)
    if found_before is not None:
        return replace(found_before, seconds=time.monotonic() - start)
    found = runner.analyse(tool, files, closure.program.interpreter, progress)
    found = replace(found, seconds=time.monotonic() - start)
    if runner.TOOL_FAILED not in found.unknown_files.values():
        cache.store(cache_dir, key, found)
    return found


def _key(files: list[str]) -> str:
    """Everything that the result depends on: names in order and contents, the tool among them."""
    digest = hashlib.sha256(str(cache.FORMAT).encode())
    for path in files:
        digest.update(f"\0{path}\0".encode())
        try:
            with open(path, "rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            digest.update(str(error.errno).encode())
    return digest.hexdigest()
