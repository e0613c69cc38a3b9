"""redis-server, asked by redis-cli, redis-benchmark and by a client of our own."""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
import threading
import time
from pathlib import Path

from tests.integration.harness import ENVIRONMENT, require
from tests.integration.servers.conftest import Both
from tests.integration.servers.place import Endpoint, Place, Setup
from tests.integration.servers.resp import Redis, encode


def redis(place: Place) -> Setup:
    server = require("/usr/bin/redis-server", "redis-server")
    options = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--appendonly", "no", "--dir", place.state]
    return Setup([server, "--port", str(place.port()), *options])


def ready(endpoint: Endpoint) -> None:
    with Redis(endpoint) as client:
        assert client.ask("PING") == "PONG"


def cli(endpoint: Endpoint, *words: str, stdin: bytes = b"") -> str:
    program = require("/usr/bin/redis-cli", "redis-tools")
    argv = [program, "-h", endpoint.host, "-p", str(endpoint.port), *words]
    done = subprocess.run(argv, input=stdin, capture_output=True, env=ENVIRONMENT, check=True, timeout=60)
    return done.stdout.decode()


def test_commands(both: Both) -> None:
    lines = b"""
        SET greeting "hello world"
        GET greeting
        APPEND greeting !
        STRLEN greeting
        INCRBY counter 41
        INCR counter
        RPUSH list a b c d
        LRANGE list 0 -1
        HSET hash one 1 two 2
        HGETALL hash
        ZADD scores 3 c 1 a 2 b
        ZRANGE scores 0 -1 WITHSCORES
        SADD set x y x
        SCARD set
        SETBIT bits 7 1
        BITCOUNT bits
        PFADD visitors 1 2 3 2 1
        PFCOUNT visitors
        XADD stream 1-1 field value
        XRANGE stream - +
        GEOADD places 8.54 47.37 Zurich 7.44 46.95 Bern
        GEODIST places Zurich Bern km
        EVAL "return redis.call('GET', KEYS[1]) .. ARGV[1]" 1 greeting ?
        EXPIRE greeting 100
        TTL greeting
        GET absent
        LPUSH greeting x
        NONSENSE
        DBSIZE
    """

    def check(endpoint: Endpoint) -> str:
        told = cli(endpoint, stdin=lines)
        assert "hello world!?" in told
        assert "WRONGTYPE" in told
        print(told)
        return told

    both(redis, check, ready=ready)


def test_large_values_and_pipelines(both: Both) -> None:
    large = random.Random(1).randbytes(16 << 20)

    def check(endpoint: Endpoint) -> None:
        with Redis(endpoint) as client:
            assert client.ask("SET", "large", large) == "OK"
            assert hashlib.sha256(client.ask("GET", "large")).digest() == hashlib.sha256(large).digest()
            assert client.ask("GETRANGE", "large", "1000000", "1000999") == large[1000000:1001000]
        with Redis(endpoint) as client:
            count = 20_000
            questions = b"".join(
                encode("SET", f"key{i}", f"value {i}") + encode("GET", f"key{i}") for i in range(count)
            )
            # Sent from a thread: both sides' buffers together are smaller than the answers.
            sender = threading.Thread(target=client.socket.sendall, args=(questions,))
            sender.start()
            for i in range(count):
                assert client.read() == "OK"
                assert client.read() == f"value {i}".encode()
            sender.join()

    both(redis, check, ready=ready)


