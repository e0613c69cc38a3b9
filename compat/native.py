"""The native parts that the build puts beside the Python code."""

from __future__ import annotations

import os
from pathlib import Path

from compat.errors import InternalError

MONITOR = "compat-monitor"
KERNEL = "kernel.elf"
REACH = "compat-reach"
TABLE = "syscalls.toml"
CONSTANTS = "constants.json"
# What another kernel is linked from, for an image that holds less.
ARCHIVE = "libkernel.a"
LINKER_SCRIPT = "kernel.ld"


def native_dir() -> Path:
    """`COMPAT_NATIVE_DIR` lets a developer try parts built elsewhere."""
    override = os.environ.get("COMPAT_NATIVE_DIR")
    return Path(override) if override else Path(__file__).parent / "_native"


def native_file(name: str) -> Path:
    path = native_dir() / name
    if not path.is_file():
        raise InternalError(f"this installation lacks {name}", "reinstall compat, or run: python -m compat._build")
    return path
