"""A terminal: line editing, Ctrl-C, Ctrl-D, the window's size, and a sane terminal afterwards."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.guest_cases import GUEST, build_one
from tests.integration.harness import ENVIRONMENT, Command, Guest, kill_group, require

ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
ROWS, COLUMNS = 40, 100


class Terminal:
    """The far side of a pseudo-terminal with a program on the near side."""

    def __init__(self, argv: list[str], env: dict[str, str], patience: float) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(ROWS, COLUMNS)
        self.before = termios.tcgetattr(self.slave)
        self.patience = patience
        self.seen = b""
        self.process = subprocess.Popen(
            argv,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=env,
            start_new_session=True,
            preexec_fn=self._own,
        )

    def _own(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def expect(self, wanted: bytes) -> bytes:
        """Waits until this appears in what is new; answers everything up to it, without escape sequences."""
        deadline = time.monotonic() + self.patience
        while wanted not in (clean := ESCAPE.sub(b"", self.seen)):
            ended = self.process.poll() is not None
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536)
            elif ended or time.monotonic() > deadline:
                why = f"the program ended with {self.process.returncode}" if ended else "no more came"
                raise AssertionError(f"{why}; {wanted!r} is not in {clean!r}")
        head, _, rest = clean.partition(wanted)
        self.seen = rest
        return head + wanted

    def close(self) -> None:
        kill_group(self.process)
        self.process.wait(timeout=10)
        os.close(self.master)
        os.close(self.slave)


@contextlib.contextmanager
def terminal(guest: Guest, command: Command) -> Iterator[Terminal]:
    env = {**guest.environment(), "TERM": "xterm"}
    argv = guest.argv(Command(command.argv, env={**command.env, "TERM": "xterm"}, add=command.add))
    opened = Terminal(argv, env, 30 * guest.slowdown)
    try:
        yield opened
    finally:
        opened.close()


@contextlib.contextmanager
def native_terminal(command: Command) -> Iterator[Terminal]:
    opened = Terminal(list(command.argv), {**ENVIRONMENT, **command.env, "TERM": "xterm"}, 20)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture(params=["native", "guest"])
def python(request: pytest.FixtureRequest, guest: Guest) -> Iterator[Terminal]:
    """A Python REPL; the native one shows that the test itself is right."""
    command = Command([require("/usr/bin/python3.11", "python3.11"), "-q"])
    opened = native_terminal(command) if request.param == "native" else terminal(guest, command)
    with opened as shell:
        shell.expect(b">>> ")
        yield shell


def test_python_repl(python: Terminal) -> None:
    python.type(b"6 * 7\r")
    assert b"42" in python.expect(b"42\r\n")
    python.expect(b">>> ")
    # Line editing: two backspaces, the cursor to the left, an insertion; then the history.
    python.type(b"print('abcXY\x7f\x7f')\x1b[D\x1b[D!\r")
    python.expect(b"abc!\r\n")
    python.expect(b">>> ")
    python.type(b"\x1b[A\x1b[A\r")
    python.expect(b"42\r\n")
    python.expect(b">>> ")
    python.type(b"import os, sys; print(os.get_terminal_size(), sys.stdin.isatty(), os.ttyname(0)[:5])\r")
    python.expect(f"os.terminal_size(columns={COLUMNS}, lines={ROWS}) True /dev/".encode())
    python.expect(b">>> ")
    python.type(b"\x04")
    assert python.process.wait(timeout=python.patience) == 0
    assert termios.tcgetattr(python.slave) == python.before


def test_python_keyboard_interrupt(python: Terminal) -> None:
    python.type(b"import time; time.sleep(1000)\r")
    time.sleep(1)
    python.type(b"\x03")
    python.expect(b"KeyboardInterrupt")
    python.expect(b">>> ")
    python.type(b"while True: pass\r\r")
    time.sleep(1)
    python.type(b"\x03")
    python.expect(b"KeyboardInterrupt")
    python.expect(b">>> ")
    # At the prompt it abandons the line. Between the prompt and its wait for a key Python would miss the signal.
    time.sleep(0.3)
    python.type(b"half a line\x03")
    python.expect(b"KeyboardInterrupt")
    python.expect(b">>> ")
    python.type(b"raise SystemExit(3)\r")
    assert python.process.wait(timeout=python.patience) == 3
    assert termios.tcgetattr(python.slave) == python.before


def test_window_size_changes(python: Terminal) -> None:
    python.type(b"import os, signal; told = lambda *_: print('changed', os.get_terminal_size().columns)\r")
    python.expect(b">>> ")
    python.type(b"signal.signal(signal.SIGWINCH, told)\r")
    python.expect(b">>> ")
    python.resize(24, 77)
    python.type(b"import time; time.sleep(0.3)\r")
    python.expect(b"changed 77")


@pytest.mark.parametrize("place", ["native", "guest"])
def test_canonical_mode(place: str, guest: Guest) -> None:
    """Without an editor of its own a program gets whole lines, with echo and erase."""
    command = Command([require("/bin/busybox", "busybox-static"), "cat"])
    with native_terminal(command) if place == "native" else terminal(guest, command) as cat:
        time.sleep(1 if place == "native" else 0)
        cat.type(b"helly\x7fo\r")
        cat.expect(b"\r\nhello\r\n")
        cat.type(b"word\x15line\r")
        cat.expect(b"\r\nline\r\n")
        cat.type(b"\x04")
        assert cat.process.wait(timeout=cat.patience) == 0


@pytest.mark.parametrize("place", ["native", "guest"])
def test_requests(place: str, guest: Guest, tmp_path: Path) -> None:
    """Every request that the table of system calls claims for terminals."""
    command = Command([str(build_one(GUEST / "system" / "terminal_requests.c", tmp_path))])
    with native_terminal(command) if place == "native" else terminal(guest, command) as opened:
        seen = opened.expect(b"\n")
        assert opened.process.wait(timeout=opened.patience) == 0, seen


@pytest.mark.parametrize("key", [b"\x03", b"\x1c"])
def test_keys_that_end_a_program(key: bytes, guest: Guest) -> None:
    command = Command([require("/bin/busybox", "busybox-static"), "cat"])
    number = signal.SIGINT if key == b"\x03" else signal.SIGQUIT
    with terminal(guest, command) as cat:
        cat.type(b"one\r")
        cat.expect(b"\r\none\r\n")
        cat.type(key)
        assert cat.process.wait(timeout=cat.patience) in {128 + number, -number}
        assert termios.tcgetattr(cat.slave) == cat.before


def test_terminal_is_restored_when_the_program_dies(guest: Guest) -> None:
    script = "import os, tty; tty.setraw(0); os.write(1, b'raw'); os.kill(os.getpid(), 9)"
    command = Command([require("/usr/bin/python3.11", "python3.11"), "-c", script])
    with terminal(guest, command) as dying:
        dying.expect(b"raw")
        assert dying.process.wait(timeout=dying.patience) in {128 + signal.SIGKILL, -signal.SIGKILL}
        assert termios.tcgetattr(dying.slave) == dying.before


@pytest.mark.parametrize("place", ["native", "guest"])
def test_job_control(guest: Guest, place: str) -> None:
    """A shell stops its children, lets them go on in the background, brings them back; Ctrl-C is theirs alone."""
    bash = require("/bin/bash", "bash")
    command = Command([bash, "--norc", "--noprofile", "-i"], env={"PS1": "ready> "}, add=["/bin/sleep", "/bin/cat"])
    opened = native_terminal(command) if place == "native" else terminal(guest, command)
    with opened as shell:
        shell.expect(b"ready> ")
        shell.type(b"sleep 1000\n")
        shell.expect(b"sleep 1000\r\n")
        time.sleep(1)
        shell.type(b"\x1a")
        shell.expect(b"Stopped")
        shell.expect(b"ready> ")
        shell.type(b"bg; jobs\n")
        shell.expect(b"Running")
        shell.expect(b"ready> ")
        shell.type(b"fg\n")
        shell.expect(b"sleep 1000\r\n")
        time.sleep(1)
        shell.type(b"\x03")
        shell.expect(b"ready> ")
        shell.type(b"echo status $?\n")
        shell.expect(b"status 130")
        # What is typed before the prompt is echoed twice: by the terminal, then by the shell.
        shell.expect(b"ready> ")
        shell.type(b"cat\n")
        shell.expect(b"cat\r\n")
        time.sleep(1)
        shell.type(b"through\n")
        shell.expect(b"through\r\nthrough\r\n")
        shell.type(b"\x04")
        shell.expect(b"ready> ")
        shell.type(b"exit 7\n")
        assert shell.process.wait(20) == 7


@pytest.mark.parametrize("place", ["native", "guest"])
def test_who_is_in_the_background_is_stopped(guest: Guest, place: str) -> None:
    """Who reads the shell's terminal, and with `stty tostop` also who writes to it, until it is brought back."""
    bash = require("/bin/bash", "bash")
    command = Command([bash, "--norc", "--noprofile", "-i"], env={"PS1": "ready> "}, add=["/bin/cat", "/bin/stty"])
    opened = native_terminal(command) if place == "native" else terminal(guest, command)
    with opened as shell:
        shell.expect(b"ready> ")
        shell.type(b"cat &\n")
        shell.expect(b"ready> ")
        stops(shell)
        shell.type(b"fg\n")
        shell.expect(b"cat\r\n")
        time.sleep(1)
        shell.type(b"through\n")
        shell.expect(b"through\r\nthrough\r\n")
        shell.type(b"\x04")
        shell.expect(b"ready> ")
        shell.type(b"stty tostop; echo l''oud &\n")
        shell.expect(b"ready> ")
        assert b"loud" not in stops(shell)
        shell.type(b"fg\n")
        shell.expect(b"loud\r\n")
        shell.expect(b"ready> ")
        # One that does not care is refused.
        shell.type(b"stty -tostop; (trap '' TTIN; read x; echo status $?) 2>&1 | cat & wait\n")
        shell.expect(b"Input/output error")
        shell.type(b"exit 7\n")
        assert shell.process.wait(20) == 7


def stops(shell: Terminal) -> bytes:
    """Waits until the shell tells that its job has stopped. Answers what was seen."""
    deadline = time.monotonic() + shell.patience
    seen = b""
    while b"Stopped" not in seen and time.monotonic() < deadline:
        shell.type(b"jobs\n")
        seen += shell.expect(b"jobs\r\n") + shell.expect(b"ready> ")
    assert b"Stopped" in seen
    return seen