def test_transactions_blocking_and_publishing(both: Both) -> None:
    def check(endpoint: Endpoint) -> None:
        with Redis(endpoint) as one, Redis(endpoint) as two:
            one.send("BLPOP", "queue", "20")
            assert two.ask("RPUSH", "queue", "work") == 1
            assert one.read() == [b"queue", b"work"]
            assert two.ask("BLPOP", "queue", "0.05") is None
            assert one.ask("MULTI") == "OK"
            assert [one.ask("INCR", "n"), one.ask("INCR", "n")] == ["QUEUED", "QUEUED"]
            assert one.ask("EXEC") == [1, 2]
            assert one.ask("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
            assert one.ask("PSUBSCRIBE", "n*") == [b"psubscribe", b"n*", 2]
            for number in range(1000):
                two.send("PUBLISH", "news", f"message {number}")
            for number in range(1000):
                text = f"message {number}".encode()
                assert one.read() == [b"message", b"news", text]
                assert one.read() == [b"pmessage", b"n*", b"news", text]
                assert two.read() == 2

    both(redis, check, ready=ready)


def test_clients_that_go_away(both: Both) -> None:
    """Half a question, a reset, a shutdown: the server forgets each of them."""

    def check(endpoint: Endpoint) -> None:
        with Redis(endpoint) as watch:
            for ending in range(3):
                for _ in range(50):
                    with Redis(endpoint) as client:
                        if ending == 0:
                            client.socket.sendall(b"*2\r\n$3\r\nGE")
                        elif ending == 1:
                            client.socket.sendall(encode("GET", "x") * 100)
                        else:
                            client.socket.shutdown(1)
                            assert client.lines.read() == b""
            for _ in range(500):
                if re.search(rb"connected_clients:(\d+)", watch.ask("INFO", "clients"))[1] == b"1":
                    return
        raise AssertionError("connections are left")

    both(redis, check, ready=ready)


def test_a_thousand_clients(both: Both) -> None:
    program = require("/usr/bin/redis-benchmark", "redis-tools")

    def check(endpoint: Endpoint) -> list[str]:
        for clients, pipeline, tests in ((50, 16, "ping,set,get,incr,lpush,mset"), (1000, 1, "set,get")):
            argv = [program, "-h", endpoint.host, "-p", str(endpoint.port), "-c", str(clients), "-P", str(pipeline)]
            argv += ["-n", "5000", "-t", tests, "--csv"]
            done = subprocess.run(argv, capture_output=True, text=True, env=ENVIRONMENT, check=True, timeout=120)
        assert "ERR" not in done.stdout + done.stderr
        return [line.split(",")[0] for line in done.stdout.splitlines()]

    both(redis, check, ready=ready)


def test_saving_in_the_background(both: Both) -> None:
    """A child writes what there was when it was made, while the parent goes on changing it."""

    def info(client: Redis, name: str) -> str:
        told = client.ask("INFO", "persistence").decode()
        found = re.search(rf"^{name}:(.*?)\r?$", told, re.MULTILINE)
        assert found is not None
        return found[1]

    def finish(client: Redis, flag: str) -> None:
        until = time.monotonic() + 30
        while info(client, flag) != "0" and time.monotonic() < until:
            time.sleep(0.02)
        assert info(client, flag) == "0"

    def check(endpoint: Endpoint) -> list[str]:
        with Redis(endpoint) as client:
            for number in range(2000):
                client.send("SET", f"key{number}", "x" * 1000)
            assert all(client.read() == "OK" for _ in range(2000))
            assert "started" in client.ask("BGSAVE")
            for number in range(500):
                assert client.ask("SET", f"key{number}", "changed") == "OK"
            finish(client, "rdb_bgsave_in_progress")
            saved = info(client, "rdb_last_bgsave_status")
            assert client.ask("CONFIG", "SET", "appendonly", "yes") == "OK"
            finish(client, "aof_rewrite_in_progress")
            return [saved, info(client, "aof_last_bgrewrite_status"), client.ask("GET", "key1999").decode()]

    both(redis, check, ready=ready)


def test_dumps_for_a_client(both: Both, tmp_path: Path) -> None:
    """A child writes them to a file or into the socket, whole or with the functions alone."""
    checker = require("/usr/bin/redis-check-rdb", "redis-tools")
    library = "#!lua name=lib\nredis.register_function('f', function() return 1 end)"
    keys = 2000

    def check(endpoint: Endpoint) -> None:
        with Redis(endpoint) as client:
            assert client.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0") == "OK"
            for number in range(keys):
                client.send("SET", f"key{number}", "x" * 1000)
            assert all(client.read() == "OK" for _ in range(keys))
            assert client.ask("FUNCTION", "LOAD", library) == b"lib"
        for option, expected in (("--rdb", keys), ("--functions-rdb", 0)):
            for diskless in ("no", "yes"):
                cli(endpoint, "CONFIG", "SET", "repl-diskless-sync", diskless)
                file = tmp_path / "dump.rdb"
                cli(endpoint, option, str(file))
                done = subprocess.run([checker, file], capture_output=True, text=True, check=True, timeout=60)
                assert f"[info] {expected} keys read" in done.stdout
                assert b"register_function" in file.read_bytes()

    both(redis, check, ready=ready)
