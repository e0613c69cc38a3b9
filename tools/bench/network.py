"""The network: servers in both places at the same time, measured in turns by the same clients on the host.

As everywhere less is better, so rates are told as time: a target of half the native rate is twice the native time.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.harness import Guest
from tests.integration.servers.place import Endpoint, GuestPlace, NativePlace, Place, Setup
from tests.integration.servers.server import Ready, Server, running, tcp_ready
from tools.bench.programs import BenchError, command, compile_c
from tools.bench.rows import Bench, Row, medians

REDIS, NGINX, IPERF3, WRK = "/usr/bin/redis-server", "/usr/sbin/nginx", "/usr/bin/iperf3", "/usr/bin/wrk"
# The most that the guest's time may be of native: the inverse of the rate that it must reach.
REDIS_PLAIN, REDIS_PIPELINED, NGINX_SMALL, STREAM, CONNECTIONS = 1 / 0.5, 1 / 0.9, 1 / 0.6, 1 / 0.3, 1 / 0.4
FEW, MANY = 10, 10_000
IDLE_REQUESTS = 50_000
MANY_COST_AT_MOST = 1.2
CONNECTION_KIB_AT_MOST = 8.0
IDLE_PERCENT_AT_MOST = 0.1
IDLE_SECONDS = 10.0
SETTLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Pair:
    """One server in both places."""

    native: Server
    guest: Server

    def in_turns(self, measure: Callable[[Endpoint], float], runs: int) -> tuple[list[float], list[float]]:
        pairs = [(measure(self.native.endpoint), measure(self.guest.endpoint)) for _ in range(runs)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def network(bench: Bench) -> Iterable[Row]:
    """All rows of the group."""
    client = compile_c("connections.c", bench.folder / "connections")
    bench.progress("redis")
    with both(bench, "redis", redis) as pair:
        yield from redis_rows(pair, bench.runs)
        bench.progress("connections")
        samples = pair.in_turns(lambda endpoint: 1e6 / connection_rate(client, endpoint), bench.runs)
        yield medians("connection accepted and closed", "us", *samples, ratio_at_most=CONNECTIONS)
    bench.progress(f"{MANY} idle connections")
    with both(bench, "redis", redis) as pair:
        yield from idle_rows(pair, client, bench.runs)
    program = compile_c("waiter.c", bench.folder / "waiter")
    with both(bench, "waiter", lambda place: Setup([str(program), str(place.port())])) as pair:
        yield from memory_rows(pair, client)
    bench.progress("nginx")
    with both(bench, "nginx", nginx) as pair:
        samples = pair.in_turns(lambda endpoint: 1e6 / wrk_rate(endpoint), bench.runs)
        yield medians("nginx 1 KB, keep-alive, 64 connections", "us", *samples, ratio_at_most=NGINX_SMALL)
    bench.progress("streams")
    with both(bench, "iperf3", iperf3, ready=lambda endpoint: stream_rate(endpoint, "-n", "1K")) as pair:
        for name, options in (("in", []), ("out", ["-R"])):
            samples = pair.in_turns(lambda endpoint: 1e9 / stream_rate(endpoint, "-t", "2", *options), bench.runs)  # noqa: B023
            yield medians(f"iperf3, TCP stream {name}", "s/GB", *samples, ratio_at_most=STREAM)
    yield from cpu_rows(bench)


def redis_rows(pair: Pair, runs: int) -> Iterable[Row]:
    for name, pipeline, requests, target in (
        ("", 1, 30_000, REDIS_PLAIN),
        (", pipelined 16", 16, 200_000, REDIS_PIPELINED),
    ):
        for call in ("GET", "SET"):
            samples = pair.in_turns(lambda endpoint: redis_time(endpoint, call, pipeline, requests), runs)  # noqa: B023
            yield medians(f"redis {call}, 50 clients{name}", "us", *samples, ratio_at_most=target)


def idle_rows(pair: Pair, client: Path, runs: int) -> Iterable[Row]:
    """What idle connections cost others' requests."""
    costs: dict[str, list[float]] = {}
    for name, server in (("native", pair.native), ("guest", pair.guest)):
        # The first load of a server makes its tables.
        redis_time(server.endpoint, "GET", 1, IDLE_REQUESTS)
        costs[name] = []
        for _ in range(runs):
            with idle(client, server, FEW):
                few = redis_time(server.endpoint, "GET", 1, IDLE_REQUESTS)
            with idle(client, server, MANY):
                costs[name].append(redis_time(server.endpoint, "GET", 1, IDLE_REQUESTS) / few)
    name = f"redis GET, with {MANY} idle connections against {FEW}"
    yield medians(name, "x", costs["native"], costs["guest"], guest_at_most=MANY_COST_AT_MOST)


