"""The acceptance programs side by side, each in a loop of its own: none hangs for having to share the host."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.integration.harness import kill_group
from tools.soak.acceptance import ROOT, ROUND_SECONDS, one_round
from tools.soak.lived import servers
from tools.soak.watch import LeakError, Soak
from tools.suites import cpython, stress_ng

# Guests have up to 2 GiB, and their clients and native twins something besides.
FREE_KIB = 3 << 20
PAUSE = 2.0
# Stressors and modules of tests are many: each round takes the next few.
STRESSORS = 8

# What went wrong in one round.
Round = Callable[[int], Sequence[str]]


def tests(*arguments: str) -> Round:
    """Tests that run a program natively and in the guest: those that say nothing of CPUs with one, then with two."""

    def run(number: int) -> Sequence[str]:
        cpus = str(1 + number % 2)
        found = one_round(arguments, {"COMPAT_TEST_CPUS": cpus})
        return [f"{name}, {cpus} CPUs: {trouble}" for name, trouble in found if trouble is not None]

    return run


def suite(name: str, units: Callable[[], Sequence[str]], at_once: int) -> Round:
    """The next units of a program's own test suite."""

    def run(number: int) -> Sequence[str]:
        every = list(units())
        chosen = [every[(number * at_once + i) % len(every)] for i in range(min(at_once, len(every)))]
        argv = [sys.executable, "-m", "tools.suites", name, *chosen]
        # Another CPU after each time that all of them ran.
        cpus = str(1 + number * at_once // len(every) % 2)
        status, output = ended(argv, {"COMPAT_TEST_CPUS": cpus}, ROUND_SECONDS)
        return [] if status == 0 else [f"{' '.join(chosen)}, {cpus} CPUs: {output}"]

    return run


def ended(argv: Sequence[str], env: dict[str, str], seconds: float) -> tuple[int, str]:
    """Status and the last of the output."""
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            argv,
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return -1, f"no end within {seconds:.0f} s"
        finally:
            kill_group(process)
        log.seek(0)
        return process.returncode, log.read().decode(errors="backslashreplace")[-2000:]


def managed(name: str) -> Round:
    return tests("servers/test_managed.py", "-k", name)


def runtimes(name: str) -> Round:
    return tests("test_runtimes.py", "-k", name)


def parallel(name: str) -> Round:
    return tests("test_parallel.py", "-k", name)


def served(name: str, minutes: float) -> Round:
    """A server that lives on, with one CPU, then with two: what it holds becomes flat."""

    def run(_number: int) -> Sequence[str]:
        argv = [sys.executable, "-m", "tools.soak", "lived", "--only", name, "--minutes", str(minutes)]
        with tempfile.TemporaryDirectory(prefix="compat-soak-") as folder:
            status, output = ended(argv, {"XDG_RUNTIME_DIR": folder}, ROUND_SECONDS + minutes * 60)
        print(output.strip(), flush=True)
        return [] if status == 0 else [output]

    return run


# By what is on the list. The others end with each round, so that only servers can show memory that grows.
PROGRAMS: dict[str, Round] = {
    "etcd": tests("servers/test_etcd.py"),
    "restic": parallel("restic"),
    "goroutines": tests("test_languages.py", "test_two_cpus.py", "-k", "test_go"),
    "javac": runtimes("test_java and compiler"),
    "fork-join": runtimes("test_java and fork"),
    "gc-g1": runtimes("test_java and g1"),
    "gc-serial": runtimes("test_java and serial"),
    "octane": runtimes("octane"),
    # Their script has the promises of the file system and timers as well.
    "node-workers": runtimes("workers"),
    "erl": tests("test_processes.py", "-k", "test_erlang"),
    "ocaml-native": runtimes("test_ocaml and native"),
    "ocaml-bytecode": runtimes("test_ocaml and bytecode"),
    "unison": parallel("unison"),
    "pandoc": runtimes("pandoc"),
    "cpython": suite("cpython", lambda: [f"test_{name}" for name in cpython.MODULES], 1),
    "jdk-httpserver": managed("PlainServer"),
    "netty": managed("NettyServer"),
    "tomcat": managed("TomcatServer"),
    "yaws": managed("test_erlang"),
    "ocsigenserver": managed("test_ocaml"),
    "hledger-web": managed("test_haskell"),
    "ripgrep": parallel("ripgrep"),
    "fd": parallel("test_fd"),
    "pigz": parallel("pigz"),
    "pbzip2": parallel("pbzip2"),
    "xz": parallel("test_compressor and xz"),
    "zstd": parallel("zstd"),
    "sysbench": parallel("sysbench"),
    "stress-ng": suite("stress-ng", lambda: stress_ng.units(Path()), STRESSORS),
}


@dataclass(frozen=True, slots=True)
class Told:
    name: str
    rounds: int
    seconds: float
    failures: Sequence[str]

    def __str__(self) -> str:
        word = f"{len(self.failures)} FAILED" if self.failures else "all as natively"
        return f"{self.name:16} {self.rounds:4} rounds in {self.seconds / 60:4.1f} min, {word}"


def beside(soak: Soak) -> str:
    """Each acceptance program in a loop for --minutes, --jobs of them at a time: none hangs or differs."""
    # Each is run twice at the least.
    lasting = {f"{name}-lived": served(name, soak.minutes / 2) for name in servers()}
    chosen = soak.chosen({**PROGRAMS, **lasting})
    with ThreadPoolExecutor(soak.jobs) as pool:
        told = list(pool.map(lambda name: loop(name, chosen[name], soak.minutes * 60), chosen))
    table = "\n".join(map(str, told))
    rounds = sum(one.rounds for one in told)
    failures = [f"{one.name}: {text}" for one in told for text in one.failures]
    if failures:
        raise LeakError("\n".join([f"{rounds} rounds, {len(failures)} failures", table, *failures]))
    return f"{rounds} rounds of {len(told)} programs\n{table}"


def loop(name: str, run: Round, seconds: float) -> Told:
    """At least once with each number of CPUs."""
    begin = time.monotonic()
    failures: list[str] = []
    for number in itertools.count():
        wait_for_memory()
        for text in run(number):
            failures.append(f"round {number + 1}: {text}")
            print(f"{name}: {failures[-1]}", flush=True)
        passed = time.monotonic() - begin
        if number >= 1 and passed >= seconds:
            break
    told = Told(name, number + 1, passed, failures)
    print(told, flush=True)
    return told


def wait_for_memory() -> None:
    """Others on the machine have their share."""
    while available_kib() < FREE_KIB:
        time.sleep(PAUSE)


def available_kib() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
