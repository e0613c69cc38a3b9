"""The network on QEMU: its arguments, the guest's configuration, and what must be refused before the machine starts."""

from __future__ import annotations

import errno
import os
import socket

from compat.errors import CompatError
from compat.network import Mode, Network, Published, Tap

# QEMU's own user-mode network, without IPv6.
USER_RECORD = "mode=card ip=10.0.2.15/24 gateway=10.0.2.2 dns=10.0.2.3"
INTERFACES = "/sys/class/net"


def network_record(network: Network) -> str | None:
    """The text of the guest's NET record; None: no network."""
    if network.mode is Mode.NONE:
        return None
    if network.tap is None:
        return USER_RECORD
    tap = network.tap
    words = ["mode=card", *(f"ip={address}" for address in _addresses(tap))]
    words += [f"gateway={address}" for address in tap.gateway]
    words += [f"dns={address}" for address in tap.dns]
    return " ".join([*words, f"mtu={tap.mtu}"] if tap.mtu is not None else words)


def _addresses(tap: Tap) -> tuple[str, ...]:
    """DHCP unless there is an IPv4 address."""
    has_ipv4 = any(address == "dhcp" or ":" not in address for address in tap.ip)
    return tap.ip if has_ipv4 else ("dhcp", *tap.ip)


def network_devices(network: Network) -> list[str]:
    """QEMU's arguments. What QEMU cannot do, and what would fail while it starts, is an error."""
    if network.mode is Mode.NONE:
        return []
    device = "virtio-net-device,netdev=net0"
    if network.tap is None:
        backend = _user(network)
    else:
        backend = _tap(network.tap)
        device += f",mac={network.tap.mac}" if network.tap.mac is not None else ""
    arguments = ["-netdev", backend, "-device", device]
    if network.pcap is not None:
        file = str(network.pcap).replace(",", ",,")
        arguments += ["-object", f"filter-dump,id=dump0,netdev=net0,file={file}"]
    return arguments


def listening_ports(network: Network) -> int:
    """On how many TCP ports of the host QEMU will listen."""
    if network.mode is Mode.NONE or network.tap is not None:
        return 0
    return sum(port.protocol == "tcp" for port in network.published)


def _user(network: Network) -> str:
    limits = [rule for rule in network.allowed if rule != "none"]
    if limits and "*:*" not in limits:
        raise CompatError(
            f"--allow-net {limits[0]}: QEMU can only allow everything or nothing (--allow-net none)",
            "lists of what is allowed need KVM: compat doctor says what is missing",
        )
    words = ["user", "id=net0", "ipv6=off"]
    if "none" in network.allowed:
        words.append("restrict=on")
    for port in network.published:
        _check_free(port)
        words.append(f"hostfwd={port.protocol}:{port.ip or ''}:{port.host}-:{port.guest}")
    return ",".join(words)


def _check_free(port: Published) -> None:
    """Binds the port as QEMU will. In between somebody may take it, and QEMU says so then, less clearly."""
    if port.ip is not None and ":" in port.ip:
        raise CompatError(f"-p {port}: QEMU publishes ports on IPv4 addresses only")
    if port.host == 0:
        raise CompatError(f"-p {port}: on QEMU the port of the host must be named")
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.ip or "", port.host))
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
        except OSError as error:
            raise _not_free(port, error) from None


def _not_free(port: Published, error: OSError) -> CompatError:
    where = f"port {port.host}/{port.protocol} of {port.ip or 'the host'}"
    if error.errno == errno.EADDRINUSE:
        return CompatError(f"-p {port}: {where} is in use", "choose another one, or end what uses it (ss -lntup)")
    if error.errno == errno.EACCES:
        return CompatError(
            f"-p {port}: no permission to take {where}",
            "take one from 1024 up, or lower net.ipv4.ip_unprivileged_port_start",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return CompatError(f"-p {port}: {port.ip} is no address of this machine")
    return CompatError(f"-p {port}: cannot take {where}: {error.strerror}")


def _tap(tap: Tap) -> str:
    if tap.name is None:
        raise CompatError("--net tap: on QEMU the interface must be named", "for example --net tap:tap0,ip=dhcp")
    if not os.path.exists(f"{INTERFACES}/{tap.name}"):
        hint = f"sudo ip tuntap add {tap.name} mode tap user $USER && sudo ip link set {tap.name} up"
        raise CompatError(f"--net tap: there is no interface {tap.name}", hint)
    if tap.bridge is not None:
        master = f"{INTERFACES}/{tap.name}/master"
        if os.path.basename(os.path.realpath(master)) != tap.bridge or not os.path.exists(master):
            hint = f"sudo ip link set {tap.name} master {tap.bridge}"
            raise CompatError(
                f"--net tap: {tap.name} is not in the bridge {tap.bridge}, and QEMU cannot put it there", hint
            )
    return f"tap,id=net0,ifname={tap.name},script=no,downscript=no"
