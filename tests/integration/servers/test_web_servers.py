"""Web servers in C and Go that are not nginx: lighttpd, caddy, haproxy between two instances."""

from __future__ import annotations

import contextlib
import hashlib
import ssl
from pathlib import Path
from typing import Any

from tests.integration.harness import require
from tests.integration.servers.conftest import Both, Places
from tests.integration.servers.http_client import Client, get
from tests.integration.servers.place import Endpoint, Place, Setup
from tests.integration.servers.server import running

LARGE = "100m.bin"


def digest(root: Path, name: str) -> str:
    return hashlib.sha256((root / name).read_bytes()).hexdigest()


def check_files(endpoint: Endpoint, root: Path) -> list[Any]:
    """What every server of files must do."""
    with Client(endpoint) as client:
        answers = [client.ask(f"/{name}") for name in ("", "1k.bin", "100k.bin", LARGE, "absent")]
        expected = [digest(root, name) for name in ("1k.bin", "100k.bin", LARGE)]
        assert [answer.digest for answer in answers[1:4]] == expected
        part = client.ask(f"/{LARGE}", headers={"Range": "bytes=1000-1999"})
        head = client.ask("/100k.bin", method="HEAD")
        assert (part.status, len(part.body), head.status, head.body) == (206, 1000, 200, b"")
    for _ in range(100):
        assert get(endpoint, "/1k.bin", headers={"Connection": "close"}).digest == answers[1].digest
    return [answer.summary() for answer in (*answers, part, head)]


def test_lighttpd(both: Both, web_root: Path) -> None:
    program = require("/usr/sbin/lighttpd", "lighttpd")

    def describe(place: Place) -> Setup:
        file = place.write(
            "lighttpd.conf",
            f'server.port = {place.port()}\nserver.document-root = "{web_root}"\nindex-file.names = ("index.html")\n'
            'mimetype.assign = (".html" => "text/html", "" => "application/octet-stream")\n',
        )
        return Setup([program, "-D", "-f", file], add=[str(web_root)], memory="1G")

    both(describe, lambda endpoint: check_files(endpoint, web_root))


def test_caddy(both: Both, web_root: Path, authority: Path) -> None:
    """Files, TLS, and a proxy to itself."""
    program = require("/usr/bin/caddy", "caddy")

    def describe(place: Place) -> Setup:
        plain = place.port("plain")
        file = place.write(
            "Caddyfile",
            f"""
{{
    admin off
    auto_https disable_redirects
    storage file_system {place.state}/caddy
}}
http://:{place.port()} {{
    handle_path /through/* {{
        reverse_proxy 127.0.0.1:{plain}
    }}
    root * {web_root}
    file_server
}}
http://127.0.0.1:{plain} {{
    root * {web_root}
    file_server
}}
https://localhost:{place.port("tls")} {{
    tls {authority}/server.pem {authority}/server.key
    root * {web_root}
    file_server
}}
""",
        )
        argv = [program, "run", "--adapter", "caddyfile", "--config", file]
        return Setup(argv, env={"HOME": place.state}, add=[str(web_root), str(authority)], memory="1G")

    def check(endpoint: Endpoint) -> list[Any]:
        told = check_files(endpoint, web_root)
        assert get(endpoint, f"/through/{LARGE}").digest == digest(web_root, LARGE)
        context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
        named = Endpoint(endpoint.ports, "localhost")
        with Client(named, "tls", context) as client:
            told.append(client.ask(f"/{LARGE}").summary())
        return told

    both(describe, check)


def backend(number: int, web_root: Path) -> Any:
    """A server whose answers tell which one it is."""

    def describe(place: Place) -> Setup:
        file = place.write(
            "lighttpd.conf",
            f'server.port = {place.port()}\nserver.document-root = "{web_root}"\nserver.modules = ("mod_setenv")\n'
            f'setenv.add-response-header = ("X-Backend" => "{number}")\n',
        )
        return Setup([require("/usr/sbin/lighttpd", "lighttpd"), "-D", "-f", file], add=[str(web_root)], memory="1G")

    return describe


def test_haproxy_between_two_instances(places: Places, web_root: Path) -> None:
    """In the guest these are three instances that reach each other by published ports of the host."""
    program = require("/usr/sbin/haproxy", "haproxy")

    def describe(place: Place, backends: list[Endpoint]) -> Setup:
        # Ports of the backends differ from run to run: they come from the environment, and the image stays.
        file = place.write(
            "haproxy.cfg",
            f"""
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    option redispatch
frontend web
    bind 0.0.0.0:{place.port()}
    default_backend all
backend all
    balance roundrobin
    option httpchk GET /1k.bin
    server one {place.host}:"$ONE" check inter 200ms rise 1 fall 1
    server two {place.host}:"$TWO" check inter 200ms rise 1 fall 1
frontend raw
    mode tcp
    bind 0.0.0.0:{place.port("raw")}
    default_backend first
backend first
    mode tcp
    server one {place.host}:"$ONE"
""",
        )
        env = {"ONE": str(backends[0].port), "TWO": str(backends[1].port)}
        return Setup([program, "-f", file], env=env)

    told = {}
    for main in places:
        with contextlib.ExitStack() as stack:
            servers = []
            for number in (1, 2):
                place = places.make(main.name, f"-{number}")
                servers.append(stack.enter_context(running(place, backend(number, web_root)(place))))
            setup = describe(main, [server.endpoint for server in servers])
            proxy = stack.enter_context(running(main, setup, lambda endpoint: backends_seen(endpoint, {"1", "2"})))
            endpoint = proxy.endpoint
            told[main.name] = [get(endpoint, path).summary()[2:] for path in ("/1k.bin", f"/{LARGE}")]
            assert told[main.name][1][1] == digest(web_root, LARGE)
            raw = Endpoint({"main": endpoint.ports["raw"]})
            assert get(raw, f"/{LARGE}").digest == digest(web_root, LARGE)
            # One of them ends; its clients get the other.
            servers[0].stop()
            backends_seen(endpoint, {"2"})
            proxy.stop()
    assert len({str(answers) for answers in told.values()}) == 1


def backends_seen(endpoint: Endpoint, expected: set[str]) -> None:
    answers = [get(endpoint, "/1k.bin") for _ in range(8)]
    assert {answer.header("x-backend") for answer in answers} == expected
