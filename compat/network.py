"""The network options of `compat run`: their syntax, and mistakes that can be seen without looking at the machine.

The monitor reads the same texts and checks again. `ipaddress` is imported where it is needed: most starts need it not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from compat.errors import CompatError

PORT_MAX = 65535
INTERFACE_MAX = 15
MTU = range(68, 65522)
HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
PUBLISH = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|[^:\[\]]*):)?(?P<host>\d+(?:-\d+)?):(?P<guest>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp))?"
)
PUBLISH_HINT = "write [IP:]HOST:GUEST[/udp], for example -p 8080:80 or -p '[::1]:5353:53/udp'"
NET_HINT = (
    "write user, none, or tap[:NAME] with settings after commas: ip=ADDRESS/BITS or ip=dhcp, gateway=ADDRESS, "
    "dns=ADDRESS, mac=MAC, mtu=BYTES, bridge=NAME"
)
ALLOW_HINT = (
    "write HOST:PORT, HOST, NETWORK/BITS:PORT or *:PORT (several --allow-net add up), dns for name lookups, "
    "* for everything, none for nothing"
)
ALLOW_WORDS = ("dns", "none")


class Mode(Enum):
    USER = "user"
    TAP = "tap"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Published:
    """A port of the host that leads to one of the guest. No IP: all addresses; host port 0: any that is free."""

    ip: str | None
    host: int
    guest: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        address = "" if self.ip is None else f"[{self.ip}]:" if ":" in self.ip else f"{self.ip}:"
        return f"{address}{self.host}:{self.guest}{'/udp' if self.protocol == 'udp' else ''}"

    def collides(self, other: Published) -> bool:
        same_port = self.host != 0 and (self.host, self.protocol) == (other.host, other.protocol)
        return same_port and (self.ip == other.ip or None in {self.ip, other.ip})


@dataclass(frozen=True, slots=True)
class Tap:
    """Settings of `--net tap`. Without an address the guest asks by DHCP."""

    name: str | None = None
    ip: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    mac: str | None = None
    mtu: int | None = None
    bridge: str | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """What `compat run` passes on. `spec` is the text of --net, None the default."""

    spec: str | None = None
    mode: Mode = Mode.USER
    tap: Tap | None = None
    published: tuple[Published, ...] = ()
    allowed: tuple[str, ...] = ()
    pcap: Path | None = None

    def arguments(self) -> list[str]:
        """For the monitor."""
        arguments = ["--net", self.spec] if self.spec is not None else []
        for port in self.published:
            arguments += ["--publish", str(port)]
        for rule in self.allowed:
            arguments += ["--allow-net", rule]
        return [*arguments, "--pcap", str(self.pcap)] if self.pcap is not None else arguments


def parse_network(
    net: str | None, publish: Sequence[str] = (), allow: Sequence[str] = (), pcap: Path | None = None
) -> Network:
    """The options together; what contradicts is refused."""
    mode, tap = (Mode.USER, None) if net is None else parse_net(net)
    published = parse_published(publish)
    allowed = tuple(parse_allowed(rule) for rule in allow)
    if published and mode is Mode.NONE:
        raise CompatError("-p cannot publish a port: with --net none there is no network")
    if published and mode is Mode.TAP:
        raise CompatError("-p does not go with --net tap: the guest has its own address there", "connect to that one")
    if allow and mode is Mode.NONE:
        raise CompatError("--allow-net allows nothing with --net none", "leave one of them out")
    if allow and mode is Mode.TAP:
        raise CompatError("--allow-net needs --net user", "limit the traffic of a tap interface at the host's firewall")
    if "none" in allow and len(allow) > 1:
        raise CompatError("--allow-net none does not go with another --allow-net", "leave one of them out")
    if pcap is not None and mode is Mode.NONE:
        raise CompatError("--pcap: there are no packets with --net none")
    return Network(net, mode, tap, published, allowed, pcap)


def parse_published(texts: Sequence[str]) -> tuple[Published, ...]:
    """All `-p`, ranges taken apart, no host port twice."""
    published: dict[tuple[int, str], list[Published]] = {}
    for text in texts:
        for port in _one_published(text):
            others = published.setdefault((port.host, port.protocol), [])
            if any(port.collides(other) for other in others):
                raise CompatError(f"-p {text}: port {port.host}/{port.protocol} of the host is published twice")
            others.append(port)
    return tuple(port for ports in published.values() for port in ports)


def _one_published(text: str) -> list[Published]:
    match = PUBLISH.fullmatch(text)
    if match is None:
        raise CompatError(f"-p {text}: not a port to publish", PUBLISH_HINT)
    ip = match["ip"] or None
    if ip is not None:
        ip = _address(ip.strip("[]"), f"-p {text}")
        if ":" in ip and not text.startswith("["):
            raise CompatError(f"-p {text}: an IPv6 address stands in brackets", PUBLISH_HINT)
    guest = _ports(match["guest"], f"-p {text}")
    host = [0] * len(guest) if match["host"] == "0" else _ports(match["host"], f"-p {text}")
    if len(host) != len(guest):
        raise CompatError(f"-p {text}: {len(host)} ports of the host for {len(guest)} of the guest", PUBLISH_HINT)
    return [Published(ip, *pair, match["protocol"] or "tcp") for pair in zip(host, guest, strict=True)]


def _ports(text: str, option: str) -> range:
    first, _, last = text.partition("-")
    ports = range(int(first), int(last or first) + 1)
    if not ports:
        raise CompatError(f"{option}: the range {text} runs backwards")
    if ports[0] < 1 or ports[-1] > PORT_MAX:
        raise CompatError(f"{option}: ports are 1 to {PORT_MAX}")
    return ports


def parse_net(text: str) -> tuple[Mode, Tap | None]:
    """`user`, `none`, `tap[:NAME][,KEY=VALUE]...`."""
    head, *settings = text.split(",")
    kind, colon, name = head.partition(":")
    try:
        mode = Mode(kind)
    except ValueError:
        raise CompatError(f"--net {text}: no such kind of network", NET_HINT) from None
    if mode is not Mode.TAP:
        if colon or settings:
            raise CompatError(f"--net {kind} takes no settings", NET_HINT)
        return mode, None
    if colon and not _is_interface(name):
        raise CompatError(f"--net {text}: {name!r} cannot be the name of an interface")
    return mode, _tap(name or None, settings, text)


def _tap(name: str | None, settings: Sequence[str], text: str) -> Tap:
    given: dict[str, list[str]] = {key: [] for key in ("ip", "gateway", "dns", "mac", "mtu", "bridge")}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in given or not value:
            raise CompatError(f"--net {text}: {setting!r} is no setting", NET_HINT)
        given[key].append(value)
    for key in ("mac", "mtu", "bridge"):
        if len(given[key]) > 1:
            raise CompatError(f"--net {text}: {key} is given twice")
    _check_addresses(given, f"--net {text}")
    mac, mtu, bridge = (given[key][0] if given[key] else None for key in ("mac", "mtu", "bridge"))
    if mac is not None and (not MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or not mac.strip("0:")):
        raise CompatError(f"--net {text}: {mac!r} is no address of a network card", "for example mac=52:54:00:12:34:56")
    if mtu is not None and not (mtu.isdecimal() and int(mtu) in MTU):
        raise CompatError(f"--net {text}: the MTU is {MTU.start} to {MTU.stop - 1} bytes")
    if bridge is not None and not _is_interface(bridge):
        raise CompatError(f"--net {text}: {bridge!r} cannot be the name of a bridge")
    return Tap(
        name=name,
        ip=tuple(given["ip"]),
        gateway=tuple(given["gateway"]),
        dns=tuple(given["dns"]),
        mac=mac,
        mtu=int(mtu) if mtu is not None else None,
        bridge=bridge,
    )


def _check_addresses(given: dict[str, list[str]], option: str) -> None:
    """At most one address and gateway of a kind; DHCP brings the IPv4 address."""
    versions = [4 if address == "dhcp" else _interface_version(address, option) for address in given["ip"]]
    gateways = [6 if ":" in _address(address, option) else 4 for address in given["gateway"]]
    if len(set(versions)) < len(versions) or len(set(gateways)) < len(gateways):
        raise CompatError(f"{option}: one address and one gateway each, of IPv4 and IPv6; ip=dhcp is one of IPv4")
    for address in given["dns"]:
        _address(address, option)


def parse_allowed(text: str) -> str:
    """One `--allow-net`, complete: a host or network without a port means all of its ports."""
    if text in ALLOW_WORDS:
        return text
    option = f"--allow-net {text}"
    host, port = _split_port("*:*" if text == "*" else text)
    if port != "*":
        if not re.fullmatch(r"\d+(-\d+)?", port):
            raise CompatError(f"{option}: {port!r} is no port", ALLOW_HINT)
        _ports(port, option)
    if host == "*":
        return f"*:{port}"
    address, slash, bits = host.replace("[", "").replace("]", "").partition("/")
    if slash:
        _network(f"{address}/{bits}", option)
    elif ":" in address and host.count("[") == host.count("]"):
        _address(address, option)
    elif not HOST_NAME.fullmatch(host):
        raise CompatError(f"{option}: {host!r} is no host", ALLOW_HINT)
    return f"[{address}]{slash}{bits}:{port}" if ":" in address else f"{host}:{port}"


def _split_port(text: str) -> tuple[str, str]:
    """Host and port. An IPv6 address with a port stands in brackets, a network too: `[fd00::/8]:443`."""
    if ":" not in text or ("[" not in text and text.count(":") > 1) or text.endswith("]"):
        return text, "*"
    host, _, port = text.rpartition(":")
    return host, port


def _is_interface(name: str) -> bool:
    return 0 < len(name) <= INTERFACE_MAX and name not in {".", ".."} and not re.search(r"[/:\s\0]", name)


def _address(text: str, option: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise CompatError(f"{option}: {text!r} is no IP address") from None


def _interface_version(text: str, option: str) -> int:
    import ipaddress

    if "/" not in text:
        raise CompatError(f"{option}: ip={text} lacks the length of its network", "for example ip=192.168.1.5/24")
    try:
        return ipaddress.ip_interface(text).version
    except ValueError:
        raise CompatError(f"{option}: {text!r} is no IP address with the length of its network") from None


def _network(text: str, option: str) -> None:
    import ipaddress

    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise CompatError(f"{option}: {error}", ALLOW_HINT) from None
