"""Threads: what they cost, and what a second processor brings."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import compat
from tools.bench.programs import ENVIRONMENT, HERE, BenchError, command, compile_c, wrap
from tools.bench.rows import Bench, Row, medians

MONITOR = Path(compat.__file__).parent / "_native" / "compat-monitor"
JVM = Path("/usr/lib/jvm/java-17-openjdk-amd64")
# Name of a figure of smp.c, and the most that its time in the guest may be of native.
COSTS = {
    "mutex-uncontended": 1.05,
    "mutex-contended-4-threads": 1.3,
    "thread-create-join": 1 / 0.5,
    "pipe-ping-pong-one-cpu": 1 / 0.3,
    "pipe-ping-pong": None,
    "signal-to-self": 1 / 0.5,
}
# A second processor is to bring at least so much of what it brings natively.
SPEED_UP = 0.95


@dataclass(frozen=True, slots=True)
class Job:
    """A program for any number of processors; `argv` gets that number."""

    name: str
    argv: Callable[[int], list[str]]
    add: tuple[str, ...]


def smp(bench: Bench) -> Iterable[Row]:
    """Needs two processors."""
    if len(os.sched_getaffinity(0)) < 2:
        raise BenchError("the group smp needs a machine with two processors")
    yield from costs(bench)
    for job in jobs(bench.folder):
        bench.progress(job.name)
        yield speed_up(bench, job)


def costs(bench: Bench) -> Iterable[Row]:
    bench.progress("threads")
    program = compile_c("smp.c", bench.folder / "smp", "-static", "-pthread")
    image = wrap(str(program), bench.folder / "smp.img")
    native: dict[str, list[float]] = {name: [] for name in COSTS}
    guest: dict[str, list[float]] = {name: [] for name in COSTS}
    for _ in range(bench.runs):
        for argv, samples in (([str(program)], native), (machine(2, image), guest)):
            for line in command(argv).splitlines():
                name, value = line.split()
                samples[name].append(float(value))
    for name, most in COSTS.items():
        yield medians(name, "ns", native[name], guest[name], ratio_at_most=most)


def machine(cpus: int, image: Path, *argv: str) -> list[str]:
    return [str(MONITOR), "--cpus", str(cpus), "--mem", "1G", "--net", "none", str(image), "--", *argv]


def speed_up(bench: Bench, job: Job) -> Row:
    """The time with two processors as a share of that with one."""
    program = job.argv(2)[0]
    options = [word for item in job.add for word in ("--add", item)]
    image = wrap(program, bench.folder / f"{job.name}.img", *options)
    processors = sorted(os.sched_getaffinity(0))
    native: list[float] = []
    guest: list[float] = []
    for _ in range(bench.runs):
        alone, both = (
            seconds(["taskset", "-c", ",".join(map(str, processors[:count])), *job.argv(count)]) for count in (1, 2)
        )
        native.append(both / alone)
        alone, both = (seconds(machine(count, image, *job.argv(count)[1:])) for count in (1, 2))
        guest.append(both / alone)
    middle = statistics.median
    samples = {"native": native, "guest": guest}
    return Row(f"{job.name}: time on 2 CPUs", "of 1", middle(native), middle(guest), 1 / SPEED_UP, None, samples)


def seconds(argv: list[str]) -> float:
    begin = time.monotonic()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, env=ENVIRONMENT, timeout=300, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)} failed with status {done.returncode}")
    return time.monotonic() - begin


def jobs(folder: Path) -> Iterable[Job]:
    load = folder / "load.bin"
    source = random.Random(1)
    words = [source.randbytes(source.randrange(3, 12)) for _ in range(5000)]
    load.write_bytes(b" ".join(source.choices(words, k=4_000_000)))
    data = str(load)
    yield Job("pigz", lambda cpus: ["/usr/bin/pigz", "-p", str(cpus), "-c", data], (data,))
    yield Job("xz", lambda cpus: ["/usr/bin/xz", f"-T{cpus}", "-1", "--block-size=2MiB", "-c", data], (data,))
    go = shutil.which("go")
    if go is None:
        raise BenchError("go is not installed (on Debian: apt install golang-go)")
    program = str(folder / "parallel-go")
    build = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off"}
    subprocess.run([go, "build", "-o", program, str(HERE / "parallel.go")], env=build, check=True)
    yield Job("go", lambda _: [program], ())
    classes = str(folder / "classes")
    command([str(JVM / "bin/javac"), "-d", classes, str(HERE / "Parallel.java")])
    java = [str(JVM / "bin/java"), "-cp", classes, "Parallel"]
    yield Job("java", lambda _: java, (str(JVM), "/etc/java-17-openjdk", classes))
