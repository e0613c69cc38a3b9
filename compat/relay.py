"""Carries a virtual machine's streams, signals and exit status when the machine is not our own monitor."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator

from compat.bootconfig import Stream
from compat.errors import STATUS_INTERNAL

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
STUBBORN = (signal.SIGINT, signal.SIGTERM)
# A program that ignores this many interrupts is ended with its machine.
PATIENCE = 3
CHUNK = 65536
DRAIN_SECONDS = 5.0


class Relay:
    """Pumps until the machine ends. One thread a stream, so that a blocked reader holds up only its own stream."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdio: socket.socket,
        stderr: socket.socket,
        control: socket.socket,
        debug: socket.socket,
    ) -> None:
        self.process = process
        self.stdio, self.stderr, self.control, self.debug = stdio, stderr, control, debug
        self.moved = dict.fromkeys(("stdin", "stdout", "stderr", "debug"), 0)
        self.outcome = "failed"
        # Output could not be written, though somebody wants it.
        self.lost = False
        self._status: int | None = None
        self._rest = b""
        self._asked = 0

    def run(self) -> int | None:
        """The status that the program reported; None when the machine ended without one."""
        with _raw_terminal(), _signals() as wakeup:
            pumps = [
                threading.Thread(target=self._pump_out, args=(self.stdio, 1, "stdout"), daemon=True),
                threading.Thread(target=self._pump_out, args=(self.stderr, 2, "stderr"), daemon=True),
                threading.Thread(target=self._pump_out, args=(self.debug, 2, "debug"), daemon=True),
            ]
            threading.Thread(target=self._pump_in, daemon=True).start()
            for pump in pumps:
                pump.start()
            self._watch(wakeup)
            self.process.wait()
            for pump in pumps:
                pump.join(DRAIN_SECONDS)
        return self._status

    def _watch(self, wakeup: socket.socket) -> None:
        """Signals to the guest, lines from it, until the machine closes its end."""
        while True:
            ready, _, _ = select.select([self.control, wakeup], [], [])
            if wakeup in ready:
                for number in wakeup.recv(64):
                    self._signal(number)
            if self.control in ready and not self._read_control():
                return

    def _signal(self, number: int) -> None:
        if number == signal.SIGWINCH:
            self._tell("winsize {} {}".format(*window_size()))
            return
        self._tell(f"signal {number}")
        if number in STUBBORN:
            self._asked += 1
            if self._asked >= PATIENCE:
                self._status, self.outcome = 128 + number, "killed"
                self.process.kill()

    def _read_control(self) -> bool:
        try:
            data = self.control.recv(CHUNK)
        except ConnectionError:
            data = b""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.decode(errors="replace"))
        return bool(data)

    def _line(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "panic":
            self._status, self.outcome = STATUS_INTERNAL, "kernel panic"
        elif word == "exit" and rest.isdecimal() and int(rest) <= 255:
            self._status, self.outcome = int(rest), "exited"

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self.control.sendall(line.encode() + b"\n")

    def _pump_out(self, source: socket.socket, target: int, name: str) -> None:
        """To one of our streams; when nobody reads it any more, the guest hears so and the rest is dropped."""
        gone = False
        while True:
            try:
                data = source.recv(CHUNK)
            except OSError:
                return
            if not data:
                return
            self.moved[name] += len(data)
            try:
                view = memoryview(b"" if gone else data)
                while view:
                    view = view[os.write(target, view) :]
            except OSError as error:
                gone = True
                if not isinstance(error, BrokenPipeError):
                    print(f"compat: cannot write the program's {name}: {error.strerror}", file=sys.stderr)
                    self.lost = True
                self._tell("hangup stdio" if name == "stdout" else "hangup stderr")

    def _pump_in(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(0, CHUNK):
                self.stdio.sendall(data)
                self.moved["stdin"] += len(data)
        # The end goes another way than the data and may overtake it: the guest waits for this many bytes.
        self._tell(f"eof {self.moved['stdin']}")


def describe_streams() -> tuple[Stream, Stream, Stream]:
    """What our standard streams are, for the guest's fstat and isatty."""
    first, second, third = (_kind(fd) for fd in range(3))
    return first, second, third


def is_same_output() -> bool:
    """Whether stdout and stderr are one file, so that their bytes must keep one order."""
    try:
        return os.path.sameopenfile(1, 2)
    except OSError:
        return False


def window_size() -> tuple[int, int]:
    """Rows and columns of the terminal; zeros without one."""
    for fd in range(3):
        with contextlib.suppress(OSError):
            rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
            return rows, columns
    return 0, 0


def _kind(fd: int) -> Stream:
    try:
        status = os.fstat(fd)
    except OSError:
        return Stream.CLOSED
    if stat.S_ISREG(status.st_mode):
        return Stream.FILE
    if stat.S_ISSOCK(status.st_mode):
        return Stream.SOCKET
    if stat.S_ISCHR(status.st_mode):
        if os.isatty(fd):
            return Stream.TTY
        return Stream.NULL if status.st_rdev == os.makedev(1, 3) else Stream.FILE
    return Stream.PIPE


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Raw while the guest runs, which has its own line discipline."""
    if not os.isatty(0):
        yield
        return
    saved = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """A socket that yields the numbers of signals as bytes."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    numbers = (*FORWARDED, signal.SIGWINCH)
    old = {number: signal.signal(number, lambda *_: None) for number in numbers}
    previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(previous)
        for number, handler in old.items():
            signal.signal(number, handler)
        sys.stdout.flush()
