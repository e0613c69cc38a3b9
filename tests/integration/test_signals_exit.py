"""Streams, signals and ends: what a shell or a service manager relies on."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Command, Guest, Same, kill_group, require, run, shell_status

PYTHON = "/usr/bin/python3.11"
MIB = 1 << 20

HANDLER = """
import os, signal, sys, time
def handler(number, frame):
    os.write(1, f"got {signal.Signals(number).name}\\n".encode())
    os._exit(40 + number)
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), handler)
print("ready", flush=True)
while True:
    time.sleep(1)
"""


@contextmanager
def started(guest: Guest, command: Command, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The guest running in the background; gone at the end."""
    with subprocess.Popen(
        guest.argv(command),
        start_new_session=True,
        **{
            "env": guest.environment(),
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **streams,
        },
    ) as process:
        try:
            yield process
        finally:
            kill_group(process)


def wait_for_line(process: subprocess.Popen[bytes], wanted: bytes, seconds: float) -> None:
    """The next line of its output is this one."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        if line.strip() != wanted:
            process.kill()
            raise AssertionError(f"{line!r}, not {wanted!r}; stderr: {process.stderr.read().decode()}")
    finally:
        timer.cancel()


def test_what_the_program_says_comes_before_what_is_said_of_it(guest: Guest) -> None:
    """Several writes, then a crash, which the kernel reports by another way than the program's output takes."""
    python = require(PYTHON, "python3.11")
    words = "import os; [os.write(2, b'last words\\n') for _ in range(20)]; import ctypes; ctypes.string_at(0)"
    outcome = guest.run(Command([python, "-c", words]))
    assert outcome.status == 139
    assert outcome.stderr.startswith(b"last words\n" * 20 + b"compat: thread 1 ended by SIGSEGV"), outcome.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_signal_reaches_a_handler(name: str, guest: Guest) -> None:
    python = require(PYTHON, "python3.11")
    with started(guest, Command([python, "-c", HANDLER, name])) as process:
        wait_for_line(process, b"ready", 60 * guest.slowdown)
        process.send_signal(getattr(signal, name))
        stdout, stderr = process.communicate(timeout=20 * guest.slowdown)
    assert stdout == f"got {name}\n".encode(), stderr
    assert process.returncode == 40 + getattr(signal, name)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signal_without_a_handler_ends_the_program(name: str, guest: Guest) -> None:
    python = require(PYTHON, "python3.11")
    with started(guest, Command([python, "-c", HANDLER])) as process:
        wait_for_line(process, b"ready", 60 * guest.slowdown)
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=20 * guest.slowdown)
    assert shell_status(process.returncode) == 128 + getattr(signal, name)


# Linux, too, does nothing else then; the signal comes all the same.
STORM = r"""
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
static void on_timer(int sig) { (void)sig; }
static void on_term(int sig) { _exit(write(1, "told\n", 5) == 5 ? 40 + sig : 1); }
int main(void) {
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec often = {{0, 1}, {0, 1}};
    timer_t timer;
    signal(SIGALRM, on_timer);
    signal(SIGTERM, on_term);
    puts("ready");
    fflush(stdout);
    for (int i = 0; i < 1000; i++) {
        if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, NULL)) return 1;
    }
    for (;;) {}
}
"""


def test_more_timers_than_can_be_served_do_not_keep_a_signal_away(guest: Guest, tmp_path: Path) -> None:
    source, program = tmp_path / "storm.c", tmp_path / "storm"
    source.write_text(STORM)
    subprocess.run(["gcc", source, "-o", program], check=True)
    with started(guest, Command([str(program)])) as process:
        wait_for_line(process, b"ready", 60)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (40 + signal.SIGTERM, b"told\n")


@pytest.mark.parametrize("status", [0, 1, 77, 125, 126, 127, 255])
def test_exit_status(status: int, same: Same) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    same(Command([busybox, "sh", "-c", f"exit {status}"]), status=status)


