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
KVM_DEVICE = "/dev/kvm"


def native_path(name: str) -> str:
    """`COMPAT_NATIVE_DIR` lets a developer try parts built elsewhere."""
    folder = os.environ.get("COMPAT_NATIVE_DIR") or os.path.join(os.path.dirname(__file__), "_native")
    return os.path.join(folder, name)


def native_dir() -> Path:
    return Path(native_path(""))


def native_file(name: str) -> Path:
    path = native_dir() / name
    if not path.is_file():
        raise InternalError(f"this installation lacks {name}", "reinstall compat, or run: python -m compat._build")
    return path
