"""Arguments and results of a call as strace prints them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from compat.trace import families, sockets
from compat.trace.calls import Argument, Call
from compat.trace.constants import errno_names, errno_text, flags_of, name_of
from compat.trace.memory import Memory
from compat.trace.numbers import number, socket_option, socket_protocol
from compat.trace.structures import STRUCTURES, Structure
from compat.trace.values import U32, address, descriptor, octal, quoted, signed

STRING = 32
_POINTER = re.compile(r"(UserPtr|Out|InOut)<(.*)>")
_PAIR = re.compile(r"\[(\w+); 2\]")
# Calls whose result is an address.
ADDRESSES = frozenset({"mmap", "mremap", "brk", "shmat"})
COUNTS = frozenset({"nfds", "maxevents", "size", "vlen"})
ELEMENTS_SHOWN = 32
CREATES = 0o100 | 0o20000000
ANONYMOUS = 0x20
O_FLAGS_COMMANDS = {"F_SETFL": families.OPEN, "F_SETFD": families.FD_FLAGS}
LOCK_COMMANDS = frozenset({"F_GETLK", "F_SETLK", "F_SETLKW", "F_OFD_GETLK", "F_OFD_SETLK", "F_OFD_SETLKW"})
SILENT_COMMANDS = frozenset({"F_GETFD", "F_GETFL", "F_GETOWN", "F_GETSIG", "F_GETLEASE", "F_GETPIPE_SZ", "F_GET_SEALS"})
# How many arguments matter, where that depends on the first ones.
FUTEX_ARGUMENTS = {0: 4, 1: 3, 3: 5, 4: 6, 5: 6, 6: 4, 7: 2, 8: 2, 9: 6, 10: 4, 11: 6, 12: 5, 13: 4}
# Addresses that only say where something is.
MORE_THAN_ADDRESS = 0x10000


class Rendering:
    """One call's words. `limit`: how much of strings and buffers is shown."""

    def __init__(self, call: Call, limit: int = STRING) -> None:
        self.call, self.limit = call, limit
        self.interrupted = errno_names().get(call.errno, "").startswith(("EINTR", "ERESTART"))
        self.failed = call.result is None or (call.errno != 0 and not self.interrupted)

    def arguments(self) -> list[str]:
        """Those that matter, by order."""
        special = SPECIAL.get(self.call.row.name)
        if special is not None:
            return special(self)
        return [self.argument(at) for at in range(len(self.call.row.args))]

    def split(self) -> int:
        """How many arguments are known before the call returns."""
        for at, argument in enumerate(self.call.row.args):
            if argument.type == "OutBuffer" or argument.type.startswith(("Out<", "InOut<")):
                return at
        return len(self.call.row.args)

    def raw(self, at: int) -> int:
        return self.call.raw[at]

    def argument(self, at: int) -> str:
        argument, value = self.call.row.args[at], self.call.raw[at]
        if argument.type == "Fd":
            return descriptor(value)
        if argument.type == "Path":
            return self.path(value)
        if argument.type in {"Buffer", "OutBuffer"}:
            return self._buffer(at, argument, value)
        pointer = _POINTER.fullmatch(argument.type)
        if pointer:
            return self._structure(at, pointer[1], pointer[2], value)
        return number(self.call.row.name, argument.name, argument.type, value)

    def path(self, value: int) -> str:
        text = self.call.before.string(value) if value else None
        if text is None:
            return address(value)
        return quoted(text.removesuffix(b"\0"), more=not text.endswith(b"\0"))

    def memory(self, *, out: bool) -> Memory:
        return self.call.after if out else self.call.before

    def _count(self, at: int) -> int | None:
        """What the argument beside this one says."""
        for beside in (at + 1, at - 1):
            args = self.call.row.args
            if 0 <= beside < len(args) and args[beside].name in {*COUNTS, "count", "len", "addrlen", "iovcnt"}:
                return self._length(beside)
        return None

    def _length(self, at: int) -> int:
        value = self.call.raw[at]
        if "<" not in self.call.row.args[at].type:
            return value if "64" in self.call.row.args[at].type else value & U32 if value >> 63 else value
        behind = self.call.after.unpack("i", value) or self.call.before.unpack("i", value)
        return behind[0] if behind else 0

    def _buffer(self, at: int, argument: Argument, value: int) -> str:
        out = argument.type == "OutBuffer"
        if out and self.failed:
            return address(value)
        memory = self.memory(out=out)
        length = self._count(at) or 0
        if argument.name == "addr":
            data = memory.piece(value, length)
            return sockets.socket_address(data) if value and data else address(value)
        if argument.name == "value":
            return _option(memory.piece(value, length), value)
        if argument.name in {"mask", "vec"}:
            return address(value)
        if argument.name == "dirp":
            return f"{address(value)} /* {self.call.result} bytes */"
        if out and self.call.result is not None:
            length = min(length, self.call.result)
        if self.call.row.name == "getcwd":
            length -= 1
        return sockets.buffer(memory, value, length, self.limit)

    def _structure(self, at: int, direction: str, kind: str, value: int) -> str:
        out = direction != "UserPtr"
        if value == 0 or (direction == "Out" and self.failed):
            return address(value)
        memory = self.memory(out=direction == "Out")
        total = self.call.result if direction == "Out" else None
        if kind == "Iovec":
            return sockets.vectors(memory, value, self._count(at) or 0, self.limit, total)
        if kind == "Msghdr":
            return sockets.message(memory, value, self.limit, total)
        if kind == "Mmsghdr":
            count = self._count(at) or 0
            count = min(count, self.call.result) if total is not None and self.call.result is not None else count
            return sockets.messages(memory, value, count, self.limit)
        pair = _PAIR.fullmatch(kind)
        if pair:
            return self._array(memory, STRUCTURES[pair[1]], value, 2)
        structure = STRUCTURES.get(kind)
        if structure is None:
            return address(value)
        args = self.call.row.args
        beside = next((n for n in (at + 1, at - 1) if 0 <= n < len(args) and args[n].name in COUNTS), None)
        if beside is not None and (args[beside].name != "size" or kind == "u32"):
            count = self._length(beside)
            return self._array(memory, structure, value, min(count, total) if total is not None else count)
        one = _one(memory, structure, value)
        if one is None:
            return address(value)
        if kind in {"i32", "u32", "i64", "u64"}:
            return self._number(one, structure, value, changed=out and direction == "InOut")
        return one

    def _number(self, before: str, structure: Structure, value: int, *, changed: bool) -> str:
        after = _one(self.call.after, structure, value) if changed else None
        return f"[{before} => {after}]" if after is not None and after != before else f"[{before}]"

    def _array(self, memory: Memory, structure: Structure, value: int, count: int) -> str:
        shown = min(count, ELEMENTS_SHOWN)
        data = memory.read(value, shown * structure.size)
        if data is None:
            return address(value)
        items = [structure.text(data[at : at + structure.size]) for at in range(0, len(data), structure.size)]
        return f"[{', '.join(items)}{', ...' if shown < count else ''}]"

    def result(self) -> str:
        """What stands behind the equals sign."""
        call = self.call
        if call.result is None:
            return "?"
        if call.errno:
            name = errno_names().get(call.errno, f"ERRNO_{call.errno}")
            start = "?" if name.startswith("ERESTART") else "-1"
            return f"{start} {name} ({errno_text(call.errno)})"
        if call.row.name in ADDRESSES:
            return f"{call.result & 0xFFFFFFFFFFFFFFFF:#x}"
        return self._plain_result(call.result)

    def _plain_result(self, value: int) -> str:
        call = self.call
        if call.row.name in {"poll", "ppoll"}:
            if value == 0:
                return "0 (Timeout)"
            data = call.after.read(call.raw[0], min(call.raw[1], 64) * 8)
            ready = [(fd, got) for fd, _, got in struct.iter_unpack("<ihh", data or b"") if got]
            shown = [f"{{fd={fd}, revents={flags_of(families.POLL, got)}}}" for fd, got in ready]
            return f"{value} ([{', '.join(shown)}])" if shown else str(value)
        if call.row.name in {"select", "pselect6"} and value == 0:
            return "0 (Timeout)"
        command = name_of(families.FCNTL, signed(call.raw[1])) if call.row.name == "fcntl" else ""
        if command == "F_GETFL" or (command == "F_GETFD" and value):
            family = families.OPEN if command == "F_GETFL" else families.FD_FLAGS
            return f"{value:#x} (flags {flags_of(family, value)})" if value else f"0 (flags {flags_of(family, 0)})"
        return octal(value) if call.row.name == "umask" else str(value)


