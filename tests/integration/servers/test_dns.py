"""Name servers over UDP and TCP: dnsmasq, unbound, pdns-recursor; asked by dig."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.harness import ENVIRONMENT, require
from tests.integration.servers.conftest import Both, Describe
from tests.integration.servers.place import Endpoint, NativePlace, Place, Setup
from tests.integration.servers.server import running

TEXT = "text " * 40
RECORDS = [
    "--host-record=host.test,192.0.2.1,2001:db8::1",
    "--cname=alias.test,host.test",
    "--mx-host=test,mail.test,10",
    *(f"--txt-record=text.test,{TEXT}{number}" for number in range(8)),
    *(f"--host-record=many.test,198.51.100.{number}" for number in range(1, 100)),
]


def dnsmasq(place: Place, *options: str) -> Setup:
    """With --no-daemon it forks for nothing; a TCP connection is then served to its end, and nobody else meanwhile."""
    program = require("/usr/sbin/dnsmasq", "dnsmasq-base")
    port = place.port(protocol="tcp+udp")
    common = [
        "--no-daemon",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--edns-packet-max=1232",
        f"--port={port}",
    ]
    return Setup([program, *common, *options])


def dig(endpoint: Endpoint, *words: str) -> list[str]:
    """The answers, sorted: their order is nobody's promise."""
    program = require("/usr/bin/dig", "dnsutils")
    argv = [
        program,
        f"@{endpoint.host}",
        "-p",
        str(endpoint.port),
        "+norecurse",
        "+tries=2",
        "+time=5",
        *words,
        "+short",
    ]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(done.stdout.splitlines())


def ready(endpoint: Endpoint) -> None:
    assert dig(endpoint, "host.test", "A") == ["192.0.2.1"]


def check(endpoint: Endpoint) -> list[list[str]]:
    """Small answers by UDP, a large one that is truncated and asked for again, all by TCP."""
    told = []
    for transport in ("+notcp", "+tcp"):
        told += [
            dig(endpoint, "+recurse", transport, *question.split())
            for question in ("host.test A", "host.test AAAA", "alias.test A", "test MX", "absent.test A")
        ]
    assert told[0] == ["192.0.2.1"]
    assert told[1] == ["2001:db8::1"]
    for options in (["+notcp"], ["+notcp", "+bufsize=512"], ["+notcp", "+bufsize=4096"], ["+tcp"]):
        assert len(dig(endpoint, "+recurse", *options, "text.test", "TXT")) == 8
        assert len(dig(endpoint, "+recurse", *options, "many.test", "A")) == 99
    # Several questions on one connection.
    together = dig(endpoint, "+recurse", "+tcp", "+keepopen", "host.test", "A", "alias.test", "A", "host.test", "AAAA")
    assert "2001:db8::1" in together
    return told


@pytest.fixture
def unbound() -> Describe:
    program = require("/usr/sbin/unbound", "unbound")

    def describe(place: Place) -> Setup:
        data = [
            "host.test. A 192.0.2.1",
            "host.test. AAAA 2001:db8::1",
            "alias.test. CNAME host.test.",
            "test. MX 10 mail.test.",
            *(f"text.test. TXT '{TEXT}{number}'" for number in range(8)),
            *(f"many.test. A 198.51.100.{number}" for number in range(1, 100)),
        ]
        records = "".join(f'    local-data: "{record}"\n' for record in data)
        text = f"""
server:
    interface: 0.0.0.0
    port: {place.port(protocol="tcp+udp")}
    num-threads: 1
    do-daemonize: no
    use-syslog: no
    logfile: ""
    pidfile: ""
    username: ""
    chroot: ""
    directory: "{place.state}"
    access-control: 0.0.0.0/0 allow
    module-config: "iterator"
    local-zone: "test." static
{records}
remote-control:
    control-enable: no
"""
        return Setup([program, "-d", "-c", place.write("unbound.conf", text)])

    return describe


@pytest.fixture
def upstream(tmp_path: Path, unbound: Describe) -> Iterator[Endpoint]:
    """A name server on the host that knows `test`."""
    place = NativePlace(tmp_path / "upstream", str(tmp_path))
    with running(place, unbound(place), ready) as server:
        yield server.endpoint


def test_dnsmasq(both: Both) -> None:
    both(lambda place: dnsmasq(place, *RECORDS), check, ready=ready)


def test_dnsmasq_asks_another(both: Both, upstream: Endpoint) -> None:
    both(lambda place: dnsmasq(place, f"--server={place.host}#{upstream.port}"), check, ready=recursive_ready)


def recursive_ready(endpoint: Endpoint) -> None:
    assert dig(endpoint, "+recurse", "host.test", "A") == ["192.0.2.1"]


def test_unbound(both: Both, unbound: Describe) -> None:
    both(unbound, check, ready=ready)


def test_pdns_recursor(both: Both, upstream: Endpoint) -> None:
    """Written in C++, with coroutines of its own."""
    program = require("/usr/sbin/pdns_recursor", "pdns-recursor")

    def describe(place: Place) -> Setup:
        options = [
            "--config-dir=/nonexistent",
            "--daemon=no",
            "--threads=1",
            "--dnssec=off",
            "--disable-syslog=yes",
            "--local-address=0.0.0.0",
            f"--local-port={place.port(protocol='tcp+udp')}",
            "--allow-from=0.0.0.0/0",
            "--dont-query=",
            f"--forward-zones=test={place.host}:{upstream.port}",
            f"--socket-dir={place.state}",
            "--security-poll-suffix=",
            "--udp-truncation-threshold=1232",
        ]
        return Setup([program, *options])

    # Elsewhere it sends itself the signal again, which process 1 cannot.
    both(describe, check, ready=recursive_ready, status_of_init=1)
