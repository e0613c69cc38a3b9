"""Programs of C, C++, Rust and Go that use several threads for one job."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.harness import ENVIRONMENT, Command, Same, require, run_native, sorted_lines

COMPRESSORS = {
    "pigz": ("pigz", ["-c", "-n", "-p", "4"]),
    "pbzip2": ("pbzip2", ["-c", "-p2", "-b1"]),
    "xz": ("xz-utils", ["-T2", "-1", "--block-size=300000", "-c"]),
    "zstd": ("zstd", ["-T2", "-B1MiB", "-3", "-c"]),
}


@pytest.fixture(scope="session")
def sample(work_cache: Path) -> str:
    """Something that compresses, in a few blocks."""
    path = work_cache / "parallel.txt"
    if not path.exists():
        path.write_text("".join(f"line {n * 7919 % 100003} of many\n" for n in range(150_000)))
    return str(path)


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compressor(name: str, sample: str, same_on_cpus: Same) -> None:
    package, options = COMPRESSORS[name]
    program = require(f"/usr/bin/{name}", package)
    same_on_cpus(Command([program, *options, sample], add=[sample], timeout=120))


def test_ripgrep(sample: str, same_on_cpus: Same) -> None:
    program = require("/usr/bin/rg", "ripgrep")
    argv = [program, "--threads", "4", "--count", "7[0-9]+ of", *[sample] * 8]
    same_on_cpus(Command(argv, add=[sample]), edit=sorted_lines)


def test_fd(same_on_cpus: Same, work_cache: Path) -> None:
    program = require("/usr/bin/fdfind", "fd-find")
    folder = work_cache / "many-files"
    for number in range(200):
        place = folder / f"d{number % 7}" / f"e{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file{number}.{('txt', 'rs')[number % 2]}").touch()
    argv = [program, "--threads", "4", "-e", "rs", ".", str(folder)]
    same_on_cpus(Command(argv, add=[str(folder)]), edit=sorted_lines)


def test_sysbench(same_on_cpus: Same) -> None:
    program = require("/usr/bin/sysbench", "sysbench")
    common = ["--threads=8", "--time=0", "--report-interval=0"]
    for test in (
        ["cpu", "--events=200", "--cpu-max-prime=1000"],
        ["threads", "--events=50"],
        ["mutex", "--mutex-loops=100"],
        ["memory", "--memory-total-size=16M"],
    ):
        same_on_cpus(Command([program, test[0], *common, *test[1:], "run"]), edit=counted)


def counted(report: bytes) -> bytes:
    """The lines that do not depend on speed: threads, events in all."""
    wanted = (b"Number of threads", b"total number of events", b"Threads started", b"FATAL")
    return b"".join(line for line in report.splitlines(keepends=True) if line.strip().startswith(wanted))


def test_restic(same_on_cpus: Same, work_cache: Path) -> None:
    program = require("/usr/bin/restic", "restic")
    env = {"RESTIC_PASSWORD": "secret"}
    source, repository = work_cache / "restic-source", work_cache / "restic-repository"
    if not (repository / "complete").exists():
        source.mkdir(exist_ok=True)
        (source / "numbers").write_text("".join(f"{n}\n" for n in range(100_000)))
        for words in (["init"], ["backup", "."]):
            argv = [program, "--no-cache", "-q", "-r", str(repository), *words]
            subprocess.run(argv, cwd=source, env={**ENVIRONMENT, **env}, check=True, timeout=120)
        (repository / "complete").touch()
    where = ["-r", str(repository), "--no-lock", "--no-cache", "-q"]
    for words in (["check", "--read-data"], ["dump", "latest", "/numbers"], ["ls", "latest"]):
        same_on_cpus(Command([program, *where, *words], env=env, add=[str(repository)], memory="1G", timeout=120))


def test_unison(same_on_cpus: Same, tmp_path: Path) -> None:
    """OCaml's native code. Natively it changes its folders, so they are made anew for the guest."""
    program = require("/usr/bin/unison", "unison")
    roots = [tmp_path / side for side in ("here", "there")]
    state = tmp_path / "state"
    env = {"UNISON": str(state), "UNISONLOCALHOSTNAME": "one"}
    argv = [program, "-ui", "text", "-batch", "-dumbtty", "-ignorearchives", *map(str, roots)]
    command = Command(argv, env=env, add=[str(tmp_path)], cpus=same_on_cpus.cpus)
    outcomes = []
    for run in (run_native, same_on_cpus.guest.run):
        shutil.rmtree(state, ignore_errors=True)
        for number, root in enumerate(roots):
            shutil.rmtree(root, ignore_errors=True)
            (root / "both").mkdir(parents=True)
            (root / "both" / "file").write_text("same\n")
            (root / f"only{number}").write_text("x" * 1000 * (number + 1))
        outcomes.append(run(command))
    for outcome in outcomes:
        assert (outcome.status, b"2 items transferred, 0 skipped, 0 failed" in outcome.stderr) == (0, True), outcome
