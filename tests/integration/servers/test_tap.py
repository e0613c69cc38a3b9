"""Guests with a network card, over a cable that loses, delays, doubles and reorders."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.harness import Guest
from tests.integration.servers.lan import Inside, Lan, LanGuest, lan, need_root
from tests.integration.servers.place import Setup
from tests.integration.servers.server import running

PROGRAMS = Path(__file__).resolve().parent / "programs"
# Options of tools/wire, and bytes that are moved each way: Linux' own TCP takes a few seconds over the worst.
CONDITIONS: Mapping[str, tuple[Mapping[str, float], int]] = {
    "clean": ({}, 32 << 20),
    "loss": ({"loss": 1}, 8 << 20),
    "delay": ({"delay": 20}, 8 << 20),
    "delay-and-loss": ({"delay": 10, "loss": 1}, 1 << 20),
    "duplication": ({"duplicate": 1}, 16 << 20),
    "reordering": ({"delay": 1, "jitter": 2}, 4 << 20),
    "everything": ({"loss": 1, "delay": 3, "jitter": 2, "duplicate": 1, "rate": 50}, 1 << 20),
}
SECONDS = 60


@pytest.fixture(autouse=True)
def root() -> None:
    need_root()


@pytest.fixture
def transfer(work_cache: Path) -> Path:
    source = PROGRAMS / "transfer.c"
    program = work_cache / "transfer"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-o", program, source], check=True, timeout=60)
    return program


def move(network: Lan, transfer: Path, place: Inside, direction: str, size: int, seed: int) -> float:
    """Seconds."""
    endpoint = place.endpoint()
    argv = [transfer, direction, endpoint.host, str(endpoint.port), str(size), str(seed)]
    with network.inside(network.client):
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, f"{direction}: {done.stderr}"
    return float(done.stdout)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_transfers_over_a_bad_cable(condition: str, transfer: Path, guest: Guest, tmp_path: Path) -> None:
    faults, size = CONDITIONS[condition]
    with lan(tmp_path, faults) as network:
        place = LanGuest(network, tmp_path / "conf", guest)
        setup = Setup([str(transfer), "serve", str(place.port())])

        def ready(_endpoint: object) -> None:
            move(network, transfer, place, "get", 1, 1)

        with running(place, setup, ready):
            for direction in ("get", "put"):
                for seed in (1, 2):
                    move(network, transfer, place, direction, size, seed)
    for counted in network.counts.values():
        assert counted["frames"] > 100
        assert (counted["lost"] > 0) == ("loss" in faults)
        assert (counted["duplicated"] > 0) == ("duplicate" in faults)
        assert (counted["overtaken"] > 0) == ("jitter" in faults)
