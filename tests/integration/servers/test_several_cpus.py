"""Servers with several threads on a machine with two CPUs, under load from several clients."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace

from pymemcache.client.base import Client

from tests.integration.servers import test_memcached, test_redis
from tests.integration.servers.conftest import Both
from tests.integration.servers.place import Endpoint, Place, Setup
from tests.integration.servers.resp import Redis

CLIENTS = 4
ROUNDS = 25


def all_at_once(work: Callable[[int], None]) -> None:
    """Runs `work(number)` in several threads; what one of them raises is raised here."""
    failures: list[BaseException] = []

    def one(number: int) -> None:
        try:
            work(number)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def content(number: int, i: int) -> bytes:
    return hashlib.sha256(f"{number} {i}".encode()).digest() * (1 + i * 37 % 900)


def test_memcached_with_threads(both: Both) -> None:
    def describe(place: Place) -> Setup:
        return replace(test_memcached.memcached(place), cpus=2)

    def check(endpoint: Endpoint) -> None:
        def work(number: int) -> None:
            client = Client(endpoint.address, timeout=60, no_delay=True)
            for i in range(ROUNDS):
                assert client.set(f"{number}-{i}", content(number, i), noreply=False)
                assert client.get(f"{number}-{i}") == content(number, i)
                client.incr("count", 1)
            client.close()

        first = Client(endpoint.address, timeout=60)
        first.set("count", b"0", noreply=False)
        all_at_once(work)
        assert first.get("count") == str(CLIENTS * ROUNDS).encode()
        first.close()

    both(describe, check, ready=test_memcached.ready)


def test_redis_with_io_threads(both: Both) -> None:
    def describe(place: Place) -> Setup:
        setup = test_redis.redis(place)
        return replace(setup, argv=[*setup.argv, "--io-threads", "2", "--io-threads-do-reads", "yes"], cpus=2)

    def check(endpoint: Endpoint) -> None:
        def work(number: int) -> None:
            with Redis(endpoint) as client:
                for i in range(ROUNDS):
                    assert client.ask("SET", f"{number}-{i}", content(number, i)) == "OK"
                    assert client.ask("STRLEN", f"{number}-{i}") == len(content(number, i))
                    client.ask("INCR", "count")

        all_at_once(work)
        with Redis(endpoint) as client:
            assert client.ask("INCR", "count") == CLIENTS * ROUNDS + 1

    both(describe, check, ready=test_redis.ready)
