"""The guest's own TCP/IP: servers in a network namespace, the client in another, a veth pair between them.

The native server has the bridge's address, the guest a network card in the bridge. There are no targets: those hold for
forwarded sockets. The last rows move bytes over a cable with faults (`tools/wire`). It takes root.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from tests.integration.harness import Guest
from tests.integration.servers.lan import Lan, LanGuest, LanNative, lan
from tests.integration.servers.place import Endpoint, Place, Setup
from tests.integration.servers.server import Ready, running, tcp_ready
from tools.bench.network import (
    Pair,
    connection_rate,
    idle_rows,
    iperf3,
    nginx,
    redis,
    redis_rows,
    redis_time,
    stream_rate,
    wrk_rate,
)
from tools.bench.programs import BenchError, command, compile_c
from tools.bench.rows import Bench, Row, medians

TRANSFER = Path(__file__).resolve().parents[2] / "tests/integration/servers/programs/transfer.c"
# What the cable does, and how many bytes are moved.
CABLES: Mapping[str, tuple[Mapping[str, float], int]] = {
    "clean": ({}, 32 << 20),
    "1 % lost": ({"loss": 1}, 8 << 20),
    "20 ms late": ({"delay": 20}, 8 << 20),
    "1 % twice": ({"duplicate": 1}, 16 << 20),
    "reordered by 2 ms": ({"delay": 1, "jitter": 2}, 4 << 20),
}
# The guest may be twice as slow as native under the same conditions.
DEGRADED = 2.0


def tap(bench: Bench) -> Iterable[Row]:
    """All rows of the group."""
    if os.getuid() != 0:
        raise BenchError("the group tap makes network namespaces, which takes root")
    client = compile_c("connections.c", bench.folder / "connections")
    with lan(bench.folder) as network:
        yield from redis_under_load(bench, network, client)
    # Anew: the connections before have used up the client's ports for a minute.
    with lan(bench.folder) as network:
        yield from servers(bench, network, client)
    transfer = compile_c(str(TRANSFER), bench.folder / "transfer")
    for name, (faults, size) in CABLES.items():
        bench.progress(f"a cable, {name}")
        with lan(bench.folder, faults) as network:
            yield from transfers(bench, network, transfer, name, size)


def redis_under_load(bench: Bench, network: Lan, client: Path) -> Iterable[Row]:
    bench.progress("redis over a card")
    with both(bench, network, "redis", redis) as pair:
        for row in redis_rows(pair, bench.runs):
            yield without_target(row)
        samples = pair.in_turns(lambda endpoint: redis_time(endpoint, "GET", 1, 30_000, 1000), bench.runs)
        yield medians("redis GET, 1000 clients", "us", *samples)
        samples = pair.in_turns(lambda endpoint: 1e6 / connection_rate(client, endpoint), bench.runs)
        yield medians("connection accepted and closed", "us", *samples)


def servers(bench: Bench, network: Lan, client: Path) -> Iterable[Row]:
    bench.progress("idle connections over a card")
    with both(bench, network, "redis", redis) as pair:
        yield from idle_rows(pair, client, bench.runs)
    bench.progress("nginx over a card")
    with both(bench, network, "nginx", nginx) as pair:
        samples = pair.in_turns(lambda endpoint: 1e6 / wrk_rate(endpoint), bench.runs)
        yield medians("nginx 1 KB, keep-alive, 64 connections", "us", *samples)
    bench.progress("streams over a card")
    with both(bench, network, "iperf3", iperf3, lambda endpoint: stream_rate(endpoint, "-n", "1K")) as pair:
        for name, options in (("in", []), ("out", ["-R"])):
            samples = pair.in_turns(lambda endpoint: 1e9 / stream_rate(endpoint, "-t", "2", *options), bench.runs)  # noqa: B023
            yield medians(f"iperf3, TCP stream {name}", "s/GB", *samples)


def without_target(row: Row) -> Row:
    return Row(row.name, row.unit, row.native, row.guest, samples=row.samples)


def transfers(bench: Bench, network: Lan, transfer: Path, name: str, size: int) -> Iterable[Row]:
    def seconds(endpoint: Endpoint, direction: str, count: int) -> float:
        return float(command([str(transfer), direction, endpoint.host, str(endpoint.port), str(count), "1"]))

    def describe(place: Place) -> Setup:
        return Setup([str(transfer), "serve", str(place.port())])

    with both(bench, network, "transfer", describe, lambda endpoint: seconds(endpoint, "get", 1)) as pair:
        for direction, text in (("get", "out"), ("put", "in")):
            samples = pair.in_turns(lambda endpoint: seconds(endpoint, direction, size) * 1000, bench.runs)  # noqa: B023
            yield medians(f"{size >> 20} MB {text}, cable: {name}", "ms", *samples, ratio_at_most=DEGRADED)


@contextlib.contextmanager
def both(
    bench: Bench, network: Lan, name: str, describe: Callable[[Place], Setup], ready: Ready = tcp_ready
) -> Iterator[Pair]:
    """Both servers; what follows, clients included, is in the client's namespace."""
    state = bench.folder / f"{name}-state"
    state.mkdir(exist_ok=True)
    native = LanNative(network, bench.folder / f"{name}-tap-native", str(state))
    guest = LanGuest(network, bench.folder / f"{name}-tap-guest", Guest("kvm", bench.folder / "cache", 1))
    try:
        with (
            network.inside(network.client),
            running(native, describe(native), ready) as one,
            running(guest, describe(guest), ready) as other,
        ):
            yield Pair(one, other)
    except AssertionError as error:
        raise BenchError("\n".join([str(error), *getattr(error, "__notes__", [])])) from error