def test_end_of_standard_input(same: Same) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    same(Command([busybox, "cat"]))
    same(Command([busybox, "cat"], stdin=b"no newline at the end"))
    same(Command([busybox, "wc"], stdin=b"\0\xff\n" * 1000))


def test_a_hundred_megabytes_through_cat(guest: Guest) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    size = 100 if guest.slowdown == 1 else 4
    block = os.urandom(MIB)
    expected, seen, length = hashlib.sha256(block * size), hashlib.sha256(), 0
    with started(guest, Command([busybox, "cat"]), stdin=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None

        def feed() -> None:
            assert process.stdin is not None
            for _ in range(size):
                process.stdin.write(block)
            process.stdin.close()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        while chunk := process.stdout.read(MIB):
            seen.update(chunk)
            length += len(chunk)
        assert process.wait(timeout=60 * guest.slowdown) == 0
    assert length == size * MIB and seen.digest() == expected.digest()


def test_streams_are_separate_and_ordered(same: Same) -> None:
    python = require(PYTHON, "python3.11")
    script = "import os\nfor i in range(300):\n os.write(1, b'out %d\\n' % i); os.write(2, b'err %d\\n' % i)"
    same(Command([python, "-c", script]))


def test_standard_streams_to_and_from_files(guest: Guest, data: Path) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    with open(data / "text.txt", "rb") as source, tempfile.TemporaryFile() as target:
        with started(guest, Command([busybox, "cat"]), stdin=source, stdout=target) as process:
            assert process.wait(timeout=60 * guest.slowdown) == 0
        target.seek(0)
        assert target.read() == (data / "text.txt").read_bytes()


def test_reader_that_goes_away(guest: Guest) -> None:
    """As in `yes | head -1`: the program ends; the machine does not stay."""
    busybox = require("/bin/busybox", "busybox-static")
    with started(guest, Command([busybox, "yes"])) as process:
        wait_for_line(process, b"y", 60 * guest.slowdown)
        assert process.stdout is not None
        process.stdout.close()
        assert shell_status(process.wait(timeout=20 * guest.slowdown)) in {1, 128 + signal.SIGPIPE}


def test_closed_standard_input(guest: Guest) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    argv = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *guest.argv(Command([busybox, "head", "-c", "5", "/dev/zero"]))]
    outcome = run(argv, env=guest.environment(), timeout=60 * guest.slowdown)
    assert outcome.stdout == b"\0" * 5, outcome
    assert outcome.status == 0


def descendants(root: int) -> list[int]:
    """Processes whose ancestor is `root`, itself included while it lives."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found, grew = {root} & parents.keys(), True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found, grew = found | more, bool(more)
    return sorted(found)


def test_killed_monitor_leaves_nothing(guest: Guest, tmp_path: Path) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    command = Command([busybox, "sh", "-c", "echo ready; read line"])
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # Others that run tests meanwhile fill the common cache.
    guest = replace(guest, cache=tmp_path / "cache")
    guest.run(Command([busybox, "true"]))
    # A start is remembered before it is made (compat/remember.py): that is no rest of it.
    cached = [path for path in sorted(guest.cache.rglob("*")) if path.suffix != ".start"]
    env = {**guest.environment(), "TMPDIR": str(temporary)}
    with started(guest, command, env=env, stdin=subprocess.PIPE) as process:
        wait_for_line(process, b"ready", 60 * guest.slowdown)
        family = descendants(process.pid)
        process.kill()
        process.wait(timeout=10)
        deadline = time.monotonic() + 5
        while (alive := [pid for pid in family if os.path.exists(f"/proc/{pid}")]) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert alive == []
    assert list(temporary.iterdir()) == []
    assert [path for path in sorted(guest.cache.rglob("*")) if path.suffix != ".start"] == cached


def test_exit_while_output_is_pending(same: Same) -> None:
    """Everything written before the end arrives."""
    python = require(PYTHON, "python3.11")
    script = "import os, sys\nsys.stdout.write('x' * 3_000_000)\nsys.stdout.flush()\nos._exit(5)"
    same(Command([python, "-c", script]), status=5)
