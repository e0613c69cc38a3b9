"""Programs of C, C++, Rust and Go that use several threads for one job."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.harness import ENVIRONMENT, Command, Same, require, sorted_lines

COMPRESSORS = {
    "pigz": ["-c", "-n", "-p", "4"],
    "pbzip2": ["-c", "-p2", "-b1"],
}


@pytest.mark.parametrize("name", COMPRESSORS)
def test_compressor(name: str, same: Same, work_cache: Path) -> None:
    program = require(f"/usr/bin/{name}", name)
    sample = work_cache / "parallel.txt"
    if not sample.exists():
        sample.write_text("".join(f"line {n * 7919 % 100003} of many\n" for n in range(150_000)))
    same(Command([program, *COMPRESSORS[name], str(sample)], add=[str(sample)]))


def test_fd(same: Same, work_cache: Path) -> None:
    program = require("/usr/bin/fdfind", "fd-find")
    folder = work_cache / "many-files"
    for number in range(200):
        place = folder / f"d{number % 7}" / f"e{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"file{number}.{('txt', 'rs')[number % 2]}").touch()
    argv = [program, "--threads", "4", "-e", "rs", ".", str(folder)]
    same(Command(argv, add=[str(folder)]), edit=sorted_lines)


def test_sysbench(same: Same) -> None:
    program = require("/usr/bin/sysbench", "sysbench")
    common = ["--threads=8", "--time=0", "--report-interval=0"]
    for test in (["threads", "--events=50"], ["mutex", "--mutex-loops=100"], ["memory", "--memory-total-size=16M"]):
        same(Command([program, test[0], *common, *test[1:], "run"]), edit=counted)


def counted(report: bytes) -> bytes:
    """The lines that do not depend on speed: threads, events in all."""
    wanted = (b"Number of threads", b"total number of events", b"Threads started", b"FATAL")
    return b"".join(line for line in report.splitlines(keepends=True) if line.strip().startswith(wanted))


def test_restic(same: Same, work_cache: Path) -> None:
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
        same(Command([program, *where, *words], env=env, add=[str(repository)], memory="1G", timeout=120))
