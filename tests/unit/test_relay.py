"""The relay beside QEMU, with a machine played by the test."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# Plays launcher: a relay around a sleeping process; the test holds the machine's ends of the sockets.
LAUNCHER = """
import os, socket, subprocess, sys
from compat.relay import Relay
ends = [socket.socket(fileno=int(fd)) for fd in sys.argv[1:5]]
process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=int(sys.argv[5]))
os.close(int(sys.argv[5]))
status = Relay(process, *ends).run()
sys.exit(99 if status is None else status)
"""


@dataclass
class Machine:
    process: subprocess.Popen[bytes]
    stdio: socket.socket
    stderr: socket.socket
    control: socket.socket
    debug: socket.socket
    life: int

    def line(self) -> str:
        data = b""
        while not data.endswith(b"\n"):
            data += self.control.recv(1)
        return data.decode().rstrip("\n")

    def end(self) -> int:
        for end in (self.stdio, self.stderr, self.control, self.debug):
            end.close()
        os.close(self.life)
        return self.process.wait(20)


@contextmanager
def machine(stdin: int = subprocess.PIPE, stdout: int = subprocess.PIPE) -> Iterator[Machine]:
    pairs = [socket.socketpair() for _ in range(4)]
    for ours, _ in pairs:
        ours.settimeout(20)
    life_read, life_write = os.pipe()
    numbers = [str(pair[1].fileno()) for pair in pairs] + [str(life_read)]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, *numbers],
        stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
        pass_fds=[int(number) for number in numbers],
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(life_read)
    for _, theirs in pairs:
        theirs.close()
    try:
        yield Machine(process, *(pair[0] for pair in pairs), life_write)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        for ours, _ in pairs:
            ours.close()


def test_streams_and_status() -> None:
    with machine() as guest:
        guest.stdio.sendall(b"out")
        guest.stderr.sendall(b"err")
        guest.debug.sendall(b"debug")
        guest.control.sendall(b"exit 42\n")
        assert guest.end() == 42
        assert guest.process.stdout.read() == b"out"
        assert sorted(guest.process.stderr.read()) == sorted(b"errdebug")


def test_the_end_of_input_tells_how_much_there_was() -> None:
    with machine() as guest:
        guest.process.stdin.write(b"x" * 100_000)
        guest.process.stdin.close()
        # The line may overtake the data.
        assert guest.line() == "eof 100000"
        data = b""
        while len(data) < 100_000:
            data += guest.stdio.recv(65536)
        guest.control.sendall(b"exit 0\n")
        assert guest.end() == 0


def test_output_that_cannot_be_written_is_told() -> None:
    with open("/dev/full", "wb") as full, machine(stdout=full.fileno()) as guest:
        guest.stdio.sendall(b"out")
        assert guest.line() == "hangup stdio"
        guest.control.sendall(b"exit 0\n")
        assert guest.end() == 0
        assert b"No space left" in guest.process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_become_lines(number: int) -> None:
    with machine() as guest:
        guest.stdio.sendall(b"!")
        assert guest.process.stdout.read(1) == b"!"
        guest.process.send_signal(number)
        assert guest.line() == f"signal {number}"
        guest.control.sendall(f"exit {128 + number}\n".encode())
        assert guest.end() == 128 + number


def test_the_third_interrupt_ends_it() -> None:
    with machine() as guest:
        guest.stdio.sendall(b"!")
        assert guest.process.stdout.read(1) == b"!"
        for _ in range(3):
            guest.process.send_signal(signal.SIGTERM)
            assert guest.line() == f"signal {signal.SIGTERM}"
        assert guest.end() == 128 + signal.SIGTERM


def test_a_blocked_reader_holds_up_only_its_own_stream() -> None:
    with machine() as guest:
        guest.stdio.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while guest.stdio.send(b"x" * 65536):
                pass
        guest.stderr.sendall(b"still here")
        assert guest.process.stderr.read(10) == b"still here"
        guest.process.send_signal(signal.SIGUSR1)
        assert guest.line() == f"signal {signal.SIGUSR1}"


def test_a_reader_that_left() -> None:
    read, write = os.pipe()
    os.close(read)
    with machine(stdout=write) as guest:
        os.close(write)
        guest.stdio.sendall(b"x")
        assert guest.line() == "hangup stdio"
        guest.stdio.sendall(b"y" * 100_000)
        guest.control.sendall(b"exit 1\n")
        assert guest.end() == 1


def test_a_panic_and_an_end_without_a_word() -> None:
    with machine() as guest:
        guest.control.sendall(b"panic\n")
        assert guest.end() == 70
    with machine() as guest:
        assert guest.end() == 99


def test_nonsense_on_the_control_port_is_ignored() -> None:
    with machine() as guest:
        guest.control.sendall(b"exit\nexit x\nexit 300\nexit -1\n\xff\xfe\nexit 3\n")
        assert guest.end() == 3


def test_the_terminal_is_raw_meanwhile_and_restored() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    try:
        with machine(stdin=slave) as guest:
            guest.stdio.sendall(b"!")
            assert guest.process.stdout.read(1) == b"!"
            assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
            os.write(master, b"\x03")
            assert guest.stdio.recv(1) == b"\x03"
            termios.tcsetwinsize(master, (33, 99))
            guest.process.send_signal(signal.SIGWINCH)
            assert guest.line() == "winsize 33 99"
            guest.control.sendall(b"exit 0\n")
            assert guest.end() == 0
        deadline = time.monotonic() + 5
        while termios.tcgetattr(slave) != before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert termios.tcgetattr(slave) == before
    finally:
        os.close(master)
        os.close(slave)
