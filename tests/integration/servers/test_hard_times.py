"""Clients that do not read, do not write, come in crowds, or die: others are served, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.harness import require
from tests.integration.servers.conftest import Both, Describe
from tests.integration.servers.http_client import get
from tests.integration.servers.place import Endpoint, Place, Setup

NGINX = "/usr/sbin/nginx"
STALLED = 400
SLOW = 600
STORM = 5000
# What the host's socket does not take of it stays in the guest.
LARGE = 8 << 20
PATIENCE = 20.0
# An answer that is not held up by anybody; a machine that is busy may be late once.
SOON = 0.5
TRIES = 5
DIES = """
import socket, sys, time
address = ("127.0.0.1", int(sys.argv[1]))
clients = [socket.create_connection(address) for _ in range(20)]
for client in clients:
    client.sendall(b"GET /large.bin HTTP/1.0\\r\\n\\r\\n")
    client.recv(1000)
print("ready", flush=True)
time.sleep(60)
"""

HEARS_ALL = """
import socket, sys
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    with client:
        heard = 0
        while part := client.recv(1 << 16):
            heard += len(part)
        if heard:
            client.sendall(bytes(heard + int(sys.argv[2])))
"""

# Few descriptors: those who come when there are none wait in the backlog until somebody goes.
FEW_FILES = """
import errno, resource, selectors, socket, sys
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=200)
listener.setblocking(False)
selector = selectors.DefaultSelector()
selector.register(listener, selectors.EVENT_READ)
resource.setrlimit(resource.RLIMIT_NOFILE, (32, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
waits = True

def accept():
    # Whether it can go on.
    try:
        client, _ = listener.accept()
    except OSError as error:
        assert error.errno == errno.EMFILE, error
        return False
    selector.register(client, selectors.EVENT_READ)
    return True

def serve(client):
    # Whether it stays.
    try:
        data = client.recv(100)
        client.sendall(data)
        return bool(data)
    except ConnectionError:
        return False

while True:
    for key, _ in selector.select():
        if key.fileobj is listener:
            if not accept():
                waits = False
                selector.unregister(listener)
        elif not serve(key.fileobj):
            selector.unregister(key.fileobj)
            key.fileobj.close()
            if not waits:
                waits = True
                selector.register(listener, selectors.EVENT_READ)
"""

ECHOES = """
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", int(sys.argv[1])))
while True:
    data, client = server.recvfrom(2000)
    if data.startswith(b"echo"):
        server.sendto(data, client)
"""
FLOOD = 50_000


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, work_cache: Path) -> Describe:
    """nginx with a small file and a large one."""
    require(NGINX, "nginx-light")
    root = work_cache / "hard-times"
    root.mkdir(exist_ok=True)
    for name, size in (("small.bin", 100), ("large.bin", LARGE)):
        if not (root / name).exists():
            (root / name).write_bytes(bytes(size))

    def describe(place: Place) -> Setup:
        text = f"""
daemon off;
master_process off;
user root;
pid {place.state}/nginx.pid;
error_log stderr error;
worker_rlimit_nofile 4096;
events {{ worker_connections 3000; }}
http {{
    access_log off;
    client_body_temp_path {place.state}/body;
    proxy_temp_path {place.state}/proxy;
    fastcgi_temp_path {place.state}/fastcgi;
    uwsgi_temp_path {place.state}/uwsgi;
    scgi_temp_path {place.state}/scgi;
    keepalive_requests 1000000;
    server {{ listen {place.port()} backlog=1024; root {root}; }}
}}
"""
        file = place.write("nginx.conf", text)
        return Setup([NGINX, "-c", file, "-e", "stderr"], add=[str(root)], memory="512M")

    return describe


def is_well(endpoint: Endpoint) -> None:
    """A new client gets its answer soon."""
    for _ in range(TRIES):
        start = time.monotonic()
        assert get(endpoint, "/small.bin").status == 200
        if time.monotonic() - start < SOON:
            return
    raise AssertionError(f"an answer takes more than {SOON} s")


def server_sockets(endpoint: Endpoint) -> int:
    """Connections at the server's port that are its own: the host's table, of which a monitor's are a part."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    own = f"0100007F:{endpoint.port:04X}"
    # ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING
    return sum(words[1] == own and words[3] in {"01", "04", "05", "08", "09", "0B"} for words in map(str.split, lines))


@contextlib.contextmanager
def nothing_left(endpoint: Endpoint) -> Iterator[None]:
    """All connections of the server end with what is done here."""
    yield
    deadline = time.monotonic() + PATIENCE
    while left := server_sockets(endpoint):
        assert time.monotonic() < deadline, f"{left} connections are left"
        time.sleep(0.02)
    is_well(endpoint)


@contextlib.contextmanager
def clients(endpoint: Endpoint, count: int, hello: bytes, room: int = 0) -> Iterator[list[socket.socket]]:
    """Connections that have all sent `hello`, with `room` for what they receive."""
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            client = stack.enter_context(socket.socket())
            client.settimeout(PATIENCE)
            if room:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            client.connect(endpoint.address)
            client.sendall(hello)
            made.append(client)
        yield made


def drain(client: socket.socket) -> int:
    total = 0
    while part := client.recv(1 << 20):
        total += len(part)
    return total


def test_clients_that_do_not_read(both: Both, server: Describe) -> None:
    """More of them than there are places in the queue of the socket device."""

    def check(endpoint: Endpoint) -> None:
        request = b"GET /large.bin HTTP/1.0\r\n\r\n"
        with nothing_left(endpoint), clients(endpoint, STALLED, request, 4096) as stalled:
            is_well(endpoint)
            time.sleep(0.5)
            is_well(endpoint)
            # Each can go on.
            assert all(drain(client) > LARGE for client in (stalled[0], stalled[-1]))

    both(server, check)


def test_clients_that_hardly_write(both: Both, server: Describe) -> None:
    def check(endpoint: Endpoint) -> None:
        with nothing_left(endpoint), clients(endpoint, SLOW, b"G") as slow:
            for byte in b"ET":
                for client in slow:
                    client.sendall(bytes([byte]))
                is_well(endpoint)
            slow[7].sendall(b" /small.bin HTTP/1.0\r\n\r\n")
            assert drain(slow[7]) > 100

    both(server, check)


def test_clients_that_are_killed(both: Both, server: Describe) -> None:
    def check(endpoint: Endpoint) -> None:
        for _ in range(3):
            argv = [sys.executable, "-S", "-c", DIES, str(endpoint.port)]
            with nothing_left(endpoint), subprocess.Popen(argv, stdout=subprocess.PIPE) as client:
                assert client.stdout is not None
                assert client.stdout.readline() == b"ready\n"
                os.kill(client.pid, signal.SIGKILL)

    both(server, check)


def test_clients_that_end_their_half(both: Both) -> None:
    """nginx leaves such clients, so it is another server: it answers when it has heard all."""
    python = require("/usr/bin/python3.11", "python3.11")

    def describe(place: Place) -> Setup:
        return Setup([python, "-S", "-c", HEARS_ALL, str(place.port()), str(LARGE)])

    def check(endpoint: Endpoint) -> None:
        for size in (1, 1000, 1 << 20):
            with socket.create_connection(endpoint.address, timeout=PATIENCE) as client:
                client.sendall(bytes(size))
                client.shutdown(socket.SHUT_WR)
                assert drain(client) == size + LARGE

    both(describe, check)


def test_a_storm_of_short_connections(both: Both, server: Describe) -> None:
    def check(endpoint: Endpoint) -> None:
        with nothing_left(endpoint):
            for number in range(STORM):
                with socket.create_connection(endpoint.address, timeout=PATIENCE) as client:
                    # Some say nothing at all, some do not wait for the answer.
                    if number % 3:
                        client.sendall(b"GET /small.bin HTTP/1.0\r\n\r\n")
                    if number % 3 == 2:
                        assert drain(client) > 100

    both(server, check)


def test_more_clients_than_descriptors(both: Both) -> None:
    python = require("/usr/bin/python3.11", "python3.11")

    def describe(place: Place) -> Setup:
        return Setup([python, "-S", "-c", FEW_FILES, str(place.port())])

    def check(endpoint: Endpoint) -> bytes:
        with clients(endpoint, 60, b"?") as crowd:
            # The first ones are served; the last one has to wait until all others have gone.
            crowd[0].recv(10)
            for client in crowd[:-1]:
                client.close()
            return crowd[-1].recv(10)

    both(describe, check)


def test_a_flood_of_datagrams(both: Both) -> None:
    """Much of it is lost, on both; afterwards the server answers as ever."""
    python = require("/usr/bin/python3.11", "python3.11")

    def describe(place: Place) -> Setup:
        return Setup([python, "-S", "-c", ECHOES, str(place.port(protocol="udp"))])

    def answers(endpoint: Endpoint) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(endpoint.address)
            client.settimeout(0.5)
            client.send(b"echo")
            assert client.recv(100) == b"echo"

    def check(endpoint: Endpoint) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
            attacker.connect(endpoint.address)
            for _ in range(FLOOD):
                attacker.send(bytes(1400))
        deadline = time.monotonic() + PATIENCE
        while True:
            # What is left of the flood may be in front of the question.
            with contextlib.suppress(TimeoutError):
                return answers(endpoint)
            assert time.monotonic() < deadline

    both(describe, check, ready=answers)
