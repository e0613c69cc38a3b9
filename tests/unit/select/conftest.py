"""A toy kernel that can be linked in several ways."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.conftest import DATA


@pytest.fixture
def linkable(native_parts: Path) -> Path:
    """The native parts, with an archive."""
    subprocess.run(["as", "-I", DATA, DATA / "toy_archive.s", "-o", native_parts / "toy.o"], check=True)
    subprocess.run(["ar", "rcs", native_parts / "libkernel.a", native_parts / "toy.o"], check=True)
    shutil.copy(DATA / "toy_archive.ld", native_parts / "kernel.ld")
    return native_parts
