"""Runs a program under trace, or listens to one that runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from compat import native
from compat.errors import CompatError, InternalError
from compat.instances import Instance
from compat.launch import RunRequest, kvm_trouble, monitor_arguments
from compat.trace.calls import Call, Pairing
from compat.trace.records import BrokenStreamError, Record, read_records

TIMEOUT = 5.0
# Those that the user sends to what runs, not to the one who watches.
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Writer(Protocol):
    """Takes the events of a trace in their order."""

    def begin(self, call: Call) -> None: ...
    def end(self, call: Call) -> None: ...
    def unfinished(self, call: Call) -> None: ...
    def other(self, record: Record) -> None: ...
    def close(self) -> None: ...


def decode(stream: BinaryIO, writers: Sequence[Writer], *, interruptible: bool = False) -> None:
    """Until the stream ends, or with `interruptible` until Ctrl-C."""
    pairing = Pairing()
    try:
        with contextlib.suppress(*([KeyboardInterrupt] if interruptible else [])):
            for record in read_records(stream):
                _hand_on(pairing.feed(record), writers)
    except BrokenStreamError as error:
        raise InternalError(
            f"the trace is broken: {error}", "kernel and monitor may be of different versions"
        ) from error
    for call in pairing.unfinished():
        for writer in writers:
            writer.unfinished(call)
    for writer in writers:
        writer.close()


def _hand_on(event: tuple[str, Call | Record] | None, writers: Sequence[Writer]) -> None:
    if event is None:
        return
    kind, what = event
    for writer in writers:
        if isinstance(what, Call):
            (writer.begin if kind == "begin" else writer.end)(what)
        else:
            writer.other(what)


def run_traced(
    request: RunRequest,
    settings: str,
    writers: Sequence[Writer],
    streams: tuple[BinaryIO | None, int | None, int | None] = (None, None, None),
) -> int:
    """The program's exit status. Its standard streams are this process's where none are given."""
    if request.platform == "qemu":
        raise CompatError("tracing needs compat's own monitor: QEMU has no place for the records")
    trouble = kvm_trouble()
    if trouble is not None:
        raise CompatError(trouble, "tracing needs KVM and compat's own monitor")
    monitor = native.native_file(native.MONITOR)
    reader, writer = os.pipe()
    command = [str(monitor), "--trace", f"/dev/fd/{writer}", settings, *monitor_arguments(request)]
    with os.fdopen(reader, "rb", buffering=1 << 16) as stream:
        try:
            stdin, stdout, stderr = streams
            child = subprocess.Popen(command, pass_fds=[writer], stdin=stdin, stdout=stdout, stderr=stderr)
        except OSError as error:
            raise CompatError(f"cannot start {monitor}: {error.strerror}") from error
        finally:
            os.close(writer)
        with _left_to(child):
            decode(stream, writers)
            status = child.wait()
    return status if status >= 0 else 128 - status


@contextlib.contextmanager
def _left_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Signals are for the program: the terminal sends its own to both, others are passed on."""

    def forward(number: int, _frame: object) -> None:
        child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if child.poll() is None:
            # Whatever went wrong here: nothing is left behind.
            child.terminate()
            child.wait()


def attach(instance: Instance, settings: str, writers: Sequence[Writer]) -> None:
    """Until the instance ends or the user has seen enough."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            connection.connect(str(instance.path))
            question = {"command": "trace", "settings": settings}
            connection.sendall(json.dumps(question).encode() + b"\n")
            # Without a buffer of its own: what follows the line is no text.
            answer = _line(connection)
        except OSError as error:
            raise CompatError(f"instance {instance.pid} does not answer: {error.strerror or 'timeout'}") from error
        if "error" in answer:
            raise CompatError(f"instance {instance.pid} cannot be traced: {answer['error']}")
        connection.settimeout(None)
        print(f"compat: instance {instance.pid} is traced until Ctrl-C", file=sys.stderr, flush=True)
        with connection.makefile("rb") as stream:
            decode(stream, writers, interruptible=True)


def _line(connection: socket.socket) -> dict[str, object]:
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise CompatError("the instance closed the connection", "it may be of another version of compat")
        line += byte
    with contextlib.suppress(ValueError):
        answer = json.loads(line)
        if isinstance(answer, dict):
            return answer
    raise CompatError("the instance gave no answer that this version of compat understands")
