"""Fixtures of the server tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import Guest, kept, npm_package, require
from tests.integration.servers.place import Endpoint, GuestPlace, NativePlace, Place, Setup
from tests.integration.servers.server import Ready, running, tcp_ready

# Which halves run: for work on the tests themselves, `native` needs no guest.
PLACES = tuple(os.environ.get("COMPAT_TEST_PLACES", "native,guest").split(","))

PYTHON_PACKAGES = ("flask==3.1.3", "gunicorn==23.0.0", "uvicorn==0.35.0", "websockets==15.0.1", "wsproto==1.2.0")
WS = "ws@8.18.3"

Describe = Callable[[Place], Setup]
Check = Callable[[Endpoint], Any]


@dataclass(frozen=True, slots=True)
class Places:
    """Both places for one test, the native one first."""

    name: str
    scratch: Path
    cache: Path
    guest: Guest

    def __iter__(self) -> Iterator[Place]:
        for name in PLACES:
            yield self.make(name)

    def make(self, name: str, part: str = "") -> Place:
        """`part` tells several servers of one test apart."""
        if name == "guest":
            return GuestPlace(self.cache / "servers" / (self.name + part), self.guest)
        state = self.scratch / f"state{part}"
        state.mkdir(exist_ok=True)
        return NativePlace(self.scratch / f"conf{part}", str(state))


@dataclass(frozen=True, slots=True)
class Both:
    """Runs a server in both places, has `check` ask it, and compares what `check` returns and the exit status."""

    places: Places

    def __call__(
        self, describe: Describe, check: Check, *, ready: Ready = tcp_ready, status_of_init: int | None = None
    ) -> None:
        """`status_of_init`: how it ends where it is process 1, as in the guest, if it makes that a special case."""
        told = {}
        for place in self.places:
            setup = describe(place)
            with running(place, setup, ready) as server:
                answers, status = check(server.endpoint), server.stop()
            if place.name == "guest" and status_of_init is not None:
                assert status == status_of_init
            told[place.name] = (answers, status if status_of_init is None else None)
        if len(told) == 2:
            assert told["guest"] == told["native"], "the guest's answers (left) are not those of native Linux"


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path, work_cache: Path, guest: Guest) -> Places:
    name = "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in request.node.name)
    return Places(name, tmp_path, work_cache, guest)


@pytest.fixture
def both(places: Places) -> Both:
    return Both(places)


@pytest.fixture(scope="session")
def web_python(work_cache: Path) -> Path:
    """A virtual environment with Python's web servers, kept between sessions."""
    python = require("/usr/bin/python3.11", "python3.11")

    def make(folder: Path) -> None:
        subprocess.run([python, "-m", "venv", folder], check=True, timeout=120)
        pip = [folder / "bin/pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:"]
        subprocess.run([*pip, *PYTHON_PACKAGES], check=True, timeout=300)
        # Byte code made now is the same for both runs.
        subprocess.run([folder / "bin/python", "-m", "compileall", "-q", folder / "lib"], check=False, timeout=300)

    return kept(work_cache / f"venv-web-{'-'.join(PYTHON_PACKAGES)}", make)


@pytest.fixture(scope="session")
def node_modules(work_cache: Path) -> Path:
    """The package `ws` from npm, kept between sessions."""
    return npm_package(work_cache, WS)


@pytest.fixture(scope="session")
def web_root(work_cache: Path) -> Path:
    """Files to serve: small, middle and large, of bytes that no compression makes smaller."""

    def make(folder: Path) -> None:
        import random

        folder.mkdir()
        numbers = random.Random(5)
        (folder / "index.html").write_text("<!DOCTYPE html><title>It works</title>\n")
        for name, size in (("1k.bin", 1 << 10), ("100k.bin", 100 << 10), ("100m.bin", 100 << 20)):
            (folder / name).write_bytes(numbers.randbytes(size))

    return kept(work_cache / "web-root", make)


@pytest.fixture(scope="session")
def authority(work_cache: Path) -> Path:
    """A certificate authority of our own (`ca.pem`), and a certificate of it for the host (`server.pem`, `.key`)."""
    openssl = require("/usr/bin/openssl", "openssl")

    def make(folder: Path) -> None:
        folder.mkdir()
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
        names = "subjectAltName=DNS:localhost,DNS:server.test,IP:127.0.0.1,IP:10.0.2.2"
        root = ["-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=compat test authority"]
        usage = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
        leaf = ["-x509", "-CA", "ca.pem", "-CAkey", "ca.key", *key, "-keyout", "server.key", "-out", "server.pem"]
        subject = ["-subj", "/CN=server.test", "-addext", names, "-addext", "basicConstraints=critical,CA:FALSE"]
        for words in ([*root, *usage], [*leaf, *subject]):
            subprocess.run([openssl, "req", *words], cwd=folder, check=True, capture_output=True, timeout=60)

    return kept(work_cache / "authority", make)
