"""A process that listens with a backlog of 1, as QEMU does, gets room for clients that come at once."""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from compat import qemu_backlog
from compat.qemu_backlog import widen

MANY = 50
LISTENS = """
import socket, sys
with socket.socket() as one, socket.socket() as other, socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
    for each in (one, other):
        each.bind(("127.0.0.1", 0))
        each.listen(1)
    print(one.getsockname()[1], other.getsockname()[1], flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def listener() -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    with subprocess.Popen([sys.executable, "-c", LISTENS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process, [int(word) for word in process.stdout.readline().split()]
        process.stdin.close()


def connected(port: int) -> int:
    """How many of MANY clients the host's kernel connects, at once, though nobody accepts."""
    with contextlib.ExitStack() as stack:
        for number in range(MANY):
            client = stack.enter_context(socket.socket())
            client.settimeout(0.2)
            try:
                client.connect(("127.0.0.1", port))
            except TimeoutError:
                return number
    return MANY


def test_all_clients_fit() -> None:
    with listener() as (process, (first, second)):
        assert connected(first) < MANY
        widen(process, 2)
        assert connected(second) == MANY


def test_it_does_not_wait_for_a_process_that_has_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        widen(process, 1)
        process.wait()


def test_without_permission_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(pidfd: int, fd: int) -> bool:
        raise OSError(errno.EPERM, "pidfd_getfd: Operation not permitted")

    monkeypatch.setattr(qemu_backlog, "_widen_one", refuse)
    with listener() as (process, _):
        widen(process, 1)
    assert "two new connections at a time" in capsys.readouterr().err
