"""Managed runtimes: how soon they start under `compat run`, and what their garbage collectors and compilers cost."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.bench.programs import HERE, BenchError, Start, Starter, command, compile_c, wrap
from tools.bench.rows import PYTHON, Bench, Row, medians
from tools.bench.smp import JVM, MONITOR

COMPAT = Path(sys.executable).parent / "compat"
NODE = "/usr/bin/node"
JAVA_FILES = (str(JVM), "/etc/java-17-openjdk")
OCTANE = "benchmark-octane@1.0.1"
# On a smaller machine Java takes its serial collector, and has no archived heap to start from: natively too.
SERVER = ("--cpus", "2", "--mem", "2G")
# A start under `compat run`, and a whole run of what collects garbage or compiles, take at most so much of native.
START, RUN = 1.5, 1.10


@dataclass(frozen=True, slots=True)
class Program:
    """A program with its arguments, and what it needs besides its libraries."""

    name: str
    argv: tuple[str, ...]
    add: tuple[str, ...] = ()
    # Options of the machine.
    machine: tuple[str, ...] = ()

    def image(self, folder: Path) -> Path:
        options = [word for item in self.add for word in ("--add", item)]
        return wrap(self.argv[0], folder / f"{Path(self.argv[0]).name}-{len(self.add)}.img", *options)


def runtimes(bench: Bench) -> Iterable[Row]:
    yield from starts(bench)
    yield from loads(bench)


def starts(bench: Bench) -> Iterable[Row]:
    helper = Starter(compile_c("start.c", bench.folder / "start", "-static"))
    version = (str(JVM / "bin/java"), "-version")
    java = Program("java -version, 2 CPUs, 2G", version, JAVA_FILES, SERVER)
    small = Program("java -version", version, JAVA_FILES)
    node = Program("node -e 0", (NODE, "-e", "0"))
    python = Program("python3 -c ''", (PYTHON, "-c", ""))
    for program, most in ((java, START), (small, START), (node, START), (python, None)):
        bench.progress(f"start of {program.name}")
        yield from start(bench, helper, program, most)


def start(bench: Bench, helper: Starter, program: Program, most: float | None) -> Iterable[Row]:
    """Natively, by `compat run`, and by its parts: what runs before the monitor, the monitor and the boot, the rest."""
    image, figures = program.image(bench.folder), bench.folder / "figures.json"
    guest = [*program.machine, str(image), "--", *program.argv[1:]]
    ways = (list(program.argv), [str(COMPAT), "run", *guest], [str(MONITOR), "--json-stats", str(figures), *guest])
    for argv in ways:
        helper(argv)
    taken: tuple[list[Start], list[Start], list[Start]] = ([], [], [])
    boots: list[float] = []
    for _ in range(2 * bench.runs):
        for argv, samples in zip(ways, taken, strict=True):
            samples.append(helper(argv))
        boots.append(json.loads(figures.read_text())["boot_us"] / 1000)
    native, run, monitor = ([one.end_ms for one in samples] for samples in taken)
    yield medians(f"{program.name}: compat run, to its end", "ms", native, run, ratio_at_most=most)
    middle = statistics.median
    before, boot = middle(run) - middle(monitor), middle(boots)
    yield Row("  of it before the monitor", "ms", None, before)
    yield Row("  of it until the program begins", "ms", None, boot)
    yield Row("  of it the program", "ms", middle(native), middle(monitor) - boot)


def loads(bench: Bench) -> Iterable[Row]:
    classes = str(bench.folder / "classes")
    command([str(JVM / "bin/javac"), "-d", classes, str(HERE / "Garbage.java")])
    for collector in ("G1", "Serial"):
        options = ("-Xmx256m", f"-XX:+Use{collector}GC", "-cp", classes, "Garbage")
        yield load(
            bench, Program(f"Java garbage, {collector}", (str(JVM / "bin/java"), *options), (*JAVA_FILES, classes))
        )
    yield load(bench, Program("Go binary trees", (build_go(bench.folder),)))
    octane = fetch_octane(bench.folder)
    yield load(bench, Program("Octane under Node", (NODE, f"{octane}/run.js"), (octane,)), "1000/score")


def load(bench: Bench, program: Program, unit: str = "s") -> Row:
    bench.progress(program.name)
    image = program.image(bench.folder)
    machine = [str(MONITOR), "--cpus", "2", "--mem", memory(), "--net", "none", str(image), "--", *program.argv[1:]]
    native, guest = bench.alternately(lambda argv: figure(command(argv)), list(program.argv), machine)
    return medians(program.name, unit, native, guest, ratio_at_most=RUN)


def memory() -> str:
    """As much as the host has: runtimes size their heaps by it, and collect several times as often in a small one."""
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') >> 20}M"


def figure(output: str) -> float:
    """The seconds that a program printed; of a score the inverse, because less is to be better."""
    score = re.search(r"^Score \(version 9\): (\d+)$", output, re.MULTILINE)
    return 1000 / float(score[1]) if score else float(output)


def build_go(folder: Path) -> str:
    go = shutil.which("go")
    if go is None:
        raise BenchError("go is not installed (on Debian: apt install golang-go)")
    program = str(folder / "trees")
    build = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}
    subprocess.run([go, "build", "-o", program, str(HERE / "trees.go")], env=build, check=True)
    return program


def fetch_octane(folder: Path) -> str:
    """V8's former benchmark suite, from npm."""
    place = folder / "npm"
    if not place.exists():
        place.mkdir()
        options = [
            "--prefix",
            str(place),
            "--cache",
            str(place / "cache"),
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]
        # With the user's own settings: where the registry is, above all.
        done = subprocess.run(["npm", "install", *options, OCTANE], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise BenchError(f"npm cannot install {OCTANE}:\n{done.stderr.strip()}")
    return str(place / "node_modules" / OCTANE.partition("@")[0])
