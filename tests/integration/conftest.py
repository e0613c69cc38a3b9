"""Fixtures of the integration tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.harness import Guest, Same, cache_folder, hear_signals, npm_package
from tests.integration.sample_data import sample_folder

# TCG runs ring-3 code some thirty times slower than the processor does.
QEMU_SLOWDOWN = 20
OCTANE = "benchmark-octane@1.0.1"


def platform() -> str:
    """Where the guest runs in this session."""
    given = os.environ.get("COMPAT_TEST_PLATFORM")
    return given or ("kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "qemu")


def pytest_configure() -> None:
    hear_signals()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without KVM everything takes its time."""
    if platform() == "qemu":
        for item in items:
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def work_cache() -> Path:
    """What is kept for the next session."""
    return cache_folder()


@pytest.fixture(scope="session")
def programs(work_cache: Path) -> Path:
    """Where built guest programs are kept."""
    path = work_cache / "programs"
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture(scope="session")
def guest(work_cache: Path) -> Guest:
    """Runs programs under compat: on KVM where there is one, else on QEMU."""
    where = platform()
    return Guest(where, work_cache / "images", 1 if where == "kvm" else QEMU_SLOWDOWN)


@pytest.fixture(scope="session")
def qemu(work_cache: Path) -> Guest:
    """Runs programs on QEMU whatever the machine offers."""
    return Guest("qemu", work_cache / "images", QEMU_SLOWDOWN)


@pytest.fixture(scope="session")
def data(work_cache: Path) -> Path:
    """The sample files."""
    return sample_folder(work_cache)


@pytest.fixture(scope="session")
def same(guest: Guest) -> Same:
    """Runs a command in both places and compares."""
    return Same(guest)


@pytest.fixture(params=[1, 2], ids=["1cpu", "2cpus"])
def same_on_cpus(request: pytest.FixtureRequest, guest: Guest) -> Same:
    """The same, on a machine with one CPU and on one with two."""
    return Same(guest, request.param)


@pytest.fixture(scope="session")
def octane(work_cache: Path) -> Path:
    """V8's benchmark from npm, kept between sessions."""
    return npm_package(work_cache, OCTANE) / "benchmark-octane"
