"""Files that something was made of, and whether they are still what they were.

They are looked at before every start, thousands where the program is an interpreter. The launcher
(monitor/launcher/src/files.rs) reads the same lists, and compares them as it is done here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

MAGIC = b"CPTINPT1"
# Python code of this tool that decides what an image holds and how it is started.
PACKAGES = ("", "cli", "erofs", "analysis", "reach", "select")


def cache_folder() -> str:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "compat")


def identities(paths: Iterable[str | bytes], status: Callable[[str | bytes], os.stat_result] = os.lstat) -> list[int]:
    """Inode and time of change, which content, mode, owner and replacement all alter; zeros for what is not there."""
    found: list[int] = []
    for path in paths:
        try:
            of_path = status(path)
            found += (of_path.st_ino, of_path.st_ctime_ns)
        except OSError:
            found += (0, 0)
    return found


def tool_identity(kernel: str) -> str:
    """Of the tool's own modules, and of the kernel."""
    return as_text(identities(tool_files(kernel)))


def tool_files(kernel: str) -> list[str]:
    files = [kernel]
    for folder in tool_folders():
        try:
            with os.scandir(folder) as entries:
                files += sorted(entry.path for entry in entries if entry.name.endswith((".py", ".toml")))
        except OSError:
            continue
    return files


def tool_folders() -> list[str]:
    """Where the modules are: a folder changes when one is added to it."""
    package = os.path.dirname(__file__)
    return [os.path.join(package, name) for name in PACKAGES]


def as_text(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def manifest_text(tool: str, paths: Sequence[str], numbers: Sequence[int]) -> bytes:
    """What `is_current` reads: a list of fields with zero bytes between, of which the paths come last."""
    fields = [MAGIC, tool.encode(), as_text(numbers).encode(), *map(os.fsencode, paths)]
    return b"\0".join(fields)


def is_current(made: str, manifest_file: str, tool: str) -> bool:
    """Whether what was made is there, by this tool, and none of its inputs has changed."""
    try:
        with open(manifest_file, "rb") as file:
            magic, of_tool, numbers, *paths = file.read().split(b"\0")
    except (OSError, ValueError):
        return False
    if magic != MAGIC or of_tool != tool.encode() or not os.path.exists(made):
        return False
    return as_text(identities(paths)).encode() == numbers
