"""What a server holds, before and after a load."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.harness import Guest
from tests.integration.servers.place import GuestPlace, NativePlace, Place, Setup
from tests.integration.servers.server import Server, running
from tools.bench.network import resident_kib

# Closing takes a moment, on both sides.
SETTLE_SECONDS = 20
# Caches that a first load fills stay; what a second load adds is a leak.
RESIDENT_KIB = 4096


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

    def twice(self, server: Server, load: Callable[[], None]) -> str:
        """The first load fills caches; the second must leave what it found."""
        before = descriptors(server)
        load()
        settle(server, before)
        resident = resident_kib(server)
        load()
        settle(server, before)
        grown = resident_kib(server) - resident
        if grown > RESIDENT_KIB:
            raise LeakError(f"{grown:.0f} KiB more are resident after the second load")
        return f"nothing left; {descriptors(server)} descriptors, {grown:+.0f} KiB resident"


def descriptors(server: Server) -> int:
    """Of the server, or of the monitor, which has one for each connection that leaves the guest."""
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def settle(server: Server, expected: int) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while descriptors(server) > expected:
        if time.monotonic() > deadline:
            raise LeakError(f"{descriptors(server) - expected} descriptors are left of a load")
        time.sleep(0.1)
