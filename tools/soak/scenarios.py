"""The loads. Each is a function that takes a `Soak` and says what it found; its first line is shown by --help."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from tests.integration.servers.http_client import get
from tests.integration.servers.place import Endpoint, Place, Setup
from tools.bench.network import WRK, nginx, redis, redis_time
from tools.bench.programs import command
from tools.soak.acceptance import acceptance
from tools.soak.beside import beside
from tools.soak.faults import faults
from tools.soak.heavy import heavy
from tools.soak.lived import lived
from tools.soak.watch import LeakError, Soak

LINGER_NOT = struct.pack("ii", 1, 0)
TCP_REPAIR = 19
ANSWER_SECONDS = 5.0


def requests(soak: Soak) -> str:
    """1,000,000 requests of nginx on kept connections and of redis, by fifty clients."""
    with soak.server(nginx) as server:
        reports = [soak.again(server, lambda: http_requests(server.endpoint, soak.count(500_000)))]
    with soak.server(redis) as server:
        reports += [soak.again(server, lambda: redis_requests(server.endpoint, soak.count(500_000)))]
    return "; ".join(reports)


def connections(soak: Soak) -> str:
    """200,000 connections, each for one request: more than there are ephemeral ports."""
    with soak.server(nginx) as server:

        def load() -> None:
            for number in range(soak.count(100_000)):
                with socket.create_connection(server.endpoint.address, timeout=ANSWER_SECONDS) as client:
                    client.sendall(b"GET /1k HTTP/1.0\r\n\r\n")
                    while client.recv(65536):
                        pass
                    # Every other one ends by a reset, and leaves no TIME_WAIT here.
                    if number % 2:
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)

        return soak.again(server, load)


def killed(soak: Soak) -> str:
    """Clients that are killed in the middle of what they do, 1,000 times ten connections."""
    code = """
import socket, sys, time
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(10)]
for number, client in enumerate(clients):
    client.sendall([b"GET /1k HTT", b"GET /1k HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" * 500][number % 2])
print("ready", flush=True)
time.sleep(60)
"""
    with soak.server(nginx) as server:

        def load() -> None:
            for _ in range(soak.count(500)):
                argv = [sys.executable, "-S", "-c", code, str(server.endpoint.port)]
                with subprocess.Popen(argv, stdout=subprocess.PIPE) as client:
                    assert client.stdout is not None
                    client.stdout.readline()
                    client.send_signal(signal.SIGKILL)
            answers_soon(server.endpoint)

        return soak.again(server, load)


def slow(soak: Soak) -> str:
    """Slow loris: 900 connections that send a byte a second; others are still served."""
    with soak.server(nginx) as server:

        def load() -> None:
            with contextlib.ExitStack() as stack:
                address = server.endpoint.address
                clients = [stack.enter_context(socket.create_connection(address)) for _ in range(soak.count(900))]
                for byte in b"GET /1k HTTP/1.1"[: soak.count(16)]:
                    for client in clients:
                        client.send(bytes([byte]))
                    answers_soon(server.endpoint)
                    time.sleep(1)

        return soak.again(server, load)


def unread(soak: Soak) -> str:
    """200 clients that ask for much and never read; others are still served."""
    with soak.server(redis) as server:
        with socket.create_connection(server.endpoint.address) as client:
            client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1048576\r\n" + bytes(1 << 20) + b"\r\n")
            client.recv(100)

        def load() -> None:
            with contextlib.ExitStack() as stack:
                for _ in range(soak.count(200)):
                    client = stack.enter_context(socket.create_connection(server.endpoint.address))
                    client.sendall(b"GET x\r\n")
                time.sleep(2)
                redis_requests(server.endpoint, 10_000)

        return soak.again(server, load)


def vanished(soak: Soak) -> str:
    """Half-open peers: 500 clients that go away without a word (root); the server's keep-alive finds them."""

    def describe(place: Place) -> Setup:
        setup = redis(place)
        return replace(setup, argv=[*setup.argv, "--tcp-keepalive", "1"])

    with soak.server(describe) as server:

        def load() -> None:
            for _ in range(soak.count(500)):
                client = socket.create_connection(server.endpoint.address)
                client.sendall(b"PING\r\n")
                client.recv(100)
                # A socket under repair is closed without a packet.
                client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
                client.close()

        return soak.again(server, load)


def http_requests(endpoint: Endpoint, count: int) -> None:
    done = 0
    while done < count:
        output = command([WRK, "-t", "1", "-c", "50", "-d", "5s", endpoint.url("/1k")])
        if "Non-2xx" in output or "Socket errors" in output:
            raise LeakError(f"wrk met errors:\n{output}")
        done += int(output.split(" requests in ")[0].split()[-1])


def redis_requests(endpoint: Endpoint, count: int) -> None:
    redis_time(endpoint, "GET", 1, count)


def answers_soon(endpoint: Endpoint) -> None:
    started = time.monotonic()
    answer = get(endpoint, "/1k")
    if answer.status != 200 or time.monotonic() - started > ANSWER_SECONDS:
        raise LeakError(f"status {answer.status} after {time.monotonic() - started:.1f} s: others are not served")


SCENARIOS: dict[str, Callable[[Soak], str]] = {
    run.__name__: run
    for run in (requests, connections, killed, slow, unread, vanished, acceptance, beside, lived, heavy, faults)
}
