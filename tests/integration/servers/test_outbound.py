"""Clients inside, servers on the host: curl, wget, ping."""

from __future__ import annotations

import functools
import http.server
import os
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.harness import Command, assert_same, require, without_notices
from tests.integration.servers.conftest import Places
from tests.integration.servers.place import LOOPBACK, Endpoint, Place, free_port

Words = list[str]


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files, and an echo of what is uploaded."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def date_time_string(self, timestamp: float | None = None) -> str:
        del timestamp
        return "Thu, 01 Jan 1970 00:00:00 GMT"

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_arguments: object) -> None:
        """Clients may go away as they like."""


@pytest.fixture(scope="module")
def host(web_root: Path, authority: Path) -> Iterator[Endpoint]:
    """Two servers of the host: `main`, and `tls` with a certificate of our authority."""
    handler = functools.partial(Handler, directory=str(web_root))
    plain, secure = (Server((LOOPBACK, 0), handler) for _ in range(2))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threads = [threading.Thread(target=server.serve_forever) for server in (plain, secure)]
    for thread in threads:
        thread.start()
    yield Endpoint({"main": plain.server_port, "tls": secure.server_port})
    for server, thread in zip((plain, secure), threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True, slots=True)
class Clients:
    """Runs a client in both places; `{host}` in its arguments is the host's address there."""

    places: Places

    def __call__(self, argv: Words, *, add: Words | None = None, status: int = 0, stdin: bytes = b"") -> bytes:
        outcomes = []
        for place in self.places:
            words = [word.replace("{host}", place.host) for word in argv]
            outcome = place.run(Command(words, add=add or [], stdin=stdin))
            assert outcome.status == status, outcome.stderr.decode()
            outcomes.append(outcome)
        if len(outcomes) == 2:
            assert without_notices(outcomes[1].stderr) == outcomes[1].stderr
            assert_same(outcomes[0], outcomes[1], stderr=False)
        return outcomes[0].stdout


@pytest.fixture
def clients(places: Places) -> Clients:
    return Clients(places)


def test_curl(clients: Clients, host: Endpoint, web_root: Path, authority: Path) -> None:
    curl = require("/usr/bin/curl", "curl")
    base = f"http://{{host}}:{host.port}"
    assert clients([curl, "-sS", f"{base}/1k.bin"]) == (web_root / "1k.bin").read_bytes()
    clients([curl, "-sS", "-i", f"{base}/index.html", f"{base}/absent"])
    body = (web_root / "100k.bin").read_bytes() * 10
    assert clients([curl, "-sS", "-X", "PUT", "--data-binary", "@-", f"{base}/x"], stdin=body) == body
    clients([curl, "-sS", f"http://{{host}}:{free_port()}/"], status=7)
    secure, trust = f"https://{{host}}:{host.ports['tls']}/100k.bin", ["--cacert", str(authority / "ca.pem")]
    add = [str(authority)]
    assert clients([curl, "-sS", *trust, secure], add=add) == (web_root / "100k.bin").read_bytes()
    clients([curl, "-sS", secure], add=add, status=60)


def test_a_large_download(clients: Clients, host: Endpoint, web_root: Path) -> None:
    curl = require("/usr/bin/curl", "curl")
    assert clients([curl, "-sS", f"http://{{host}}:{host.port}/100m.bin"]) == (web_root / "100m.bin").read_bytes()


def test_wget(clients: Clients, host: Endpoint, web_root: Path, authority: Path) -> None:
    wget = require("/usr/bin/wget", "wget")
    plain, secure = f"http://{{host}}:{host.port}", f"https://{{host}}:{host.ports['tls']}"
    assert clients([wget, "-q", "-O", "-", f"{plain}/100k.bin"]) == (web_root / "100k.bin").read_bytes()
    trust = f"--ca-certificate={authority / 'ca.pem'}"
    words = [wget, "-q", "-O", "-", trust, f"{secure}/100k.bin"]
    assert clients(words, add=[str(authority)]) == (web_root / "100k.bin").read_bytes()
    clients([wget, "-q", "-O", "-", f"{plain}/absent"], status=8)


def test_ping(places: Places) -> None:
    ping = require("/usr/bin/ping", "iputils-ping")

    def summary(place: Place, *options: str) -> tuple[bytes, ...]:
        outcome = place.run(Command([ping, *options, place.host]))
        assert outcome.status == 0, outcome.stderr.decode()
        sequence = re.findall(rb"bytes from .*icmp_seq=(\d+) ttl=", outcome.stdout)
        totals = re.search(rb"(\d+) packets transmitted, (\d+) received", outcome.stdout)
        assert totals is not None
        return (*sequence, *totals.groups())

    first, last = map(int, Path("/proc/sys/net/ipv4/ping_group_range").read_text().split())
    if not first <= os.getgid() <= last:
        for place in places:
            outcome = place.run(Command([ping, "-c", "1", place.host]))
            assert place.name == "native" or (outcome.status, b"ping_group_range" in outcome.stderr) == (1, True)
        pytest.skip(f"this user may not ping: ping_group_range is {first} {last}")
    for options in (["-c", "3", "-i", "0.2"], ["-c", "1", "-s", "1400"]):
        count = options[1].encode()
        told = [summary(place, *options) for place in places]
        assert told[0][-2:] == (count, count)
        assert len(set(told)) == 1
