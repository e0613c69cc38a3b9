"""What `compat run` does around the network: ports that cannot be had, limits, and what is left afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.harness import Command, Guest, Outcome, compat_command, require, run
from tests.integration.servers.conftest import PLACES, Places
from tests.integration.servers.http_client import get
from tests.integration.servers.place import GATEWAY, LOOPBACK, Place, Setup, free_port
from tests.integration.servers.server import running

pytestmark = pytest.mark.skipif("guest" not in PLACES, reason="is about the guest")

PYTHON = "/usr/bin/python3.11"
BUSYBOX = "/bin/busybox"


def web(place: Place) -> Setup:
    page = place.write("index.html", "It works\n")
    return Setup([require(PYTHON, "python3.11"), "-m", "http.server", "-d", str(Path(page).parent), str(place.port())])


def start(
    guest: Guest, options: Sequence[str], *, before: Sequence[str] = (), argv: Sequence[str] = ("true",)
) -> Outcome:
    """Runs a small program of busybox with these options."""
    command = Command([require(BUSYBOX, "busybox-static"), *argv])
    return run([*before, *guest.argv(command, options)], env=guest.environment(), timeout=60 * guest.slowdown)


def test_a_port_in_use(guest: Guest) -> None:
    for kind, suffix in ((socket.SOCK_STREAM, ""), (socket.SOCK_DGRAM, "/udp")):
        with socket.socket(socket.AF_INET, kind) as taken:
            taken.bind((LOOPBACK, 0))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            port = taken.getsockname()[1]
            for spec in (f"{LOOPBACK}:{port}:80{suffix}", f"{port}:80{suffix}"):
                outcome = start(guest, ["-p", spec], argv=["echo", "started"])
                assert (outcome.status, outcome.stdout) == (125, b"")
                assert b"in use" in outcome.stderr
                assert str(port).encode() in outcome.stderr


def test_a_port_without_permission(guest: Guest) -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest <= 81:
        pytest.skip("everybody may take every port here")
    unprivileged = ["setpriv", "--bounding-set=-net_bind_service"] if os.getuid() == 0 else []
    outcome = start(guest, ["-p", f"{LOOPBACK}:81:80"], before=unprivileged, argv=["echo", "started"])
    assert (outcome.status, outcome.stdout) == (125, b"")
    assert b"ermission" in outcome.stderr


def test_addresses_and_interfaces_that_are_not_there(guest: Guest) -> None:
    # Who may, makes the interface.
    unprivileged = ["setpriv", "--bounding-set=-net_admin"] if os.getuid() == 0 else []
    for options, text in (
        (["-p", f"203.0.113.1:{free_port()}:80"], b"203.0.113.1"),
        (["--net", "tap:compat-none0"], b"compat-none0"),
    ):
        outcome = start(guest, options, before=unprivileged, argv=["echo", "started"])
        assert (outcome.status, outcome.stdout) == (125, b"")
        assert text in outcome.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_port_is_free_again(places: Places, number: int) -> None:
    place = places.make("guest")
    setup = web(place)
    for _ in range(2):
        with running(place, setup) as server:
            assert get(server.endpoint).body == b"It works\n"
            server.stop(number)
            with socket.socket() as again:
                again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                again.bind(server.endpoint.address)
                again.listen()


def test_a_port_without_a_listener_refuses(places: Places, guest: Guest) -> None:
    """As on Linux: until the program listens there is nobody."""
    place = places.make("guest")
    place.port()
    setup = Setup([require(BUSYBOX, "busybox-static"), "tail", "-f", "/etc/hosts"])
    with running(place, setup, lambda _endpoint: None) as server:
        while b"localhost" not in server.output():
            assert server.process.poll() is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server.endpoint.address, timeout=5)


FETCH = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read())
"""


@pytest.mark.parametrize(
    ("options", "works"),
    [
        ([], True),
        (["--allow-net", "*"], True),
        (["--allow-net", "{gateway}:{port}"], True),
        (["--allow-net", "127.0.0.0/8"], True),
        (["--allow-net", "dns", "--allow-net", "{gateway}:*"], True),
        (["--allow-net", "none"], False),
        (["--allow-net", "dns"], False),
        (["--allow-net", "{gateway}:1"], False),
        (["--net", "none"], False),
    ],
)
def test_what_is_allowed(places: Places, guest: Guest, options: list[str], works: bool) -> None:
    if guest.platform == "qemu" and options not in (
        [],
        ["--allow-net", "*"],
        ["--allow-net", "none"],
        ["--net", "none"],
    ):
        pytest.skip("QEMU allows everything or nothing")
    native = places.make("native")
    with running(native, web(native)) as server:
        port = server.endpoint.port
        words = [option.format(gateway=GATEWAY, port=port) for option in options]
        command = Command([require(PYTHON, "python3.11"), "-c", FETCH, f"http://{GATEWAY}:{port}/"])
        outcome = guest.run(command, words)
    assert (outcome.status == 0, b"It works" in outcome.stdout) == (works, works), outcome.stderr.decode()


def test_figures_of_a_running_instance(places: Places, guest: Guest) -> None:
    if guest.platform == "qemu":
        pytest.skip("only the monitor answers")
    place = places.make("guest")
    with running(place, web(place)) as server:
        get(server.endpoint)
        argv = [*compat_command(), "stats", "--json", str(server.process.pid)]
        done = subprocess.run(argv, capture_output=True, check=True, env=guest.environment(), timeout=60)
        (figures,) = json.loads(done.stdout)["instances"]
        assert figures["pid"] == server.process.pid
        inside = figures["guest"]["net"]
        # The harness has looked once before, whether somebody accepts.
        assert inside["tcp"]["accepts"] == figures["net"]["connections_in"] >= 2
        assert inside["sockets"]["tcp"]["listening"] == 1
        assert inside["interfaces"][1]["rx"]["bytes"] > 0
