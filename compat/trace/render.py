"""Arguments and results of a call as strace prints them."""

from __future__ import annotations

import re
import struct

from compat.trace import families, sockets
from compat.trace.calls import Argument, Call
from compat.trace.constants import errno_names, errno_text, flags_of, name_of, signal_name
from compat.trace.memory import Memory
from compat.trace.numbers import number
from compat.trace.special import SPECIAL
from compat.trace.structures import STRUCTURES, Structure
from compat.trace.values import U32, address, descriptor, octal, quoted, signed

STRING = 32
_POINTER = re.compile(r"(UserPtr|Out|InOut)<(.*)>")
_PAIR = re.compile(r"\[(\w+); 2\]")
# Calls whose result is an address.
ADDRESSES = frozenset({"mmap", "mremap", "brk", "shmat"})
OFFSETS = frozenset({"copy_file_range", "splice"})
COUNTS = frozenset({"nfds", "maxevents", "size", "vlen"})
ELEMENTS_SHOWN = 32
# Of `struct linux_dirent64`, and of the old one.
ENTRY_HEADER, ENTRY_SIZE_AT = 19, 16


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
            return f"{address(value)} /* {_entries(memory, value, self.call.result or 0)} */"
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
        if self.call.row.name == "sendfile" and after is not None and after != before:
            return f"[{before}] => [{after}]"
        # Of the calls that move data between files only the offset before is shown.
        shown = after is not None and after != before and self.call.row.name not in OFFSETS
        return f"[{before} => {after}]" if shown else f"[{before}]"

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
        if command == "F_GET_SEALS":
            return f"{value:#x} (seals {flags_of(families.SEALS, value)})" if value else "0"
        if command == "F_GETFL" or (command == "F_GETFD" and value):
            family = families.OPEN if command == "F_GETFL" else families.FD_FLAGS
            return f"{value:#x} (flags {flags_of(family, value)})" if value else f"0 (flags {flags_of(family, 0)})"
        if call.row.name == "rt_sigtimedwait":
            return f"{value} ({signal_name(value)})"
        return octal(value) if call.row.name == "umask" else str(value)


def _entries(memory: Memory, at: int, length: int) -> str:
    """How many entries of a directory; of more than was copied only the length is known."""
    data = memory.read(at, length)
    if data is None:
        return f"{length} bytes"
    count = place = 0
    while place + ENTRY_HEADER <= length:
        (size,) = struct.unpack_from("<H", data, place + ENTRY_SIZE_AT)
        count, place = count + 1, place + max(size, ENTRY_HEADER)
    return f"{count} entries"


def _one(memory: Memory, structure: Structure, value: int) -> str | None:
    data = memory.read(value, structure.size)
    return None if data is None else structure.text(data)


def _option(data: bytes, value: int) -> str:
    if len(data) == 4:
        return f"[{struct.unpack('<i', data)[0]}]"
    return quoted(data) if data else address(value)
