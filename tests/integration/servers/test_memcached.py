"""memcached with threads: pymemcache, its own integration tests, and the UDP protocol."""

from __future__ import annotations

import random
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pymemcache
from pymemcache.client.base import Client, PooledClient

from tests.integration.harness import require
from tests.integration.servers.conftest import Both
from tests.integration.servers.place import Endpoint, Place, Setup

# Serialisation of Python objects is no matter of the server's.
OWN_TESTS = str(Path(pymemcache.__file__).with_name("test") / "test_integration.py")


def memcached(place: Place) -> Setup:
    program = require("/usr/bin/memcached", "memcached")
    port = str(place.port(protocol="tcp+udp"))
    return Setup([program, "-u", "nobody", "-t", "4", "-l", "0.0.0.0", "-p", port, "-U", port, "-I", "8m"])


def ready(endpoint: Endpoint) -> None:
    client = Client(endpoint.address, timeout=5)
    client.version()
    client.close()


def test_basics(both: Both) -> None:
    large = random.Random(3).randbytes(4 << 20)

    def check(endpoint: Endpoint) -> object:
        client = Client(endpoint.address, timeout=20, no_delay=True)
        assert client.set("key", b"value", noreply=False)
        assert client.get("key") == b"value"
        assert client.gets("key")[0] == b"value"
        assert client.cas("key", b"other", client.gets("key")[1])
        assert client.incr("absent", 1) is None
        assert client.set_many({f"key{i}": str(i).encode() for i in range(1000)}, noreply=False) == []
        assert client.get_many([f"key{i}" for i in range(1000)]) == {f"key{i}": str(i).encode() for i in range(1000)}
        assert client.set("large", large, noreply=False)
        assert client.get("large") == large
        stats = client.stats()
        client.close()
        return [stats[name] for name in (b"curr_connections", b"threads", b"curr_items", b"cmd_set")]

    both(memcached, check, ready=ready)


def test_many_clients_at_once(both: Both) -> None:
    def check(endpoint: Endpoint) -> None:
        pool = PooledClient(endpoint.address, timeout=30, max_pool_size=32, no_delay=True)
        pool.set("sum", b"0", noreply=False)
        failures = []

        def work(number: int) -> None:
            for i in range(200):
                value = f"{number}:{i}".encode() * 20
                pool.set(f"own{number}", value, noreply=False)
                if pool.get(f"own{number}") != value:
                    failures.append(number)
                pool.incr("sum", 1)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert pool.get("sum") == str(32 * 200).encode()
        pool.close()

    both(memcached, check, ready=ready)


def test_datagrams(both: Both) -> None:
    """Every datagram has a header: request, number, count, zero. A long answer comes in several."""

    def ask(udp: socket.socket, request: int, text: bytes) -> bytes:
        udp.send(struct.pack(">4H", request, 0, 1, 0) + text)
        parts: dict[int, bytes] = {}
        while True:
            answer = udp.recv(65536)
            told, number, count, _ = struct.unpack_from(">4H", answer)
            if told == request:
                parts[number] = answer[8:]
            if len(parts) == count:
                return b"".join(parts[number] for number in range(count))

    def check(endpoint: Endpoint) -> None:
        long = b"x" * 10_000
        client = Client(endpoint.address, timeout=20)
        client.set("long", long, noreply=False)
        client.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.connect(endpoint.address)
            udp.settimeout(20)
            for number in range(200):
                assert ask(udp, number, b"set n 0 0 3\r\n%03d\r\n" % number) == b"STORED\r\n"
                assert ask(udp, 1000 + number, b"get n\r\n") == b"VALUE n 0 3\r\n%03d\r\nEND\r\n" % number
            assert ask(udp, 5000, b"get long\r\n") == b"VALUE long 0 10000\r\n" + long + b"\r\nEND\r\n"

    both(memcached, check, ready=ready)


def test_the_clients_own_tests(both: Both) -> None:
    def check(endpoint: Endpoint) -> str:
        argv = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            "/dev/null",
            "-p",
            "no:cacheprovider",
            OWN_TESTS,
        ]
        argv += ["--server", endpoint.host, "--port", str(endpoint.port), "-k", "not serde and not tls"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200, cwd="/")
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout.splitlines()[-1].split(" in ")[0]

    both(memcached, check, ready=ready)
