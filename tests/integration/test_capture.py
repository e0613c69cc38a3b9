"""`compat run --pcap`: tcpdump finds what the sockets of the guest have exchanged, as if it had been on a wire."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.harness import Command, Guest, require

PYTHON = "/usr/bin/python3.11"
LOOPBACK = "127.0.0.1"
PROGRAM = """
import socket, sys
tcp, udp, closed = map(int, sys.argv[1:])
with socket.create_connection(("10.0.2.2", tcp)) as s:
    s.sendall(b"question")
    s.shutdown(socket.SHUT_WR)
    assert s.recv(100) == b"answer!"
    assert s.recv(100) == b""
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.sendto(b"abc", ("10.0.2.2", udp))
    assert s.recvfrom(100)[0] == b"abcd"
try:
    socket.create_connection(("10.0.2.2", closed))
except ConnectionRefusedError:
    print("refused")
"""


@contextmanager
def serving(kind: int, serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Its port, while a thread serves there."""
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.settimeout(60)
        listener.bind((LOOPBACK, 0))
        if kind == socket.SOCK_STREAM:
            listener.listen()
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def answer(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        while connection.recv(100):
            pass
        connection.sendall(b"answer!")


def echo(sock: socket.socket) -> None:
    data, peer = sock.recvfrom(100)
    sock.sendto(data + b"d", peer)


def test_a_forwarded_exchange(guest: Guest, tmp_path: Path) -> None:
    if guest.platform == "qemu":
        pytest.skip("is about the sockets that the monitor forwards")
    path = tmp_path / "pcap"
    with socket.socket() as unused:
        unused.bind((LOOPBACK, 0))
        closed = unused.getsockname()[1]
        with serving(socket.SOCK_STREAM, answer) as tcp, serving(socket.SOCK_DGRAM, echo) as udp:
            argv = [require(PYTHON, "python3.11"), "-c", PROGRAM, str(tcp), str(udp), str(closed)]
            outcome = guest.run(Command(argv), ["--pcap", str(path)])
    assert (outcome.status, outcome.stdout) == (0, b"refused\n"), outcome.stderr.decode()
    shown = subprocess.run(
        [require("/usr/bin/tcpdump", "tcpdump"), "-n", "-vv", "-S", "-r", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "incorrect" not in shown
    assert "bad" not in shown
    there, back = rf"10\.0\.2\.15\.\d+ > 10\.0\.2\.2\.{tcp}", rf"10\.0\.2\.2\.{tcp} > 10\.0\.2\.15\.\d+"
    in_order(
        shown,
        rf"{there}: Flags \[S\].* seq 0,",
        rf"{back}: Flags \[S\.\].* seq 0, ack 1,",
        rf"{there}: Flags \[\.\].* ack 1,",
        rf"{there}: Flags \[P\.\].* seq 1:9, ack 1,.* length 8",
        rf"{there}: Flags \[F\.\].* seq 9, ack 1,",
        rf"{back}: Flags \[P\.\].* seq 1:8, ack 10,.* length 7",
        rf"{back}: Flags \[F\.\].* seq 8, ack 10,",
        rf"10\.0\.2\.15\.\d+ > 10\.0\.2\.2\.{udp}: .*UDP, length 3",
        rf"10\.0\.2\.2\.{udp} > 10\.0\.2\.15\.\d+: .*UDP, length 4",
        rf"10\.0\.2\.15\.\d+ > 10\.0\.2\.2\.{closed}: Flags \[S\]",
        rf"10\.0\.2\.2\.{closed} > 10\.0\.2\.15\.\d+: Flags \[R\.\]",
    )


def in_order(text: str, *patterns: str) -> None:
    """Each matches behind the one before."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(text, at)
        assert found is not None, f"no {pattern} in {text[at:]}"
        at = found.end()


def test_no_network_leaves_nothing_to_capture(guest: Guest, tmp_path: Path) -> None:
    if guest.platform == "qemu":
        pytest.skip("is about the monitor")
    outcome = guest.run(Command([PYTHON]), ["--net", "none", "--pcap", str(tmp_path / "pcap")])
    assert (outcome.status, list(tmp_path.iterdir())) == (125, [])
