"""Starts that are known already: what makes them quick, and what makes them known no more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.test_cli import compat

pytestmark = [
    pytest.mark.usefixtures("native_parts"),
    pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm"),
]


@pytest.fixture
def program(hello: Path, tmp_path: Path) -> Path:
    """A program of the test's own."""
    (tmp_path / "bin").mkdir()
    return Path(shutil.copy(hello, tmp_path / "bin" / "hello"))


def quick(*arguments: str | Path, **extra: str) -> tuple[list[str], bool]:
    """What the monitor was told, one word a line, and whether no command line was parsed for it."""
    done = compat(*arguments, PYTHONPROFILEIMPORTTIME="1", **extra)
    assert done.returncode == 9, done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return done.stdout.splitlines(), not {"click", "json", "pathlib", "compat.cache"} & loaded


def test_the_second_start_is_quick_and_the_same(program: Path) -> None:
    first, was_quick = quick("run", program, "-m", "1G", "--", "-x", "y z")
    assert not was_quick
    assert quick("run", program, "-m", "1G", "--", "-x", "y z") == (first, True)
    # What follows -- is the program's, and may differ.
    assert quick("run", program, "-m", "1G", "--", "other") == ([*first[:-2], "other"], True)
    assert quick("run", program, "-m", "1G") == (first[:-3], True)
    # Options may not.
    told, was_quick = quick("run", program, "-m", "2G")
    assert str(2 << 30) in told
    assert not was_quick


def test_images_and_arguments_without_dashes(program: Path, tmp_path: Path) -> None:
    compat("wrap", program, "-o", tmp_path / "x.img")
    for words in ([tmp_path / "x.img"], [tmp_path / "x.img", "one", "two"], [program, "one"]):
        first, was_quick = quick("run", *words)
        assert not was_quick
        assert quick("run", *words) == (first, True)


def replace(program: Path) -> None:
    program.with_name("new").write_bytes(program.read_bytes() + b"\0")
    program.with_name("new").chmod(0o755)
    program.with_name("new").replace(program)


def shadow(program: Path) -> None:
    (program.parent.parent / "first").mkdir()
    shutil.copy(program, program.parent.parent / "first" / "hello")


def damage(program: Path) -> None:
    for record in (program.parent.parent / "cache" / "compat").glob("*.start"):
        record.write_bytes(record.read_bytes()[:40])


def touch_kernel(program: Path) -> None:
    os.utime(program.parent.parent / "native" / "kernel.elf", ns=(1, 1))


@pytest.mark.parametrize("change", [replace, shadow, damage, touch_kernel])
def test_changes_are_noticed(program: Path, tmp_path: Path, change: Callable[[Path], None]) -> None:
    places = {"PATH": f"{tmp_path / 'first'}:{program.parent}:{os.environ['PATH']}"}
    assert not quick("run", "hello", **places)[1]
    assert quick("run", "hello", **places)[1]
    change(program)
    assert not quick("run", "hello", **places)[1]
    assert quick("run", "hello", **places)[1]


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "TZ"])
def test_the_environment_counts(program: Path, name: str) -> None:
    for value in ("one", "two", "one"):
        assert f"{name}={value}" in quick("run", program, **{name: value})[0]
    for value in ("one", "two"):
        assert f"OTHER={value}" in quick("run", program, "-e", "OTHER", OTHER=value)[0]


def test_scripts_take_the_long_way(program: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{program} -u\n")
    script.chmod(0o755)
    first = quick("run", script)
    assert quick("run", script) == first
    assert not first[1]


def test_closed_streams_are_not_taken(program: Path) -> None:
    """The monitor's descriptors begin where ours did."""
    quick("run", program)
    monitor = program.parent.parent / "native" / "compat-monitor"
    monitor.write_text("#!/bin/sh\n[ -e /proc/self/fd/0 ] && exit 8\nexit 9\n")
    command = 'exec "$0" -m compat run "$1" <&-'
    for _ in range(2):
        assert subprocess.run(["/bin/sh", "-c", command, sys.executable, program], check=False).returncode == 9
