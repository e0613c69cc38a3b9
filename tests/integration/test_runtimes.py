"""Managed run-times from Debian: the JVM, Node.js' workers, OCaml, Haskell, and CPython's own tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.harness import Command, Guest, Same, require, run_native

PROGRAMS = Path(__file__).resolve().parent / "programs"
JAVA_HOME = Path("/usr/lib/jvm/java-17-openjdk-amd64")
# The JVM's folder refers to its configuration, which lies elsewhere.
JAVA_FILES = (str(JAVA_HOME), "/etc/java-17-openjdk")
PYTHON_TESTS = Path("/usr/lib/python3.11/test")


@pytest.fixture(scope="session")
def java() -> str:
    return require(str(JAVA_HOME / "bin/java"), "openjdk-17-jdk-headless")


@pytest.fixture(scope="session")
def java_classes(java: str, work_cache: Path) -> Path:
    """The Java programs, compiled."""
    del java
    sources = sorted((PROGRAMS / "java").glob("*.java"))
    place = work_cache / "java"
    newest = max(path.stat().st_mtime for path in sources)
    if not place.exists() or place.stat().st_mtime < newest:
        partial = place.with_suffix(f".{os.getpid()}")
        subprocess.run([JAVA_HOME / "bin/javac", "-d", partial, *sources], check=True, timeout=120)
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)
    return place


def test_java_version(java: str, same: Same) -> None:
    same(Command([java, "-version"], add=JAVA_FILES, memory="1G"))


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["Parallel"], 5),
        (["-XX:TieredStopAtLevel=1", "Compile"], 0),
        (["-Xmx64m", "-XX:+UseG1GC", "Garbage"], 0),
        (["-Xmx64m", "-XX:+UseSerialGC", "Garbage"], 0),
    ],
    ids=["fork-join", "compiler", "g1", "serial"],
)
def test_java(arguments: list[str], status: int, java: str, java_classes: Path, same_on_cpus: Same) -> None:
    argv = [java, "-cp", str(java_classes), *arguments]
    add = [*JAVA_FILES, str(java_classes)]
    same_on_cpus(Command(argv, add=add, memory="1G", timeout=180), status=status)


def test_java_sizes_itself_to_the_guest(java: str, guest: Guest) -> None:
    command = Command([java, "-XshowSettings:system", "-version"], add=JAVA_FILES, memory="600M", timeout=180)
    outcome = guest.run(command)
    assert outcome.status == 0
    assert b"Provider: cgroupv2" in outcome.stderr


def test_node_workers(same_on_cpus: Same) -> None:
    node, script = require("/usr/bin/node", "nodejs"), str(PROGRAMS / "workers.js")
    same_on_cpus(Command([node, script], add=[script], memory="1G", timeout=180), status=7)


# The others take long to load, or time themselves.
OCTANE = ("richards", "deltablue", "crypto", "raytrace", "earley-boyer", "regexp", "splay", "navier-stokes", "box2d")


def test_octane(same_on_cpus: Same, octane: Path) -> None:
    """V8's benchmark, which checks its own results; without its clock, so that it prints the same each time."""
    node, script = require("/usr/bin/node", "nodejs"), str(PROGRAMS / "octane.js")
    argv = [node, script, str(octane / "lib/octane"), "2", *OCTANE]
    same_on_cpus(Command(argv, add=[script, str(octane)], memory="1G", timeout=180))


@pytest.mark.parametrize(("compiler", "suffix"), [("ocamlopt", "cmxa"), ("ocamlc", "cma")], ids=["native", "bytecode"])
def test_ocaml(compiler: str, suffix: str, work_cache: Path, same_on_cpus: Same) -> None:
    path = require(f"/usr/bin/{compiler}", "ocaml-nox")
    source = PROGRAMS / "work.ml"
    folder = work_cache / f"ocaml-{compiler}"
    program = folder / "work"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        folder.mkdir(exist_ok=True)
        # The compiler leaves its files beside the source.
        shutil.copy(source, folder)
        options = ["-thread", "-I", "+threads", f"unix.{suffix}", f"threads.{suffix}", "work.ml", "-o", "work"]
        subprocess.run([path, *options], cwd=folder, check=True, timeout=120)
    if compiler == "ocamlopt":
        same_on_cpus(Command([str(program)]), status=4)
    else:
        add = [str(program), "/usr/lib/ocaml/stublibs"]
        same_on_cpus(Command(["/usr/bin/ocamlrun", str(program)], add=add), status=4)


def test_pandoc(same_on_cpus: Same, tmp_path: Path) -> None:
    pandoc = require("/usr/bin/pandoc", "pandoc")
    part = (
        "# Title\n\n*em* `code` [link](http://x.org)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. one\n2. two\n\n$x^2$\n\n"
    )
    document = tmp_path / "document.md"
    document.write_text(part * 100)
    for target in ("html", "latex"):
        same_on_cpus(Command([pandoc, "-t", target, str(document)], add=[str(document)], memory="1G", timeout=120))


# Tests that are quick, look at no clock and need no process of their own; `python -m tools.suites cpython` runs all.
PYTHON_UNITS = {
    "test_thread": ["ThreadRunningTests", "BarrierTest"],
    "test_signal": ["PosixTests.test_trivial_signal_handler", "PosixTests.test_getsignal"],
    "test_mmap": ["MmapTests.test_basic", "MmapTests.test_resize_op", "MmapTests.test_anonymous"],
    "test_os": ["FileTests", "StatAttributeTests", "WalkTests", "MakedirTests", "UtimeTests"],
    "test_shutil": ["TestRmTree", "TestCopyTree"],
    "test_fileio": ["CAutoFileTests", "COtherFileTests"],
}


@pytest.mark.parametrize("module", PYTHON_UNITS)
def test_cpython(module: str, guest: Guest) -> None:
    python = require("/usr/bin/python3.11", "python3.11")
    if not (PYTHON_TESTS / f"{module}.py").exists():
        require(str(PYTHON_TESTS), "libpython3.11-testsuite")
    runner = str(PROGRAMS / "unittest_verdicts.py")
    wanted = [word for name in PYTHON_UNITS[module] for word in ("--only", name)]
    add = [runner, str(PYTHON_TESTS)]
    command = Command([python, runner, *wanted, module], add=add, memory="1G", timeout=180)
    native, ours = run_native(command), guest.run(command)
    expected, found = verdicts(native.stdout), verdicts(ours.stdout)
    assert "passed" in expected.values()
    assert {name: verdict for name, verdict in found.items() if expected.get(name) != verdict} == {}
    assert found.keys() == expected.keys()


def verdicts(lines: bytes) -> dict[str, str]:
    """The last word on each test; a test that never ended stays started."""
    told = [json.loads(line) for line in lines.splitlines()]
    return {line["test"]: line["verdict"] for line in told if "test" in line}
