"""Where a server runs: natively, or in the guest with its ports published. What differs between the two is here."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.harness import ENVIRONMENT, Command, Guest, Outcome, run_native

FIRST_GUEST_PORT = 8000
LOOPBACK = "127.0.0.1"
# The guest's gateway, which is the host's loopback address.
GATEWAY = "10.0.2.2"
LOOPBACK6, GATEWAY6 = "::1", "fd00:c0::2"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a server is started: the same command line and files in both places, but for numbers of ports."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    add: Sequence[str] = ()
    memory: str | None = None
    cpus: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a client on the host needs to know."""

    ports: Mapping[str, int]
    host: str = LOOPBACK

    @property
    def port(self) -> int:
        return self.ports["main"]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def url(self, path: str = "/", scheme: str = "http", name: str = "main") -> str:
        return f"{scheme}://{self.host}:{self.ports[name]}{path}"


class Place:
    """One of the two. `folder` holds a server's configuration and has the same path inside; `state` can be written."""

    name: str
    # The host's loopback addresses as the server sees them.
    host: str
    host6: str
    slowdown: float = 1

    def __init__(self, folder: Path, state: str) -> None:
        self.folder = folder
        self.state = state
        self.folder.mkdir(parents=True, exist_ok=True)
        self._published: dict[str, tuple[int, int, str]] = {}

    def port(self, name: str = "main", protocol: str = "tcp") -> int:
        """The port to listen on; `protocol` may be `tcp`, `udp` or `tcp+udp`."""
        if name not in self._published:
            port = free_port(protocol, {host for host, _, _ in self._published.values()})
            self._published[name] = (port, self._inside(port), protocol)
        return self._published[name][1]

    def write(self, name: str, content: str | bytes) -> str:
        """A file of the configuration. It is left alone when it is right already: images are kept by what went in."""
        path = self.folder / name
        data = content.encode() if isinstance(content, str) else content
        if not path.exists() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(data)
            part.replace(path)
        return str(path)

    def endpoint(self) -> Endpoint:
        return Endpoint({name: host for name, (host, _, _) in self._published.items()})

    def argv(self, setup: Setup) -> list[str]:
        raise NotImplementedError

    def environment(self, setup: Setup) -> dict[str, str]:
        raise NotImplementedError

    def run(self, command: Command) -> Outcome:
        """Runs a client to its end."""
        raise NotImplementedError

    def _inside(self, port: int) -> int:
        raise NotImplementedError


class NativePlace(Place):
    name = "native"
    host = LOOPBACK
    host6 = LOOPBACK6

    def argv(self, setup: Setup) -> list[str]:
        return list(setup.argv)

    def environment(self, setup: Setup) -> dict[str, str]:
        return {**ENVIRONMENT, **setup.env}

    def run(self, command: Command) -> Outcome:
        return run_native(command)

    def _inside(self, port: int) -> int:
        return port


class GuestPlace(Place):
    """Inside, ports are always the same, so that configurations and with them images are."""

    name = "guest"
    host = GATEWAY
    host6 = GATEWAY6

    def __init__(self, folder: Path, guest: Guest) -> None:
        super().__init__(folder, "/tmp")
        self.guest = guest
        self.slowdown = guest.slowdown

    def argv(self, setup: Setup) -> list[str]:
        extra = []
        for host, inside, protocols in self._published.values():
            for protocol in protocols.split("+"):
                extra += ["-p", f"{LOOPBACK}:{host}:{inside}/{protocol}"]
        add = [str(self.folder), *setup.add] if any(self.folder.iterdir()) else setup.add
        return self.guest.argv(Command(setup.argv, env=setup.env, add=add, memory=setup.memory, cpus=setup.cpus), extra)

    def environment(self, setup: Setup) -> dict[str, str]:
        return self.guest.environment()

    def run(self, command: Command) -> Outcome:
        return self.guest.run(command)

    def _inside(self, port: int) -> int:
        del port
        return FIRST_GUEST_PORT + len(self._published)


def free_port(protocol: str = "tcp", taken: set[int] = frozenset()) -> int:  # type: ignore[assignment]
    """A port that nobody has. Somebody may take it before it is used, which has never been seen."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((LOOPBACK, 0))
            port: int = tcp.getsockname()[1]
            if port in taken:
                continue
            try:
                if "udp" in protocol:
                    udp.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free {protocol} port")