def memory_rows(pair: Pair, client: Path) -> Iterable[Row]:
    """The memory of idle connections, with a server that has none for them."""
    growth = []
    for server in (pair.native, pair.guest):
        # The first connections make tables.
        with idle(client, server, FEW):
            before = resident_kib(server)
        with idle(client, server, MANY):
            growth.append((resident_kib(server) - before) / MANY)
    # On native Linux it is the kernel's, which the process does not show.
    yield Row("memory of an idle connection", "KiB", None, growth[1], guest_at_most=CONNECTION_KIB_AT_MOST)


def cpu_rows(bench: Bench) -> Iterable[Row]:
    """With nginx nothing happens; redis has a timer, ten times a second."""
    for name, describe, most in (("nginx", nginx, IDLE_PERCENT_AT_MOST), ("redis (10 timers a second)", redis, None)):
        bench.progress(f"idle {name}")
        with both(bench, name.split()[0], describe) as pair:
            time.sleep(SETTLE_SECONDS)
            before = [cpu_seconds(server) for server in (pair.native, pair.guest)]
            time.sleep(IDLE_SECONDS)
            used = [cpu_seconds(server) for server in (pair.native, pair.guest)]
            native, guest = (100 * (now - then) / IDLE_SECONDS for now, then in zip(used, before, strict=True))
        yield Row(f"CPU time of idle {name}", "%", native, guest, guest_at_most=most)


@contextlib.contextmanager
def both(bench: Bench, name: str, describe: Callable[[Place], Setup], ready: Ready = tcp_ready) -> Iterator[Pair]:
    state = bench.folder / f"{name}-state"
    state.mkdir(exist_ok=True)
    native = NativePlace(bench.folder / f"{name}-native", str(state))
    guest = GuestPlace(bench.folder / f"{name}-guest", Guest("kvm", bench.folder / "cache", 1))
    try:
        with running(native, describe(native), ready) as one, running(guest, describe(guest), ready) as other:
            yield Pair(one, other)
    except AssertionError as error:
        raise BenchError("\n".join([str(error), *error.__notes__])) from error


def redis(place: Place) -> Setup:
    options = [
        "--bind",
        "0.0.0.0",
        "--protected-mode",
        "no",
        "--save",
        "",
        "--dir",
        place.state,
        "--maxclients",
        "15000",
    ]
    return Setup([REDIS, "--port", str(place.port()), *options], memory="1G")


def nginx(place: Place) -> Setup:
    place.write("1k", b"x" * 1024)
    temporary = "".join(
        f"{name}_temp_path {place.state}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = f"""
daemon off; master_process off; user root; pid {place.state}/pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; {temporary}
    server {{ listen {place.port()}; root {place.folder}; }} }}
"""
    return Setup([NGINX, "-c", place.write("nginx.conf", text), "-e", "stderr"])


def iperf3(place: Place) -> Setup:
    return Setup([IPERF3, "-s", "-p", str(place.port())])


def redis_time(endpoint: Endpoint, call: str, pipeline: int, requests: int, clients: int = 50) -> float:
    """Microseconds a request."""
    options = ["-c", str(clients), "-P", str(pipeline), "-n", str(requests), "-t", call.lower(), "--csv"]
    output = command(["/usr/bin/redis-benchmark", "-h", endpoint.host, "-p", str(endpoint.port), *options])
    for row in csv.DictReader(output.splitlines()):
        if row["test"] == call:
            return 1e6 / float(row["rps"])
    raise BenchError(f"redis-benchmark printed no figure:\n{output}")


def wrk_rate(endpoint: Endpoint) -> float:
    """Requests a second."""
    output = command([WRK, "-t", "1", "-c", "64", "-d", "3s", endpoint.url("/1k")])
    found = re.search(r"Requests/sec:\s*([\d.]+)", output)
    if found is None or "Non-2xx" in output or "Socket errors" in output:
        raise BenchError(f"wrk met errors:\n{output}")
    return float(found[1])


def stream_rate(endpoint: Endpoint, *options: str) -> float:
    """Bytes a second, as the receiver counts."""
    output = command([IPERF3, "-c", endpoint.host, "-p", str(endpoint.port), "-J", *options])
    return float(json.loads(output)["end"]["sum_received"]["bits_per_second"]) / 8


def connection_rate(client: Path, endpoint: Endpoint) -> float:
    return float(command([str(client), "rate", endpoint.host, str(endpoint.port), "2"]))


@contextlib.contextmanager
def idle(client: Path, server: Server, count: int) -> Iterator[None]:
    """That many connections which have been used once and now wait."""
    argv = [str(client), "idle", server.endpoint.host, str(server.endpoint.port), str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "ready\n":
                raise BenchError(f"no {count} connections can be made")
            yield
        finally:
            process.stdin.close()
            process.wait()


def resident_kib(server: Server) -> float:
    """Of the server, or of the monitor with the guest's memory."""
    found = re.search(r"^VmRSS:\s*(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text(), re.MULTILINE)
    if found is None:
        raise BenchError("the server has ended")
    return float(found[1])


def cpu_seconds(server: Server) -> float:
    """Of all its threads, by the scheduler's own count: ticks are too coarse for an idle process."""
    tasks = Path(f"/proc/{server.process.pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9
