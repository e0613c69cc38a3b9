"""tcpdump in the guest sees the frames of the guest's network card."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

import pytest

from tests.integration.harness import Guest, require
from tests.integration.servers.lan import CLIENT, GUEST, Lan, LanGuest, lan, need_root
from tests.integration.servers.place import Setup
from tests.integration.servers.server import Server, running

PORT = 4711
SECONDS = 60
PAUSE = 0.05


@pytest.mark.parametrize("interface", ["eth0", "any"])
def test_tcpdump_sees_what_comes_and_what_is_answered(interface: str, guest: Guest, tmp_path: Path) -> None:
    need_root()
    tcpdump = require("/usr/bin/tcpdump", "tcpdump")
    with lan(tmp_path) as network:
        place = LanGuest(network, tmp_path / "conf", guest)
        wanted = f"udp dst port {PORT} or icmp[icmptype] == icmp-unreach"
        setup = Setup([tcpdump, "-Z", "root", "-n", "-i", interface, "-c", "2", wanted])
        with running(place, setup, lambda _endpoint: None) as server:
            knock(network, server)
            shown = server.output().decode()
    assert f"> {GUEST}.{PORT}: UDP, length 9" in shown
    assert f"{GUEST} > {CLIENT}: ICMP {GUEST} udp port {PORT} unreachable" in shown
    assert "2 packets captured" in shown


def knock(network: Lan, server: Server) -> None:
    """Datagrams for a port of the guest that nobody has, until tcpdump has seen what it waits for."""
    with network.inside(network.client), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((GUEST, PORT))
        deadline = time.monotonic() + SECONDS * server.slowdown
        while server.process.poll() is None:
            assert time.monotonic() < deadline, "tcpdump does not end"
            # The error that came back for the one before.
            with contextlib.suppress(ConnectionRefusedError):
                client.send(b"to nobody")
            time.sleep(PAUSE)
    assert server.process.returncode == 0
