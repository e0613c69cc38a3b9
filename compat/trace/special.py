"""Calls whose arguments decide about each other: which of them matter, and what is behind a pointer."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from compat.trace import families
from compat.trace.constants import flags_of, name_of
from compat.trace.memory import Memory
from compat.trace.numbers import number, socket_option, socket_protocol
from compat.trace.values import U32, address, octal, quoted, signed

if TYPE_CHECKING:
    from compat.trace.render import Rendering

CREATES = 0o100 | 0o20000000
MREMAP_FIXED = 2
O_FLAGS_COMMANDS = {"F_SETFL": families.OPEN, "F_SETFD": families.FD_FLAGS}
LOCK_COMMANDS = frozenset({"F_GETLK", "F_SETLK", "F_SETLKW", "F_OFD_GETLK", "F_OFD_SETLK", "F_OFD_SETLKW"})
SILENT_COMMANDS = frozenset({"F_GETFD", "F_GETFL", "F_GETOWN", "F_GETSIG", "F_GETLEASE", "F_GETPIPE_SZ", "F_GET_SEALS"})
# How many arguments matter, where that depends on the first ones.
FUTEX_ARGUMENTS = {0: 4, 1: 3, 3: 5, 4: 6, 5: 6, 6: 4, 7: 2, 8: 2, 9: 6, 10: 4, 11: 6, 12: 5, 13: 4}
# Addresses that only say where something is.
MORE_THAN_ADDRESS = 0x10000


def _open(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(len(self.call.row.args))]
    return words if self.raw(len(words) - 2) & CREATES else words[:-1]


def _fcntl(self: Rendering) -> list[str]:
    command, value = self.argument(1), self.raw(2)
    words = [self.argument(0), command]
    if command in SILENT_COMMANDS:
        return words
    if command == "F_ADD_SEALS":
        return [*words, flags_of(families.SEALS, value & U32)]
    if command in O_FLAGS_COMMANDS:
        return [*words, flags_of(O_FLAGS_COMMANDS[command], value & U32)]
    got = command in {"F_GETLK", "F_OFD_GETLK"} and not self.failed
    memory = self.memory(out=got)
    lock = memory.unpack("hhiqqi", value) if command in LOCK_COMMANDS else None
    if lock is not None:
        kind, whence, _, start, length, pid = lock
        kinds = {0: "F_RDLCK", 1: "F_WRLCK", 2: "F_UNLCK"}
        text = f"{{l_type={kinds.get(kind, hex(kind))}, l_whence={name_of(families.SEEK, whence)}, "
        return [*words, f"{text}l_start={start}, l_len={length}{f', l_pid={pid}' if got else ''}}}"]
    return [*words, str(signed(value)) if value < MORE_THAN_ADDRESS else address(value)]


def _futex(self: Rendering) -> list[str]:
    operation = self.raw(1) & 127
    words = [self.argument(at) for at in range(6)]
    words[2] = str(self.raw(2) & U32)
    if operation in {3, 4, 5, 12}:
        # A second number in the timeout's place.
        words[3] = str(self.raw(3))
    elif self.raw(3):
        time = self.call.before.unpack("qq", self.raw(3))
        words[3] = address(self.raw(3)) if time is None else f"{{tv_sec={time[0]}, tv_nsec={time[1]}}}"
    if operation in {9, 10}:
        words[5] = "FUTEX_BITSET_MATCH_ANY" if self.raw(5) & U32 == U32 else f"{self.raw(5) & U32:#x}"
    return words[: FUTEX_ARGUMENTS.get(operation, 6)]


def _prctl(self: Rendering) -> list[str]:
    option = self.argument(0)
    if option == "PR_SET_NAME":
        return [option, _text(self.call.before, self.raw(1))]
    if option in {"PR_GET_DUMPABLE", "PR_GET_KEEPCAPS", "PR_GET_TIMERSLACK", "PR_GET_SECCOMP"}:
        return [option]
    return [option, *(f"{self.raw(at):#x}" if self.raw(at) else "0" for at in range(1, 5))]


def _text(memory: Memory, at: int) -> str:
    data = memory.string(at)
    return address(at) if data is None else quoted(data.split(b"\0")[0])


def _clone(self: Rendering) -> list[str]:
    flags, stack, parent, child, tls = self.call.raw[:5]
    words = [f"child_stack={address(stack)}", f"flags={number('clone', 'flags', 'u64', flags)}"]
    words += [f"parent_tid={address(parent)}"] if flags & 0x100000 else []
    words += [f"tls={address(tls)}"] if flags & 0x80000 else []
    words += [f"child_tidptr={address(child)}"] if flags & 0x1200000 else []
    return words


def _socket(self: Rendering) -> list[str]:
    protocol = socket_protocol(self.raw(0), self.raw(1), self.raw(2))
    return [self.argument(0), self.argument(1), protocol, *([self.argument(3)] if len(self.call.row.args) > 3 else [])]


def _option_call(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(5)]
    words[2] = socket_option(self.raw(1), self.raw(2))
    return words


def _execve(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(len(self.call.row.args))]
    at = next(at for at, argument in enumerate(self.call.row.args) if argument.name == "argv")
    pointers = self.call.before.piece(self.raw(at), 64 * 8)
    texts = []
    for (pointer,) in struct.iter_unpack("<Q", pointers[: len(pointers) // 8 * 8]):
        if not pointer:
            break
        data = self.call.before.string(pointer) or b""
        texts.append(quoted(data.removesuffix(b"\0")[: self.limit], more=not data.endswith(b"\0")))
    words[at] = f"[{', '.join(texts)}]"
    return words


def _select(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(len(self.call.row.args))]
    bits = min(signed(self.raw(0)), 1024)
    for at in range(1, 4):
        data = self.call.before.piece(self.raw(at), -(-bits // 64) * 8)
        if self.raw(at) and data:
            value = int.from_bytes(data, "little")
            words[at] = f"[{' '.join(str(fd) for fd in range(bits) if value >> fd & 1)}]"
    return words


def _ioctl(self: Rendering) -> list[str]:
    request, value = self.argument(1), self.raw(2)
    inside = self.call.after if not self.failed else Memory()
    if request in {"FIONREAD", "TIOCGPGRP", "TIOCGSID"}:
        got = inside.unpack("i", value)
        return [self.argument(0), request, f"[{got[0]}]" if got else address(value)]
    if request in {"FIONBIO", "FIOASYNC", "TIOCSPGRP"}:
        given = self.call.before.unpack("i", value)
        return [self.argument(0), request, f"[{given[0]}]" if given else address(value)]
    if request == "TIOCGWINSZ":
        size = inside.unpack("4H", value)
        names = ("ws_row", "ws_col", "ws_xpixel", "ws_ypixel")
        text = ", ".join(f"{name}={number}" for name, number in zip(names, size or (), strict=False))
        return [self.argument(0), request, f"{{{text}}}" if size else address(value)]
    if request in {"FIOCLEX", "FIONCLEX"}:
        return [self.argument(0), request]
    return [self.argument(0), request, address(value)]


def _arch_prctl(self: Rendering) -> list[str]:
    return [self.argument(0), f"{self.raw(1):#x}"]


def _wait4(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(4)]
    status = self.call.after.unpack("i", self.raw(1)) if not self.failed and self.call.result else None
    if status is not None:
        number_ = status[0]
        exited = f"{{WIFEXITED(s) && WEXITSTATUS(s) == {number_ >> 8 & 0xFF}}}"
        killed = f"{{WIFSIGNALED(s) && WTERMSIG(s) == {number_ & 0x7F}}}"
        words[1] = f"[{exited if number_ & 0x7F == 0 else killed}]"
    return words


def _sleep(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(len(self.call.row.args))]
    if not self.interrupted:
        # What is left of the time is only told then.
        words[-1] = address(self.raw(len(words) - 1))
    return words


def _mknod(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(len(self.call.row.args))]
    device = self.raw(len(words) - 2) & 0o170000 in {0o020000, 0o060000}
    return words if device else words[:-1]


def _mremap(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(5)]
    return words if self.raw(3) & MREMAP_FIXED else words[:4]


def _at_position(self: Rendering) -> list[str]:
    """The upper half of the position means nothing where a register holds all of it."""
    words = [self.argument(at) for at in range(len(self.call.row.args))]
    return [*words[:4], *words[5:]]


def _mmap(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(6)]
    words[4] = str(signed(self.raw(4)))
    return words


def _umask(self: Rendering) -> list[str]:
    return [octal(self.raw(0) & 0o777)]


SPECIAL: dict[str, Callable[[Rendering], list[str]]] = {
    "open": _open,
    "openat": _open,
    "fcntl": _fcntl,
    "futex": _futex,
    "prctl": _prctl,
    "arch_prctl": _arch_prctl,
    "clone": _clone,
    "socket": _socket,
    "socketpair": _socket,
    "setsockopt": _option_call,
    "getsockopt": _option_call,
    "execve": _execve,
    "execveat": _execve,
    "select": _select,
    "pselect6": _select,
    "ioctl": _ioctl,
    "wait4": _wait4,
    "mmap": _mmap,
    "umask": _umask,
    "mknod": _mknod,
    "mknodat": _mknod,
    "mremap": _mremap,
    "preadv": _at_position,
    "pwritev": _at_position,
    "preadv2": _at_position,
    "pwritev2": _at_position,
    "nanosleep": _sleep,
    "clock_nanosleep": _sleep,
}
