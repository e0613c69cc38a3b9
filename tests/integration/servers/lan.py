"""A small network of its own: a client, a cable, and a server's side with a bridge, in two network namespaces.

    client (10.99.0.1)  ---- cable ----  bridge (10.99.0.3, native servers) --- taps of guests (10.99.0.2, ...)

The cable is a pair of veth interfaces, or `tools/wire` with faults. It takes root; nothing is left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.harness import Guest, require
from tests.integration.servers.place import Endpoint, GuestPlace, NativePlace, Setup

IP = "/usr/sbin/ip" if os.path.exists("/usr/sbin/ip") else "/sbin/ip"
WIRE = Path(__file__).resolve().parents[3] / "tools/wire"
CLIENT, GUEST, NATIVE, SECOND_GUEST = "10.99.0.1", "10.99.0.2", "10.99.0.3", "10.99.0.4"
BITS = 24
BRIDGE, CABLE = "br0", "cable"
FIRST_PORT = 8000
CLONE_NEWNET = 0x40000000
NUMBERS = itertools.count()


def need_root() -> None:
    """Namespaces and taps are root's."""
    if os.getuid() != 0:
        pytest.skip("making network namespaces takes root")
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("this system has no /dev/net/tun (modprobe tun)")
    require(IP, "iproute2")


@dataclass(frozen=True, slots=True)
class Lan:
    """The names of both namespaces."""

    client: str
    server: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)

    @contextlib.contextmanager
    def inside(self, namespace: str) -> Iterator[None]:
        """This thread, and what it starts, is in the namespace."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
            enter(there.fileno())
            try:
                yield
            finally:
                enter(home.fileno())


def enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip(*words: str) -> None:
    done = subprocess.run([IP, *words], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def build_wire(folder: Path) -> Path:
    program = folder / f"wire-{os.getpid()}"
    if not program.exists():
        gcc = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, WIRE / "wire.c"]
        subprocess.run(gcc, check=True, timeout=60)
    return program


@contextlib.contextmanager
def lan(folder: Path, faults: Mapping[str, float] | None = None) -> Iterator[Lan]:
    """`faults`: options of `tools/wire`; None: a plain pair of veth interfaces. `counts` is filled at the end."""
    number = f"{os.getpid()}-{next(NUMBERS)}"
    made = Lan(f"compat-client-{number}", f"compat-server-{number}")
    with contextlib.ExitStack() as stack:
        for name in (made.client, made.server):
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)
            ip("-n", name, "link", "set", "lo", "up")
            # The same everywhere: this machine's default may be any, and a namespace may choose none but this.
            with made.inside(name):
                Path("/proc/sys/net/ipv4/tcp_congestion_control").write_text("reno")
        ip("-n", made.server, "link", "add", BRIDGE, "type", "bridge")
        if faults is None:
            ends = ["name", CABLE, "netns", made.server]
            ip("link", "add", "name", CABLE, "netns", made.client, "type", "veth", "peer", *ends)
        else:
            stack.enter_context(wire(folder, made, faults))
        ip("-n", made.server, "link", "set", CABLE, "master", BRIDGE, "up")
        ip("-n", made.server, "address", "add", f"{NATIVE}/{BITS}", "dev", BRIDGE)
        ip("-n", made.server, "link", "set", BRIDGE, "up")
        ip("-n", made.client, "address", "add", f"{CLIENT}/{BITS}", "dev", CABLE)
        ip("-n", made.client, "link", "set", CABLE, "up")
        yield made


@contextlib.contextmanager
def wire(folder: Path, made: Lan, faults: Mapping[str, float]) -> Iterator[None]:
    options = [f"--{name}={value}" for name, value in faults.items()]
    argv = [build_wire(folder), *options, f"{made.client}/{CABLE}", f"{made.server}/{CABLE}"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=30)
            for line in output.splitlines():
                name, _, numbers = line.removeprefix("from ").partition(": ")
                counted = {word: int(count) for word, count in re.findall(r"(\w+) (\d+)", numbers)}
                made.counts[name.split("/")[0]] = counted


class Inside:
    """What both places in the server's namespace share: ports are as the server has them."""

    address: str
    network: Lan
    _published: dict[str, tuple[int, int, str]]

    def port(self, name: str = "main", protocol: str = "tcp") -> int:
        port = FIRST_PORT + len(self._published)
        return self._published.setdefault(name, (port, port, protocol))[0]

    def endpoint(self) -> Endpoint:
        return Endpoint({name: port for name, (port, _, _) in self._published.items()}, self.address)

    def enter(self, argv: list[str]) -> list[str]:
        return [IP, "netns", "exec", self.network.server, *argv]


class LanNative(Inside, NativePlace):
    """A native server at the bridge's own address."""

    host = CLIENT
    address = NATIVE

    def __init__(self, network: Lan, folder: Path, state: str) -> None:
        NativePlace.__init__(self, folder, state)
        self.network = network

    def argv(self, setup: Setup) -> list[str]:
        return self.enter(NativePlace.argv(self, setup))


class LanGuest(Inside, GuestPlace):
    """A guest with a network card, which is in the bridge."""

    host = CLIENT

    def __init__(self, network: Lan, folder: Path, guest: Guest, address: str = GUEST, tap: str = "") -> None:
        GuestPlace.__init__(self, folder, guest)
        self.network, self.address = network, address
        self.tap = tap or f"tap:t{address.rpartition('.')[2]},ip={address}/{BITS},gateway={NATIVE},bridge={BRIDGE}"

    def argv(self, setup: Setup) -> list[str]:
        published, self._published = self._published, {}
        argv = GuestPlace.argv(self, setup)
        self._published = published
        at = argv.index("run") + 1
        return self.enter([*argv[:at], "--net", self.tap, *argv[at:]])
