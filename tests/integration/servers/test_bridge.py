"""Guests on one bridge: with each other, with a DHCP and DNS server, and under attack."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.harness import Guest, kill_group, require, run
from tests.integration.servers.lan import (
    BRIDGE,
    CLIENT,
    GUEST,
    NATIVE,
    SECOND_GUEST,
    Lan,
    LanGuest,
    lan,
    need_root,
)
from tests.integration.servers.place import Endpoint, Setup
from tests.integration.servers.server import Server, running

REDIS, REDIS_CLI, BUSYBOX = "/usr/bin/redis-server", "/usr/bin/redis-cli", "/bin/busybox"
LEASED = "10.99.0.50"
FLOOD_SECONDS = 3.0


@pytest.fixture(autouse=True)
def root() -> None:
    need_root()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Lan]:
    with lan(tmp_path) as made:
        yield made


@contextlib.contextmanager
def redis(network: Lan, folder: Path, guest: Guest, runtime: Path | None = None) -> Iterator[tuple[LanGuest, Server]]:
    """`runtime`: where its control socket is."""
    place = LanGuest(network, folder / "redis", guest)
    options = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--dir", place.state]
    setup = Setup([require(REDIS, "redis-server"), "--port", str(place.port()), *options])
    if runtime is not None:
        place = WithRuntime(place, runtime)

    def ready(endpoint: Endpoint) -> None:
        with network.inside(network.client), socket.create_connection(endpoint.address, timeout=2) as client:
            assert ping(client)

    with running(place, setup, ready) as server:
        yield place, server


class WithRuntime(LanGuest):
    """Its control socket is in a folder of the test's."""

    def __init__(self, place: LanGuest, runtime: Path) -> None:
        super().__init__(place.network, place.folder, place.guest, place.address, place.tap)
        self._published, self.runtime = place._published, runtime

    def environment(self, setup: Setup) -> dict[str, str]:
        return {**super().environment(setup), "XDG_RUNTIME_DIR": str(self.runtime)}


def ping(client: socket.socket) -> bool:
    client.sendall(b"PING\r\n")
    return client.recv(100) == b"+PONG\r\n"


def in_guest(network: Lan, guest: Guest, argv: list[str], tap: str | None = None) -> bytes:
    """A program in a second guest, which must succeed."""
    place = LanGuest(network, network_folder(guest), guest, SECOND_GUEST)
    if tap is not None:
        place.tap = tap
    limit = 60 * guest.slowdown + 60
    outcome = run(place.argv(Setup(argv)), env=guest.environment(), timeout=limit)
    assert outcome.status == 0, outcome
    return outcome.stdout


def network_folder(guest: Guest) -> Path:
    return guest.cache.parent / "servers" / "second-guest"


def test_two_guests_talk(network: Lan, guest: Guest, tmp_path: Path) -> None:
    client = require(REDIS_CLI, "redis-tools")
    with redis(network, tmp_path, guest) as (place, _):
        asks = [client, "-h", GUEST, "-p", str(place.port())]
        assert in_guest(network, guest, [*asks, "SET", "word", "hello"]) == b"OK\n"
        assert in_guest(network, guest, [*asks, "GET", "word"]) == b"hello\n"
        answer = in_guest(network, guest, [require(BUSYBOX, "busybox-static"), "ping", "-c", "3", GUEST])
        assert b"3 packets transmitted, 3 packets received, 0% packet loss" in answer


def test_address_and_names_of_the_network(network: Lan, guest: Guest, tmp_path: Path) -> None:
    dnsmasq = require("/usr/sbin/dnsmasq", "dnsmasq-base")
    busybox = require(BUSYBOX, "busybox-static")
    options = [
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--leasefile-ro",
        "--user=root",
        f"--pid-file={tmp_path}/pid",
        f"--interface={BRIDGE}",
        "--bind-interfaces",
        f"--dhcp-range={LEASED},{LEASED},255.255.255.0,1h",
        f"--host-record=server.test,{CLIENT}",
    ]
    with network.inside(network.server):
        process = subprocess.Popen([dnsmasq, *options], stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        tap = f"tap:t9,ip=dhcp,bridge={BRIDGE}"
        assert f"inet {LEASED}/24".encode() in in_guest(network, guest, [busybox, "ip", "address"], tap)
        routes = in_guest(network, guest, [busybox, "ip", "route"], tap)
        assert f"default via {NATIVE}".encode() in routes
        answer = in_guest(network, guest, [busybox, "nslookup", "server.test"], tap)
        assert f"Address: {CLIENT}".encode() in answer and f"Server:\t\t{NATIVE}".encode() in answer
        answer = in_guest(network, guest, [busybox, "ping", "-c", "1", "server.test"], tap)
        assert b"1 packets received" in answer
    finally:
        kill_group(process)
        process.wait()


def sockets(runtime: Path, server: Server) -> int:
    """TCP sockets that the guest has."""
    (path,) = (runtime / "compat").glob("*.sock")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(b'{"command":"stats"}\n')
        with connection.makefile() as lines:
            answer = json.loads(lines.readline())
    del server
    counts = answer["guest"]["sockets"]
    return sum(value for value in flat(counts) if isinstance(value, int))


def flat(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for part in value.values():
            yield from flat(part)
    else:
        yield value


def attacked(network: Lan, folder: Path, guest: Guest, attack: Callable[[Endpoint], None]) -> None:
    """Others are served while it goes on, and afterwards nothing is left of it."""
    if guest.platform == "qemu":
        pytest.skip("QEMU has no control socket")
    runtime = folder / "runtime"
    runtime.mkdir()
    with redis(network, folder, guest, runtime) as (place, server), network.inside(network.client):
        time.sleep(0.5)
        before = sockets(runtime, server)
        attack(place.endpoint())
        with socket.create_connection(place.endpoint().address, timeout=10) as other:
            assert ping(other)
        deadline = time.monotonic() + 80
        while (now := sockets(runtime, server)) > before:
            assert time.monotonic() < deadline, f"{now} sockets are left, {before} were there"
            time.sleep(1)


def test_a_flood_of_beginnings(network: Lan, guest: Guest, tmp_path: Path) -> None:
    hping = require(shutil.which("hping3", path="/usr/sbin:/usr/bin") or "/usr/sbin/hping3", "hping3")

    def attack(endpoint: Endpoint) -> None:
        argv = [hping, "-q", "-S", "-p", str(endpoint.port), "--rand-source", "-i", "u100", endpoint.host]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as flood:
            try:
                end = time.monotonic() + FLOOD_SECONDS
                while time.monotonic() < end:
                    with socket.create_connection(endpoint.address, timeout=10) as other:
                        assert ping(other)
            finally:
                flood.kill()

    attacked(network, tmp_path, guest, attack)


def test_slow_and_vanished_clients(network: Lan, guest: Guest, tmp_path: Path) -> None:
    def attack(endpoint: Endpoint) -> None:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.create_connection(endpoint.address)) for _ in range(500)]
            for byte in b"*1\r\n$":
                for client in clients:
                    client.sendall(bytes([byte]))
                with socket.create_connection(endpoint.address, timeout=10) as other:
                    assert ping(other)
            # Half of them are gone without a word; what the server says next is answered by a reset.
            for client in clients[::2]:
                client.setsockopt(socket.IPPROTO_TCP, 19, 1)  # TCP_REPAIR
                client.close()
            with socket.create_connection(endpoint.address, timeout=10) as other:
                other.sendall(b"CONFIG SET timeout 1\r\n")
                assert other.recv(100) == b"+OK\r\n"

    attacked(network, tmp_path, guest, attack)
