"""Clients inside, servers on the host: curl, wget, Python, node, ping; over IPv4 and IPv6."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.harness import Command, assert_same, require, without_notices
from tests.integration.servers.conftest import Places
from tests.integration.servers.place import LOOPBACK, LOOPBACK6, Endpoint, Place, free_port

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


FETCH_BY_PYTHON = """
import hashlib, ssl, sys, urllib.request
plain, secure, ca = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
for url in (plain, secure):
    with urllib.request.urlopen(url, context=context if url == secure else None) as answer:
        print(answer.status, hashlib.sha256(answer.read()).hexdigest())
request = urllib.request.Request(plain, data=bytes(300_000), method="PUT")
with urllib.request.urlopen(request) as answer:
    print(len(answer.read()))
"""
FETCH_BY_NODE = """
const [plain, secure, ca] = process.argv.slice(1);
const get = (url, options) => new Promise((resolve, reject) => {
    require(url.split(":")[0]).get(url, {agent: false, ...options}, answer => {
        const sum = require("crypto").createHash("sha256");
        answer.on("data", part => sum.update(part));
        answer.on("end", () => resolve(`${answer.statusCode} ${sum.digest("hex")}`));
    }).on("error", reject);
});
(async () => {
    const options = {ca: require("fs").readFileSync(ca)};
    console.log(await get(plain));
    for (const line of await Promise.all([1, 2, 3].map(() => get(secure, options)))) console.log(line);
})();
"""


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address: tuple[str, int], handler: type[Handler] | functools.partial[Handler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, *_arguments: object) -> None:
        """Clients may go away as they like."""


@pytest.fixture(scope="module")
def host(web_root: Path, authority: Path) -> Iterator[Endpoint]:
    """Servers of the host: `main`, `tls` with a certificate of our authority, and `v6`."""
    handler = functools.partial(Handler, directory=str(web_root))
    servers = plain, secure, v6 = [Server((address, 0), handler) for address in (LOOPBACK, LOOPBACK, LOOPBACK6)]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    yield Endpoint({"main": plain.server_port, "tls": secure.server_port, "v6": v6.server_port})
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True, slots=True)
class Clients:
    """Runs a client in both places; `{host}` and `{host6}` in its arguments are the host's addresses there."""

    places: Places

    def __call__(self, argv: Words, *, add: Words | None = None, status: int = 0, stdin: bytes = b"") -> bytes:
        outcomes = []
        for place in self.places:
            words = [word.replace("{host}", place.host).replace("{host6}", place.host6) for word in argv]
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


def test_curl_over_ipv6(clients: Clients, host: Endpoint, web_root: Path) -> None:
    curl = require("/usr/bin/curl", "curl")
    base = f"http://[{{host6}}]:{host.ports['v6']}"
    assert clients([curl, "-sS", "-g", f"{base}/100k.bin"]) == (web_root / "100k.bin").read_bytes()
    body = bytes(1 << 20)
    assert clients([curl, "-sS", "-g", "-X", "PUT", "--data-binary", "@-", f"{base}/x"], stdin=body) == body
    clients([curl, "-sS", "-g", f"http://[{{host6}}]:{free_port()}/"], status=7)


def sums(web_root: Path, *names: str) -> str:
    return "".join(f"200 {hashlib.sha256((web_root / name).read_bytes()).hexdigest()}\n" for name in names)


def fetch(clients: Clients, host: Endpoint, authority: Path, argv: Words) -> str:
    """The program gets the URLs of a file over HTTP and HTTPS, and the authority to trust."""
    ca = str(authority / "ca.pem")
    urls = [f"http://{{host}}:{host.port}/1k.bin", f"https://{{host}}:{host.ports['tls']}/100k.bin"]
    return clients([*argv, *urls, ca], add=[str(authority)]).decode()


def test_python(clients: Clients, host: Endpoint, web_root: Path, authority: Path) -> None:
    python = require("/usr/bin/python3.11", "python3.11")
    told = fetch(clients, host, authority, [python, "-S", "-c", FETCH_BY_PYTHON])
    assert told == sums(web_root, "1k.bin", "100k.bin") + "300000\n"


def test_node(clients: Clients, host: Endpoint, web_root: Path, authority: Path) -> None:
    node = require("/usr/bin/node", "nodejs")
    told = fetch(clients, host, authority, [node, "-e", FETCH_BY_NODE])
    assert told == sums(web_root, "1k.bin", "100k.bin", "100k.bin", "100k.bin")


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
