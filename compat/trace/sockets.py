"""Addresses and messages of sockets."""

from __future__ import annotations

import socket
import struct

from compat.trace import families
from compat.trace.constants import flags_of, name_of
from compat.trace.memory import Memory
from compat.trace.values import address, quoted

UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
VECTOR, VECTORS_SHOWN, MESSAGE = 16, 64, 64


def socket_address(data: bytes) -> str:
    """`{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}`."""
    if len(data) < 2:
        return "{}" if not data else f"{{sa_data={quoted(data)}}}"
    (family,) = struct.unpack_from("<H", data)
    rest = _family(family, data)
    name = name_of(families.DOMAIN, family)
    return f"{{sa_family={name}, {rest}}}" if rest else f"{{sa_family={name}}}"


def _family(family: int, data: bytes) -> str:
    if family == UNIX:
        path = data[2:]
        if path.startswith(b"\0"):
            return f"sun_path=@{quoted(path[1:])}"
        return f"sun_path={quoted(path.split(bytes(1))[0])}" if path else ""
    if family == INET and len(data) >= 8:
        (port,) = struct.unpack_from(">H", data, 2)
        return f'sin_port=htons({port}), sin_addr=inet_addr("{socket.inet_ntoa(data[4:8])}")'
    if family == INET6 and len(data) >= 28:
        port, flow = struct.unpack_from(">HI", data, 2)
        host = socket.inet_ntop(socket.AF_INET6, data[8:24])
        (scope,) = struct.unpack_from("<I", data, 24)
        text = f'sin6_port=htons({port}), sin6_flowinfo=htonl({flow}), inet_pton(AF_INET6, "{host}", &sin6_addr), '
        return text + f"sin6_scope_id={scope}"
    if family == NETLINK and len(data) >= 12:
        pid, groups = struct.unpack_from("<II", data, 4)
        return f"nl_pid={pid}, nl_groups={groups:08x}"
    return f"sa_data={quoted(data[2:])}"


def vectors(memory: Memory, at: int, count: int, limit: int, total: int | None = None) -> str:
    """An array of `struct iovec` with what is in the buffers; `total`: how much of that counts."""
    shown = min(count, VECTORS_SHOWN)
    data = memory.read(at, shown * VECTOR)
    if at == 0 or data is None:
        return address(at)
    parts, left = [], total
    for base, length in struct.iter_unpack("<QQ", data):
        taken = length if left is None else min(length, left)
        left = None if left is None else left - taken
        parts.append(f"{{iov_base={buffer(memory, base, taken, limit)}, iov_len={length}}}")
    return f"[{', '.join(parts)}{', ...' if shown < count else ''}]"


def buffer(memory: Memory, at: int, length: int, limit: int) -> str:
    """So many bytes, of which `limit` are shown."""
    if at == 0:
        return "NULL"
    data = memory.piece(at, min(length, limit))
    if not data and length and limit:
        return address(at)
    return quoted(data, more=length > len(data))


def message(memory: Memory, at: int, limit: int, total: int | None = None) -> str:
    """`struct msghdr`."""
    header = memory.unpack("QIIQQQQI", at)
    if header is None:
        return address(at)
    name, name_length, _, vector, count, control, control_length, flags = header
    shown = "NULL" if name == 0 else socket_address(memory.piece(name, name_length))
    text = f"{{msg_name={shown}, msg_namelen={name_length}, "
    text += f"msg_iov={vectors(memory, vector, count, limit, total)}, msg_iovlen={count}, "
    if control and control_length:
        text += f"msg_control={_control(memory.piece(control, control_length))}, "
    return text + f"msg_controllen={control_length}, msg_flags={flags_of(families.MESSAGE, flags)}}}"


def messages(memory: Memory, at: int, count: int, limit: int) -> str:
    """An array of `struct mmsghdr`."""
    parts = []
    for place in range(at, at + min(count, VECTORS_SHOWN) * MESSAGE, MESSAGE):
        length = memory.unpack("I", place + MESSAGE - 8)
        if length is None:
            return address(at)
        parts.append(f"{{msg_hdr={message(memory, place, limit)}, msg_len={length[0]}}}")
    return f"[{', '.join(parts)}]"


def _control(data: bytes) -> str:
    parts = []
    while len(data) >= 16:
        length, level, kind = struct.unpack_from("<Qii", data)
        parts.append(f"{{cmsg_len={length}, cmsg_level={name_of(families.LEVEL, level)}, cmsg_type={kind:#x}}}")
        if length < 16:
            break
        data = data[-(-length // 8) * 8 :]
    return f"[{', '.join(parts)}]"
