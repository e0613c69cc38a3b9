"""Real programs with threads on a machine with two CPUs."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.integration.harness import Command, Guest, Same, require
from tests.integration.test_languages import PROGRAMS, go_program, python  # noqa: F401 - fixtures


@pytest.fixture(scope="session")
def load(work_cache: Path) -> str:
    """Something that compresses, in a few blocks."""
    path = work_cache / "load.bin"
    source = random.Random(5)
    words = [source.randbytes(source.randrange(3, 12)) for _ in range(2000)]
    path.write_bytes(b" ".join(source.choices(words, k=150_000)))
    return str(path)


COMPRESSORS = [
    pytest.param(["/usr/bin/pigz", "-p", "4", "-c"], "pigz", id="pigz"),
    pytest.param(["/usr/bin/xz", "-T2", "-1", "--block-size=300000", "-c"], "xz-utils", id="xz"),
    pytest.param(["/usr/bin/zstd", "-T2", "-B1MiB", "-3", "-c"], "zstd", id="zstd"),
]


@pytest.mark.parametrize(("argv", "package"), COMPRESSORS)
def test_compressors(argv: list[str], package: str, load: str, same: Same) -> None:
    require(argv[0], package)
    same(Command([*argv, load], add=[load], cpus=2, timeout=120))


def test_python_threads(python: str, same: Same) -> None:  # noqa: F811 - a fixture
    script = str(PROGRAMS / "python" / "parallel_threads.py")
    same(Command([python, script], add=[script], cpus=2, timeout=120))


def test_go_on_two_cpus(go_program: Path, same: Same) -> None:  # noqa: F811 - a fixture
    same(Command([str(go_program), "20000"], cpus=2, timeout=180))


def test_node_workers(same: Same) -> None:
    node, script = require("/usr/bin/node", "nodejs"), str(PROGRAMS / "workers.js")
    same(Command([node, script], add=[script], memory="1G", cpus=2, timeout=180), status=7)


def test_qemu_starts_the_other_cpus(qemu: Guest, python: str) -> None:  # noqa: F811 - a fixture
    require("/usr/bin/qemu-system-x86_64", "qemu-system-x86")
    script = (
        "import os, threading\n"
        "seen = set()\n"
        "def go(cpu):\n"
        "    os.sched_setaffinity(0, {cpu})\n"
        "    seen.add((cpu, os.sched_getaffinity(0) == {cpu}))\n"
        "threads = [threading.Thread(target=go, args=(cpu,)) for cpu in range(3)]\n"
        "[t.start() for t in threads], [t.join() for t in threads]\n"
        "print(sorted(seen), os.cpu_count())\n"
    )
    outcome = qemu.run(Command([python, "-c", script], cpus=3, timeout=60))
    assert outcome.stdout == b"[(0, True), (1, True), (2, True)] 3\n", outcome
