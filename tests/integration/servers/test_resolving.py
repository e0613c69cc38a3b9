"""Programs inside ask name servers outside: one that they name, and that of the host's resolv.conf."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.harness import Command, require, run
from tests.integration.servers.conftest import Places
from tests.integration.servers.lan import need_root
from tests.integration.servers.place import LOOPBACK, NativePlace
from tests.integration.servers.server import running
from tests.integration.servers.test_dns import RECORDS, dnsmasq, ready

DIG, GETENT = "/usr/bin/dig", "/usr/bin/getent"
OPTIONS = " ".join(f"'{record}'" for record in RECORDS)
# A network and a resolv.conf of its own; the name server answers before the program is started.
# getaddrinfo(3) looks for addresses of a version only where there is one besides loopback's.
ALONE = f"""
ip link set lo up
ip address add 192.0.2.77/32 dev lo
ip address add 2001:db8::77/128 dev lo
mount --bind "$1" /etc/resolv.conf
shift
/usr/sbin/dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts \
    --listen-address={LOOPBACK} --bind-interfaces --user=root --pid-file= \
    {OPTIONS} >/dev/null 2>&1 &
until {DIG} +short +time=1 +tries=1 @{LOOPBACK} host.test | grep -q 192.0.2.1; do sleep 0.05; done
"$@"
"""


def test_a_name_server_by_its_address(places: Places, tmp_path: Path) -> None:
    dig = require(DIG, "dnsutils")
    server = NativePlace(tmp_path / "names", str(tmp_path))
    told = []
    with running(server, dnsmasq(server, *RECORDS), ready) as names:
        for place in places:
            asks = [dig, f"@{place.host}", "-p", str(names.endpoint.port), "+short", "+tries=2", "+time=20"]
            for words in (
                ["host.test", "A"],
                ["host.test", "AAAA"],
                ["+tcp", "text.test", "TXT"],
                ["text.test", "TXT"],
            ):
                outcome = place.run(Command([*asks, *words]))
                assert outcome.status == 0, outcome
                told.append(sorted(outcome.stdout.splitlines()))
    assert told[:2] == [[b"192.0.2.1"], [b"2001:db8::1"]]
    assert [len(lines) for lines in told[2:4]] == [8, 8]
    assert told[4:] in ([], told[:4])


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ([DIG, "+short", "host.test", "A"], [b"192.0.2.1"]),
        ([DIG, "+short", "+tcp", "host.test", "AAAA"], [b"2001:db8::1"]),
        ([GETENT, "ahostsv4", "alias.test"], [b"192.0.2.1"]),
        ([GETENT, "ahostsv6", "alias.test"], [b"2001:db8::1"]),
    ],
)
def test_the_name_server_of_the_host(words: list[str], answer: list[bytes], places: Places, tmp_path: Path) -> None:
    need_root()
    require(DIG, "dnsutils")
    require("/usr/sbin/dnsmasq", "dnsmasq-base")
    unshare = require(shutil.which("unshare") or "/usr/bin/unshare", "util-linux")
    configuration = tmp_path / "resolv.conf"
    configuration.write_text(f"nameserver {LOOPBACK}\n")
    alone = [unshare, "--net", "--mount", "/bin/sh", "-c", ALONE, "sh", str(configuration)]
    for place in places:
        command = Command(words)
        argv = words if place.name == "native" else places.guest.argv(command)
        environment = {**places.guest.environment(), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        outcome = run([*alone, *argv], env=environment, timeout=60 * places.guest.slowdown + 60)
        assert outcome.status == 0, outcome
        # getent tells an address once for each type of socket.
        assert sorted({line.split()[0] for line in outcome.stdout.splitlines()}) == answer
