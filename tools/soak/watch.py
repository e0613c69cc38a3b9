"""What a server holds, before and after a load."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.integration.harness import Guest
from tests.integration.servers.place import GuestPlace, NativePlace, Place, Setup
from tests.integration.servers.server import Server, running
from tools.bench.network import resident_kib

# Closing takes a moment, on both sides.
SETTLE_SECONDS = 20
# Caches that loads fill stay, and memory of a guest that was once touched; what every further load adds is a leak.
LOADS = 8
RESIDENT_KIB = 4096

Case = TypeVar("Case")


class LeakError(Exception):
    """More is held after a load than before."""


@dataclass(frozen=True, slots=True)
class Soak:
    """Where servers run and how much they are loaded."""

    folder: Path
    place: str
    scale: float
    minutes: float = 20
    seed: int = 1
    jobs: int = 1
    only: Sequence[str] = ()

    def chosen(self, cases: Mapping[str, Case]) -> dict[str, Case]:
        """Those that --only names, or all."""
        unknown = set(self.only) - cases.keys()
        if unknown:
            raise LeakError(f"there is no {', '.join(sorted(unknown))} among {', '.join(cases)}")
        return {name: case for name, case in cases.items() if not self.only or name in self.only}

    def count(self, number: int) -> int:
        return max(1, int(number * self.scale))

    @contextlib.contextmanager
    def server(self, describe: Callable[[Place], Setup]) -> Iterator[Server]:
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        place: Place
        if self.place == "native":
            place = NativePlace(self.folder / "conf", str(state))
        else:
            place = GuestPlace(self.folder / "conf", Guest("kvm", self.folder / "cache", 1))
        with running(place, describe(place)) as server:
            yield server

    def again(self, server: Server, load: Callable[[], None]) -> str:
        """Loads until one of them leaves what it found."""
        before = descriptors(server)
        load()
        settle(server, before)
        resident, grown = resident_kib(server), 0.0
        for number in range(2, LOADS + 1):
            load()
            settle(server, before)
            resident, grown = resident_kib(server), resident_kib(server) - resident
            if grown <= RESIDENT_KIB:
                return f"nothing left; {descriptors(server)} descriptors, {grown:+.0f} KiB resident by load {number}"
        raise LeakError(f"every load leaves memory behind, the last one {grown:.0f} KiB")


def descriptors(server: Server) -> int:
    """Of the server, or of the monitor, which has one for each connection that leaves the guest."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def settle(server: Server, expected: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while descriptors(server) > expected:
        if time.monotonic() > deadline:
            raise LeakError(f"{descriptors(server) - expected} descriptors are left of a load")
        time.sleep(0.1)
