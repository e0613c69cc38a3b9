"""Interpreters and run-times from Debian: Python, Perl, Lua, Ruby, awk, Node.js, Go."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.harness import ENVIRONMENT, Command, Same, require

PROGRAMS = Path(__file__).resolve().parent / "programs"
NUMPY = "numpy==2.2.6"


@pytest.fixture(scope="session")
def python() -> str:
    return require("/usr/bin/python3.11", "python3.11")


PYTHON_SCRIPTS = sorted(path.name for path in (PROGRAMS / "python").glob("*.py"))


@pytest.mark.parametrize("script", PYTHON_SCRIPTS)
def test_python_script(script: str, python: str, same: Same) -> None:
    path = str(PROGRAMS / "python" / script)
    same(Command([python, path, "argument", "zwei"], stdin=b"first line\nsecond line\n", add=[path], timeout=120))


def test_python_command_and_standard_input(python: str, same: Same) -> None:
    same(Command([python, "-c", "import sys; print(sys.version_info[:2], sys.argv, sys.executable)", "a"]))
    same(Command([python, "-"], stdin=b"print(sum(range(1000)))\nraise SystemExit(3)\n"), status=3)
    same(Command([python, "-c", "1/0"]), status=1)
    same(
        Command([python, "-X", "faulthandler", "-c", "import os; print('x', flush=True); os.abort()"]),
        status=134,
        stderr=False,
    )


def test_python_finds_its_own_machine(python: str, same: Same) -> None:
    """By the name that it has from the host."""
    code = "import socket; name = socket.gethostname(); print(name, socket.gethostbyname(name) != '')"
    same(Command([python, "-c", code]))


@pytest.fixture(scope="session")
def numpy_environment(work_cache: Path, python: str) -> Path:
    """A virtual environment with numpy, kept between sessions."""
    place = work_cache / f"venv-{NUMPY}"
    if not (place / "complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([python, "-m", "venv", place], check=True, timeout=120)
        subprocess.run([place / "bin/pip", "install", "-q", "--only-binary", ":all:", NUMPY], check=True, timeout=300)
        # Byte code made now is the same for both runs.
        subprocess.run([place / "bin/python", "-m", "compileall", "-q", place / "lib"], check=False, timeout=300)
        (place / "complete").touch()
    return place


def test_numpy_in_a_virtual_environment(numpy_environment: Path, same: Same) -> None:
    script = str(PROGRAMS / "numpy_work.py")
    argv = [str(numpy_environment / "bin/python"), script]
    # One thread: the number of processors must not change how sums are split.
    env = {"OPENBLAS_NUM_THREADS": "1"}
    command = Command(argv, env=env, add=[str(numpy_environment), script], memory="1G", timeout=120)
    same(command)


def test_perl(same: Same, data: Path) -> None:
    perl, script = require("/usr/bin/perl", "perl"), str(PROGRAMS / "work.pl")
    same(Command([perl, script, str(data / "text.txt")], add=[script, str(data)]))
    same(
        Command(
            [perl, "-MList::Util=sum", "-MPOSIX=floor", "-e", "print sum(1..100), ' ', floor(3.7), qq(\\n); exit 4"]
        ),
        status=4,
    )
    same(Command([perl, "-ne", "print scalar reverse $_"], stdin=(data / "words.txt").read_bytes()))


def test_lua(same: Same, data: Path) -> None:
    lua, script = require("/usr/bin/lua5.4", "lua5.4"), str(PROGRAMS / "work.lua")
    same(Command([lua, script, str(data / "text.txt")], add=[script, str(data)]))
    same(Command([lua, "-e", "error('deliberate')"]), status=1)


def test_ruby(same: Same, data: Path) -> None:
    ruby, script = require("/usr/bin/ruby", "ruby"), str(PROGRAMS / "work.rb")
    same(Command([ruby, script, str(data / "text.txt")], add=[script, str(data)], timeout=120))
    same(Command([ruby, "-e", "puts [3,1,2].sort.inspect; exit 9"]), status=9)


def test_gawk(same: Same, data: Path) -> None:
    gawk, script = require("/usr/bin/gawk", "gawk"), str(PROGRAMS / "work.awk")
    same(Command([gawk, "-f", script, str(data / "table.csv"), str(data / "text.txt")], add=[script, str(data)]))


def test_node_watches_a_directory(same: Same) -> None:
    node, script = require("/usr/bin/node", "nodejs"), str(PROGRAMS / "watch.js")
    same(Command([node, script], add=[script], memory="1G", timeout=120))


def test_node(same: Same) -> None:
    node, script = require("/usr/bin/node", "nodejs"), str(PROGRAMS / "work.js")
    same(Command([node, script, "one", "two"], add=[script], memory="1G", timeout=120))
    same(
        Command(
            [node, "-e", "setTimeout(() => console.log('later'), 50); console.log('first')"], memory="1G", timeout=120
        )
    )
    same(Command([node, "-e", "process.exit(6)"], memory="1G"), status=6)


@pytest.fixture(scope="session")
def go_program(work_cache: Path) -> Path:
    """A static Go program, built by the Go toolchain of the machine."""
    go = shutil.which("go") or require("/usr/bin/go", "golang-go")
    source, program = PROGRAMS / "goroutines.go", work_cache / "programs" / "goroutines"
    program.parent.mkdir(exist_ok=True)
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        env = {
            **ENVIRONMENT,
            "CGO_ENABLED": "0",
            "GOCACHE": str(work_cache / "go"),
            "GOFLAGS": "-mod=mod",
            "GO111MODULE": "off",
        }
        partial = program.with_suffix(f".{os.getpid()}")
        subprocess.run([go, "build", "-o", partial, source], env=env, check=True, timeout=300)
        partial.rename(program)
    return program


def test_go(go_program: Path, same: Same) -> None:
    same(Command([str(go_program), "20000"], timeout=120))
    same(Command([str(go_program), "panic"]), status=2, stderr=False)
