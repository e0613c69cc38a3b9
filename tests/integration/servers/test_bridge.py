"""Guests on one bridge: with each other, with a DHCP and DNS server, and under attack."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.harness import Guest, kill_group, require, run
from tests.integration.servers.lan import (
    BRIDGE,
    CABLE,
    CLIENT,
    GUEST,
    NATIVE,
    SECOND_GUEST,
    Lan,
    LanGuest,
    ip,
    lan,
    need_root,
)
from tests.integration.servers.place import Endpoint, Setup
from tests.integration.servers.server import Server, running

REDIS, REDIS_CLI, BUSYBOX = "/usr/bin/redis-server", "/usr/bin/redis-cli", "/bin/busybox"
HPING = "/usr/sbin/hping3"
LEASED = "10.99.0.50"
ROUTER6, GUEST6 = "fd99::3", "fd99::2"
SECONDS = 60
SLOW = 500
FLOOD_SECONDS = 3.0


@pytest.fixture(autouse=True)
def root() -> None:
    need_root()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Lan]:
    with lan(tmp_path) as made:
        yield made


@contextlib.contextmanager
def redis(network: Lan, folder: Path, guest: Guest, more: str = "") -> Iterator[tuple[LanGuest, Server]]:
    """`more`: further settings of the guest's card."""
    place = LanGuest(network, folder / "redis", guest)
    place.tap += more
    options = ["--bind", "0.0.0.0", "::", "--protected-mode", "no", "--save", "", "--dir", place.state]
    setup = Setup([require(REDIS, "redis-server"), "--port", str(place.port()), *options])

    def ready(endpoint: Endpoint) -> None:
        with network.inside(network.client), socket.create_connection(endpoint.address, timeout=2) as client:
            assert ping(client)

    with running(place, setup, ready) as server:
        yield place, server


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


def test_a_guest_leaves_the_address_of_the_bridge_alone(network: Lan, guest: Guest, tmp_path: Path) -> None:
    """A bridge takes the lowest address of its members, and who knows it by the one before loses it for a while."""
    ip("-n", network.server, "link", "set", CABLE, "address", "fa:ff:ff:ff:ff:ff")
    busybox = require(BUSYBOX, "busybox-static")
    with redis(network, tmp_path, guest):
        with network.inside(network.server):
            shown = subprocess.run(
                [busybox, "ip", "link", "show", BRIDGE], capture_output=True, check=True, timeout=SECONDS
            )
        assert b"fa:ff:ff:ff:ff:ff" in shown.stdout, shown


def test_a_router_with_a_smaller_mtu(network: Lan, guest: Guest, tmp_path: Path) -> None:
    """Over IPv6, where it drops what is too large and says so. The client's end has the usual MTU, and says that."""
    peer = ["peer", "name", "near", "netns", network.server]
    ip("link", "add", "name", "far", "netns", network.client, "type", "veth", *peer)
    for name, device, address, mtu in (
        (network.client, "far", "fd98::1/64", "1500"),
        (network.server, "near", "fd98::2/64", "1300"),
        (network.server, BRIDGE, f"{ROUTER6}/64", "1500"),
    ):
        ip("-n", name, "address", "add", address, "dev", device, "nodad")
        ip("-n", name, "link", "set", device, "mtu", mtu, "up")
    with network.inside(network.server):
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
    ip("-n", network.client, "route", "add", "fd99::/64", "via", "fd98::2")
    value = b"0123456789" * 100_000
    with redis(network, tmp_path, guest, f",ip={GUEST6}/64,gateway={ROUTER6}") as (place, _):
        # What is large comes by the other way: a veth interface drops what is larger than its own MTU, and is silent.
        set_it = b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$%d\r\n%s\r\n" % (len(value), value)
        assert asked(network, (GUEST, place.port()), set_it, 5) == b"+OK\r\n"
        expected = b"$%d\r\n%s\r\n" % (len(value), value)
        assert asked(network, (GUEST6, place.port()), b"GET x\r\n", len(expected)) == expected


def asked(network: Lan, address: tuple[str, int], request: bytes, length: int) -> bytes:
    """The answer of that length, to the client."""
    answer = b""
    with network.inside(network.client), socket.create_connection(address, timeout=SECONDS) as client:
        client.sendall(request)
        while len(answer) < length and (part := client.recv(1 << 20)):
            answer += part
    return answer


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
        # The same card all the time, for there is one address.
        tap = f"tap:t9,ip=dhcp,mac=52:54:00:00:00:09,bridge={BRIDGE}"
        assert f"inet {LEASED}/24".encode() in in_guest(network, guest, [busybox, "ip", "address"], tap)
        routes = in_guest(network, guest, [busybox, "ip", "route"], tap)
        assert f"default via {NATIVE}".encode() in routes
        answer = in_guest(network, guest, [busybox, "nslookup", "-type=a", "server.test"], tap)
        assert f"Address: {CLIENT}".encode() in answer and f"Server:\t\t{NATIVE}".encode() in answer
        answer = in_guest(network, guest, [busybox, "ping", "-c", "1", "server.test"], tap)
        assert b"1 packets received" in answer
    finally:
        kill_group(process)
        process.wait()


def clients(place: LanGuest) -> int:
    """How many connections the server has, this one included; asked by a new one."""
    with socket.create_connection(place.endpoint().address, timeout=10) as client:
        client.sendall(b"INFO clients\r\n")
        found = re.search(rb"connected_clients:(\d+)", client.recv(4096))
    assert found is not None
    return int(found[1])


def attacked(network: Lan, folder: Path, guest: Guest, attack: Callable[[LanGuest], None]) -> None:
    """Others are served while it goes on, and afterwards the server has no connection of it."""
    with redis(network, folder, guest) as (place, _), network.inside(network.client):
        attack(place)
        deadline = time.monotonic() + 30
        while clients(place) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_a_flood_of_beginnings(network: Lan, guest: Guest, tmp_path: Path) -> None:
    hping = require(HPING, "hping3")

    def attack(place: LanGuest) -> None:
        argv = [hping, "-q", "-S", "-p", str(place.port()), "--rand-source", "-i", "u100", GUEST]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as flood:
            try:
                end = time.monotonic() + FLOOD_SECONDS
                served = 0
                while time.monotonic() < end or served == 0:
                    served += clients(place) > 0
                    assert time.monotonic() < end + 30
            finally:
                flood.kill()

    attacked(network, tmp_path, guest, attack)


def test_slow_clients(network: Lan, guest: Guest, tmp_path: Path) -> None:
    def attack(place: LanGuest) -> None:
        address = place.endpoint().address
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(socket.create_connection(address)) for _ in range(SLOW)]
            for byte in b"*1\r\n$":
                for client in slow:
                    client.sendall(bytes([byte]))
                assert clients(place) > 0

    attacked(network, tmp_path, guest, attack)


def test_clients_that_vanish_during_the_handshake(network: Lan, guest: Guest, tmp_path: Path) -> None:
    """Half-open connections: nobody answers the guest's SYN-ACK, since there is nobody at that address."""
    hping = require(HPING, "hping3")

    def attack(place: LanGuest) -> None:
        for last in range(100, 120):
            argv = [
                hping,
                "-q",
                "-S",
                "-c",
                "5",
                "-i",
                "u1000",
                "-p",
                str(place.port()),
                "-a",
                f"10.99.0.{last}",
                GUEST,
            ]
            subprocess.run(argv, capture_output=True, check=False, timeout=30)
        assert clients(place) > 0

    attacked(network, tmp_path, guest, attack)
