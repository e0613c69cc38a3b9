"""Servers of managed run-times that live long: what they hold becomes flat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from compat.instances import Instance, ask_instance, instance_folder
from tests.integration.harness import cache_folder, npm_package
from tests.integration.servers import test_etcd, test_managed, test_web
from tests.integration.servers.conftest import WS
from tests.integration.servers.http_client import get
from tests.integration.servers.place import Endpoint, Place, Setup
from tests.integration.servers.server import Server
from tools.bench.network import WRK, resident_kib
from tools.bench.programs import command
from tools.soak.watch import LeakError, Soak, descriptors

Describe = Callable[[Place], Setup]
Load = Callable[[Endpoint], None]
LOAD_SECONDS = 5
# What a heap that is collected now and then may differ from one look to the next, beside the share that it has.
SLACK_KIB = 16 << 10
SLACK_SHARE = 0.05
# Lwt makes a thread more whenever all of its pool are busy, natively as well, and keeps it.
GROWING_POOLS = ("ocsigenserver",)
# Connections that are kept, or have not been closed yet.
SLACK_DESCRIPTORS = 8
KEYS = 200


@dataclass(frozen=True, slots=True)
class Held:
    resident_kib: float
    # Of the guest's memory; 0 natively.
    used_kib: float
    threads: int
    # Of the server, or of the monitor, which has one for each connection that leaves the guest.
    descriptors: int


def lived(soak: Soak) -> str:
    """Servers of managed run-times, or those of --only, under load for --minutes in all: memory becomes flat."""
    cases = [(name, *case, cpus) for name, case in soak.chosen(servers()).items() for cpus in (1, 2)]
    reports, failed = [], []
    for name, describe, load, cpus in cases:
        try:
            seconds = soak.minutes * 60 / len(cases)
            told = flat(soak, sized(describe, cpus), load, seconds, grows=name in GROWING_POOLS)
        except (LeakError, AssertionError) as error:
            failed.append(f"{name} with {cpus} CPUs: {error}")
            told = f"FAILED {error}"
        reports.append(f"{name} with {cpus} CPUs: {told}")
        print(reports[-1], flush=True)
    if failed:
        raise LeakError("\n".join(failed))
    return f"{len(cases)} servers"


def sized(describe: Describe, cpus: int) -> Describe:
    return lambda place: replace(describe(place), cpus=cpus)


def flat(soak: Soak, describe: Describe, load: Load, seconds: float, *, grows: bool = False) -> str:
    """A third of the time is for caches. Then the middle of what is held must not grow. `grows`: threads may."""
    looks: list[Held] = []
    with soak.server(describe) as server:
        begin = time.monotonic()
        while time.monotonic() < begin + seconds or len(looks) < 6:
            load(server.endpoint)
            looks.append(held(server, soak.place))
    settled = looks[len(looks) // 3 :]
    half = len(settled) // 2
    first, last = middle(settled[:half]), middle(settled[half:])
    told = (
        f"{len(looks)} loads; resident {first.resident_kib / 1024:.0f} then {last.resident_kib / 1024:.0f} MiB, "
        f"in use inside {first.used_kib / 1024:.0f} then {last.used_kib / 1024:.0f} MiB, "
        f"{last.threads} threads, {last.descriptors} descriptors"
    )
    for before, after in ((first.resident_kib, last.resident_kib), (first.used_kib, last.used_kib)):
        if after > before * (1 + SLACK_SHARE) + SLACK_KIB:
            raise LeakError(f"it grows: {told}")
    if not grows and last.threads > first.threads + 2:
        raise LeakError(f"threads are left: {told}, {first.threads} before")
    if last.descriptors > first.descriptors + SLACK_DESCRIPTORS:
        raise LeakError(f"descriptors are left: {told}, {first.descriptors} before")
    return told


def middle(looks: list[Held]) -> Held:
    def of(values: list[float]) -> float:
        return sorted(values)[len(values) // 2]

    return Held(
        of([look.resident_kib for look in looks]),
        of([look.used_kib for look in looks]),
        int(of([look.threads for look in looks])),
        int(of([look.descriptors for look in looks])),
    )


def held(server: Server, place: str) -> Held:
    if place == "native":
        threads = len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))
        return Held(resident_kib(server), 0, threads, descriptors(server))
    pid = server.process.pid
    answer = ask_instance(Instance(pid, instance_folder() / f"{pid}.sock"), "stats")
    if answer is None or answer["guest"] is None:
        raise LeakError("the guest does not answer compat stats")
    memory = answer["guest"]["memory"]
    used = (memory["total"] - memory["free"]) / 1024
    return Held(resident_kib(server), used, answer["guest"]["threads"], descriptors(server))


def servers() -> dict[str, tuple[Describe, Load]]:
    cache = cache_folder()
    classes = test_managed.compiled_servers(cache)
    root = test_managed.static_files(cache)
    journal = test_managed.written_journal(cache)
    modules = npm_package(cache, WS)
    pages, files = requests("/", "/stream"), requests("/index.html", "/1m.bin")
    return {
        "etcd": (compacting_etcd, keys),
        "jdk-httpserver": (lambda place: test_managed.java_server("PlainServer", classes, place), pages),
        "tomcat": (lambda place: test_managed.java_server("TomcatServer", classes, place), pages),
        "netty": (lambda place: test_managed.java_server("NettyServer", classes, place), pages),
        "node": (lambda place: node(place, modules), pages),
        "yaws": (lambda place: test_managed.yaws(place, root), files),
        "ocsigenserver": (lambda place: test_managed.ocsigen(place, root), files),
        "hledger-web": (
            lambda place: test_managed.hledger(place, journal),
            requests("/accountnames", "/transactions"),
        ),
    }


def requests(*paths: str) -> Load:
    def load(endpoint: Endpoint) -> None:
        for path in paths:
            output = command(
                [WRK, "-t", "1", "-c", "8", "-d", f"{LOAD_SECONDS}s", "--timeout", "20s", endpoint.url(path)]
            )
            if "Non-2xx" in output or "Socket errors" in output:
                raise LeakError(f"wrk met errors:\n{output}")
            if get(endpoint, path).status != 200:
                raise LeakError(f"{path} is not served any more")

    return load


def compacting_etcd(place: Place) -> Setup:
    setup = test_etcd.etcd(place)
    options = ["--auto-compaction-mode", "revision", "--auto-compaction-retention", "100", "--snapshot-count", "500"]
    return replace(setup, argv=[*setup.argv, *options])


def keys(endpoint: Endpoint) -> None:
    """Puts and gets, each by a client of its own."""
    for number in range(KEYS):
        value = f"{number} {'x' * 100}"
        test_etcd.control(endpoint, "put", f"k{number % 20}", value)
        got = test_etcd.control(endpoint, "get", "--print-value-only", f"k{number % 20}").strip()
        if got != value:
            raise LeakError(f"etcd answers {got!r} instead of {value!r}")


def node(place: Place, modules: Path) -> Setup:
    script = str(test_web.PROGRAMS / "server.js")
    env = {"NODE_PATH": str(modules)}
    argv = ["/usr/bin/node", script, str(place.port())]
    return Setup(argv, env=env, add=[script, str(modules)], memory="1G")
