"""Acceptance programs at a size that no test has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.integration.harness import (
    ENVIRONMENT,
    Command,
    Guest,
    Outcome,
    assert_same,
    cache_folder,
    npm_package,
    require,
    run_native,
    tail,
)
from tests.integration.servers import test_etcd
from tools.soak.lived import sized
from tools.soak.watch import LeakError, Soak

OCTANE = "benchmark-octane@1.0.1"
# A line for each program; one that fails tells what instead of a figure.
RESULT, RESULTS = rb"(?m)^\w+ +: \d+$", 17
SECONDS = 900.0
PART = "# Title {}\n\n*em* `code` [link](http://x.org)\n\n| a | b |\n|---|---|\n| 1 | {} |\n\n1. one\n2. two\n\n$x$\n\n"


def heavy(soak: Soak) -> str:
    """All of Octane with its clock, pandoc on a document of a megabyte, etcdctl's benchmark; at one CPU and at two."""
    told = []
    for cpus in (1, 2):
        for work in (octane, document, etcd):
            told.append(f"{work.__name__} with {cpus} CPUs: {work(soak, cpus)}")
            print(told[-1], flush=True)
    return f"{len(told)} runs"


def run(soak: Soak, command: Command) -> Outcome:
    if soak.place == "native":
        return run_native(command)
    return Guest("kvm", soak.folder / "cache", 1).run(command)


def octane(soak: Soak, cpus: int) -> str:
    """The figures are of this machine now; each program also checks what it computed."""
    package = npm_package(cache_folder(), OCTANE) / "benchmark-octane"
    argv = [require("/usr/bin/node", "nodejs"), str(package / "run.js")]
    outcome = run(soak, Command(argv, add=[str(package)], memory="2G", cpus=cpus, timeout=SECONDS))
    score = re.search(rb"Score \(version 9\): (\d+)", outcome.stdout)
    if outcome.status != 0 or score is None or len(re.findall(RESULT, outcome.stdout)) != RESULTS:
        raise LeakError(f"Octane: status {outcome.status}\n{tail(outcome.stdout)}\n{tail(outcome.stderr)}")
    return f"score {int(score[1])}"


def document(soak: Soak, cpus: int) -> str:
    path = Path(soak.folder, "document.md")
    path.write_text("".join(PART.format(n, n) for n in range(9000)))
    argv = [require("/usr/bin/pandoc", "pandoc"), "-t", "html", str(path)]
    command = Command(argv, add=[str(path)], memory="4G", cpus=cpus, timeout=SECONDS)
    native = run_native(command)
    assert_same(native, run(soak, command))
    return f"{path.stat().st_size >> 10} KiB become {len(native.stdout) >> 10}, the same"


def etcd(soak: Soak, cpus: int) -> str:
    """150 puts a second for a minute, which etcdctl judges."""
    with soak.server(sized(test_etcd.etcd, cpus)) as server:
        argv = [require("/usr/bin/etcdctl", "etcd-client"), "--endpoints", server.endpoint.url(""), "check", "perf"]
        env = {**ENVIRONMENT, "ETCDCTL_API": "3"}
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, env=env, check=False)
    lines = [line.strip() for line in re.split(r"[\r\n]", done.stdout) if re.match(r"\s*(PASS|FAIL|\w+ .*too )", line)]
    if not lines:
        raise LeakError(f"etcdctl check perf tells nothing: {done.stdout[-500:]}{done.stderr[-500:]}")
    return "; ".join(lines)
