"""Fixtures: a toy kernel as the native parts, a cache of its own, small programs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]

TABLE = """
[[call]]
nr = 1
name = "write"
component = "files"
level = "full"

[[call]]
nr = 0
name = "read"
component = "files"
level = "partial"
note = "no limits to speak of"

[[call]]
nr = 169
name = "reboot"
component = "admin"
level = "refused"
note = "there is nothing to reboot"
"""


def build_toy_kernel(directory: Path, *flags: str) -> Path:
    subprocess.run(["gcc", "-c", *flags, DATA / "toy_kernel.s", "-o", directory / "toy.o"], check=True)
    kernel = directory / "kernel.elf"
    subprocess.run(["ld", "-T", DATA / "toy_kernel.ld", directory / "toy.o", "-o", kernel], check=True)
    return kernel


@pytest.fixture(scope="session")
def toy_kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_toy_kernel(tmp_path_factory.mktemp("kernel"))


@pytest.fixture
def native_parts(toy_kernel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Native parts around the toy kernel; the monitor prints its arguments, one a line."""
    directory = tmp_path / "native"
    directory.mkdir()
    shutil.copy(toy_kernel, directory / "kernel.elf")
    (directory / "syscalls.toml").write_text(TABLE)
    monitor = directory / "compat-monitor"
    monitor.write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\nexit 9\n')
    monitor.chmod(0o755)
    monkeypatch.setenv("COMPAT_NATIVE_DIR", str(directory))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return directory


@pytest.fixture(scope="session")
def compile_c(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Compiles C source text: `compile_c(name, text, *flags)`."""
    directory = tmp_path_factory.mktemp("programs")

    def compile_one(name: str, text: str, *flags: str, compiler: str = "gcc") -> Path:
        source = directory / f"{name}.c"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(text)
        output = directory / name
        subprocess.run([compiler, source, "-o", output, *flags], check=True, cwd=directory)
        return output

    return compile_one


@pytest.fixture(scope="session")
def hello(compile_c: Callable[..., Path]) -> Path:
    return compile_c("hello", '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')


@pytest.fixture(scope="session")
def static_hello(compile_c: Callable[..., Path]) -> Path:
    return compile_c("hello-static", '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n', "-static")
