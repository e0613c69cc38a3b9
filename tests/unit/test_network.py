"""The network options: syntax, contradictions, what the monitor and QEMU get."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat import qemu_network
from compat.errors import CompatError
from compat.network import Mode, Network, Tap, parse_network
from compat.qemu_network import USER_RECORD, network_devices, network_record


def specs(*published: str) -> list[str]:
    return [str(port) for port in parse_network(None, published).published]


def test_published_ports() -> None:
    assert specs("8080:80") == ["8080:80"]
    assert specs("8080:80/tcp", "8080:80/udp") == ["8080:80", "8080:80/udp"]
    assert specs("127.0.0.1:53:5353/udp") == ["127.0.0.1:53:5353/udp"]
    assert specs("[::1]:8080:80") == ["[::1]:8080:80"]
    assert specs("[0::0:1]:8080:80", "127.0.0.1:8080:80") == ["[::1]:8080:80", "127.0.0.1:8080:80"]
    assert specs("0:80", "0:81-82") == ["0:80", "0:81", "0:82"]
    assert specs("9000-9002:80-82/udp") == ["9000:80/udp", "9001:81/udp", "9002:82/udp"]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("80", "not a port to publish"),
        ("a:80", "not a port to publish"),
        ("80:80/sctp", "not a port to publish"),
        ("localhost:80:80", "no IP address"),
        ("1.2.3:80:80", "no IP address"),
        ("[::g]:80:80", "no IP address"),
        ("::1:80:80", "not a port to publish"),
        ("0-1:80-81", "ports are 1 to 65535"),
        ("80:0", "ports are 1 to 65535"),
        ("80:65536", "ports are 1 to 65535"),
        ("80-82:80-81", "3 ports of the host for 2"),
        ("82-80:82-80", "runs backwards"),
        ("1-2:80", "2 ports of the host for 1"),
    ],
)
def test_what_is_no_port(spec: str, text: str) -> None:
    with pytest.raises(CompatError, match=text):
        specs(spec)


@pytest.mark.parametrize(
    "published",
    [
        ("80:80", "80:81"),
        ("80:80", "127.0.0.1:80:81"),
        ("127.0.0.1:80:80", "127.0.0.1:80:81"),
        ("80-90:80-90", "85:1"),
        ("53:53/udp", "53:54/udp"),
    ],
)
def test_a_port_of_the_host_once(published: tuple[str, ...]) -> None:
    with pytest.raises(CompatError, match="published twice"):
        specs(*published)


def test_kinds_of_network() -> None:
    assert parse_network(None) == Network()
    assert parse_network("user").mode is Mode.USER
    assert parse_network("none").mode is Mode.NONE
    assert parse_network("tap").tap == Tap()
    settings = (
        "ip=192.168.7.2/24,ip=fd00::2/64,gateway=192.168.7.1,dns=1.1.1.1,mac=52:54:00:00:00:01,mtu=9000,bridge=br0"
    )
    assert parse_network(f"tap:tap0,{settings}").tap == Tap(
        name="tap0",
        ip=("192.168.7.2/24", "fd00::2/64"),
        gateway=("192.168.7.1",),
        dns=("1.1.1.1",),
        mac="52:54:00:00:00:01",
        mtu=9000,
        bridge="br0",
    )


@pytest.mark.parametrize(
    ("net", "text"),
    [
        ("bridge", "no such kind"),
        ("", "no such kind"),
        ("user,mtu=1", "takes no settings"),
        ("none:x", "takes no settings"),
        ("tap:", "name of an interface"),
        ("tap:a/b", "name of an interface"),
        ("tap:sixteen-letters-", "name of an interface"),
        ("tap,ip", "no setting"),
        ("tap,ip=", "no setting"),
        ("tap,speed=1", "no setting"),
        ("tap,ip=1.2.3.4", "lacks the length"),
        ("tap,ip=1.2.3.4/33", "no IP address"),
        ("tap,ip=dhcp,ip=1.2.3.4/24", "one address"),
        ("tap,ip=1.2.3.5/24,ip=1.2.3.4/24", "one address"),
        ("tap,gateway=1.2.3.5,gateway=1.2.3.4", "one gateway"),
        ("tap,dns=x", "no IP address"),
        ("tap,mac=1", "network card"),
        ("tap,mac=00:00:00:00:00:00", "network card"),
        ("tap,mac=01:00:00:00:00:00", "network card"),
        ("tap,mtu=67", "MTU"),
        ("tap,mtu=x", "MTU"),
        ("tap,mtu=1500,mtu=1500", "given twice"),
        ("tap,bridge=a b", "name of a bridge"),
    ],
)
def test_what_is_no_network(net: str, text: str) -> None:
    with pytest.raises(CompatError, match=text):
        parse_network(net)


@pytest.mark.parametrize(
    ("rule", "complete"),
    [
        ("*", "*:*"),
        ("dns", "dns"),
        ("none", "none"),
        ("*:443", "*:443"),
        ("example.org:443", "example.org:443"),
        ("example.org", "example.org:*"),
        ("10.0.2.2:1-1024", "10.0.2.2:1-1024"),
        ("10.0.0.0/8", "10.0.0.0/8:*"),
        ("10.0.0.0/8:5432", "10.0.0.0/8:5432"),
        ("[::1]:80", "[::1]:80"),
        ("::1", "[::1]:*"),
        ("[::1]", "[::1]:*"),
        ("fd00::/8", "[fd00::]/8:*"),
        ("[fd00::/8]:443", "[fd00::]/8:443"),
        ("[fd00::]/8:443", "[fd00::]/8:443"),
        ("a_b.internal:*", "a_b.internal:*"),
    ],
)
def test_what_may_be_allowed(rule: str, complete: str) -> None:
    assert parse_network("user", allow=[rule]).allowed == (complete,)


@pytest.mark.parametrize(
    "rule", ["", ":80", "host:", "host:x", "host:0", "host:70000", "10.0.0.1/8", "[::1:80", "[::1]80", "a b:1"]
)
def test_what_cannot_be_allowed(rule: str) -> None:
    with pytest.raises(CompatError, match="allow-net"):
        parse_network(None, allow=[rule])


@pytest.mark.parametrize(
    ("net", "publish", "allow", "text"),
    [
        ("none", ["80:80"], [], "there is no network"),
        ("tap", ["80:80"], [], "its own address"),
        ("none", [], ["*"], "allows nothing"),
        ("tap", [], ["*"], "needs --net user"),
        (None, [], ["none", "dns"], "another --allow-net"),
    ],
)
def test_contradictions(net: str | None, publish: list[str], allow: list[str], text: str) -> None:
    with pytest.raises(CompatError, match=text):
        parse_network(net, publish, allow)


def test_nothing_to_capture() -> None:
    with pytest.raises(CompatError, match="no packets"):
        parse_network("none", pcap=Path("x"))


def test_what_the_monitor_gets() -> None:
    assert parse_network(None).arguments() == []
    network = parse_network("user", ["[::1]:1-2:1-2"], ["dns", "a"], Path("x.pcap"))
    assert network.arguments() == [
        *("--net", "user", "--publish", "[::1]:1:1", "--publish", "[::1]:2:2"),
        *("--allow-net", "dns", "--allow-net", "a:*", "--pcap", "x.pcap"),
    ]


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_qemus_user_network() -> None:
    port = free_port()
    network = parse_network(None, [f"{port}:80", f"127.0.0.1:{port}:53/udp"], ["none"], Path("a,b"))
    backend = f"user,id=net0,ipv6=off,restrict=on,hostfwd=tcp::{port}-:80,hostfwd=udp:127.0.0.1:{port}-:53"
    assert network_devices(network) == [
        *("-netdev", backend, "-device", "virtio-net-device,netdev=net0"),
        *("-object", "filter-dump,id=dump0,netdev=net0,file=a,,b"),
    ]
    assert network_record(network) == USER_RECORD
    assert network_devices(parse_network("none")) == []
    assert network_record(parse_network("none")) is None


def test_ports_that_qemu_cannot_take(busy: int) -> None:
    for spec in (f"{busy}:80", f"127.0.0.1:{busy}:80"):
        with pytest.raises(CompatError, match="in use"):
            network_devices(parse_network(None, [spec]))
    with pytest.raises(CompatError, match="no address of this machine"):
        network_devices(parse_network(None, ["203.0.113.1:8080:80"]))
    with pytest.raises(CompatError, match="must be named"):
        network_devices(parse_network(None, ["0:80"]))
    with pytest.raises(CompatError, match="IPv4"):
        network_devices(parse_network(None, ["[::1]:8080:80"]))


def test_qemu_has_no_allow_list() -> None:
    with pytest.raises(CompatError, match="everything or nothing"):
        network_devices(parse_network(None, allow=["example.org:443"]))
    assert "restrict" not in network_devices(parse_network(None, allow=["*", "dns"]))[1]


def test_qemus_tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu_network, "INTERFACES", str(tmp_path))
    for net, text in (("tap", "must be named"), ("tap:t0", "no interface t0")):
        with pytest.raises(CompatError, match=text):
            network_devices(parse_network(net))
    (tmp_path / "t0").mkdir()
    (tmp_path / "br0").mkdir()
    network = parse_network("tap:t0,mac=52:54:00:00:00:01,mtu=1400")
    assert network_devices(network) == [
        *("-netdev", "tap,id=net0,ifname=t0,script=no,downscript=no"),
        *("-device", "virtio-net-device,netdev=net0,mac=52:54:00:00:00:01"),
    ]
    assert network_record(network) == "mode=card ip=dhcp mtu=1400"
    assert network_record(parse_network("tap:t0,ip=fd00::2/64")) == "mode=card ip=dhcp ip=fd00::2/64"
    settings = "ip=10.1.0.2/24,gateway=10.1.0.1,dns=9.9.9.9"
    assert network_record(parse_network(f"tap:t0,{settings}")) == f"mode=card {settings.replace(',', ' ')}"
    with pytest.raises(CompatError, match="not in the bridge"):
        network_devices(parse_network("tap:t0,bridge=br0"))
    (tmp_path / "t0" / "master").symlink_to(tmp_path / "br0")
    assert network_devices(parse_network("tap:t0,bridge=br0"))
