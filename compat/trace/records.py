"""The stream of records, as `monitor/boot_abi/src/trace.rs` lays it out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from compat.trace.memory import Memory

HEADER = struct.Struct("<IBBHiiQ")
SNIPPET = struct.Struct("<QII")
ENTER, EXIT, SIGNAL, ENDED, SITE, STARTED = range(1, 7)
TRAPPED = WHOLE_PROCESS = FROM_START = 1
ARGUMENTS = 6
# The kernel writes none that is longer.
LONGEST = 1 << 20


class BrokenStreamError(Exception):
    """The bytes are no records."""


@dataclass(frozen=True)
class Record:
    tid: int
    pid: int
    # Nanoseconds since 1970.
    time: int


@dataclass(frozen=True)
class Enter(Record):
    nr: int
    # Where the call returns to.
    site: int
    args: tuple[int, ...]
    trapped: bool = False
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class Exit(Record):
    nr: int
    result: int
    # Nanoseconds.
    duration: int
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True)
class SignalTaken(Record):
    info: bytes


@dataclass(frozen=True)
class Ended(Record):
    """Of a thread or of its process, with the status that wait(2) would show."""

    status: int
    whole: bool


@dataclass(frozen=True)
class Site(Record):
    """A `syscall` that trapped for the first time."""

    address: int
    where: str


@dataclass(frozen=True)
class Started(Record):
    """`argv` and `env` only if the trace began with the program."""

    program: str
    argv: tuple[bytes, ...] = ()
    env: tuple[bytes, ...] = ()
    # Where the environment lies.
    env_at: int = 0


def read_records(stream: BinaryIO) -> Iterator[Record]:
    """Until the stream ends; a last record that is cut off does not count."""
    while True:
        header = stream.read(HEADER.size)
        if len(header) < HEADER.size:
            return
        length, kind, flags, _, tid, pid, time = HEADER.unpack(header)
        if not HEADER.size <= length <= LONGEST:
            raise BrokenStreamError(f"a record of {length} bytes")
        body = stream.read(length - HEADER.size)
        if len(body) < length - HEADER.size:
            return
        try:
            record = _record(kind, flags, (tid, pid, time), body)
        except (struct.error, ValueError) as error:
            raise BrokenStreamError(f"a record of kind {kind}: {error}") from error
        if record is not None:
            yield record


def _record(kind: int, flags: int, who: tuple[int, int, int], body: bytes) -> Record | None:
    """None: a kind that only a newer kernel knows."""
    tid, pid, time = who
    if kind == ENTER:
        nr, site, *args = struct.unpack_from("<8Q", body)
        return Enter(tid, pid, time, nr, site, tuple(args), bool(flags & TRAPPED), _memory(body, 64))
    if kind == EXIT:
        nr, result, duration = struct.unpack_from("<QqQ", body)
        return Exit(tid, pid, time, nr, result, duration, _memory(body, 24))
    if kind == SIGNAL:
        return SignalTaken(tid, pid, time, body)
    if kind == ENDED:
        return Ended(tid, pid, time, _word(body), bool(flags & WHOLE_PROCESS))
    if kind == SITE:
        return Site(tid, pid, time, _word(body), _text(body[8:]))
    if kind == STARTED:
        return _started(who, body) if flags & FROM_START else Started(tid, pid, time, _text(body))
    return None


def _started(who: tuple[int, int, int], body: bytes) -> Started:
    length, args_at, env_at = struct.unpack_from("<3Q", body)
    if length > len(body) - 24:
        raise ValueError("the program's name is longer than its record")
    memory = _memory(body, 24 + (length + 7) // 8 * 8)
    argv, env = (_strings(memory, at) for at in (args_at, env_at))
    return Started(*who, body[24 : 24 + length].decode(errors="replace"), argv, env, env_at)


def _strings(memory: Memory, at: int) -> tuple[bytes, ...]:
    """What lies there one behind the other, each with its NUL."""
    return tuple(memory.piece(at, LONGEST).split(b"\0")[:-1])


def _memory(body: bytes, at: int) -> Memory:
    snippets = []
    while at < len(body):
        address, length, _ = SNIPPET.unpack_from(body, at)
        at += SNIPPET.size
        if at + length > len(body):
            raise ValueError("a snippet is longer than its record")
        snippets.append((address, body[at : at + length]))
        at += -(-length // 8) * 8
    return Memory(snippets)


def _word(body: bytes) -> int:
    (value,) = struct.unpack_from("<Q", body)
    return int(value)


def _text(body: bytes) -> str:
    return body.rstrip(b"\0").decode(errors="replace")
