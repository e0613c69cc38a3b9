"""Real programs with threads on a machine with two CPUs."""

from __future__ import annotations

from pathlib import Path

from tests.integration.harness import Command, Guest, Same, require
from tests.integration.test_languages import PROGRAMS, go_program, python  # noqa: F401 - fixtures


def test_python_threads(python: str, same: Same) -> None:  # noqa: F811 - a fixture
    script = str(PROGRAMS / "python" / "parallel_threads.py")
    same(Command([python, script], add=[script], cpus=2, timeout=120))


def test_go_on_two_cpus(go_program: Path, same: Same) -> None:  # noqa: F811 - a fixture
    same(Command([str(go_program), "20000"], cpus=2, timeout=180))


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