def _one(memory: Memory, structure: Structure, value: int) -> str | None:
    data = memory.read(value, structure.size)
    return None if data is None else structure.text(data)


def _option(data: bytes, value: int) -> str:
    if len(data) == 4:
        return f"[{struct.unpack('<i', data)[0]}]"
    return quoted(data) if data else address(value)


def _open(self: Rendering) -> list[str]:
    words = [self.argument(at) for at in range(len(self.call.row.args))]
    return words if self.raw(len(words) - 2) & CREATES else words[:-1]


def _fcntl(self: Rendering) -> list[str]:
    command, value = self.argument(1), self.raw(2)
    words = [self.argument(0), command]
    if command in SILENT_COMMANDS:
        return words
    if command in O_FLAGS_COMMANDS:
        return [*words, flags_of(O_FLAGS_COMMANDS[command], value & U32)]
    lock = self.call.before.unpack("hhiqqi", value) if command in LOCK_COMMANDS else None
    if lock is not None:
        kind, whence, _, start, length, _ = lock
        kinds = {0: "F_RDLCK", 1: "F_WRLCK", 2: "F_UNLCK"}
        text = f"{{l_type={kinds.get(kind, kind)}, l_whence={name_of(families.SEEK, whence)}, "
        return [*words, f"{text}l_start={start}, l_len={length}}}"]
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
    "nanosleep": _sleep,
    "clock_nanosleep": _sleep,
}
