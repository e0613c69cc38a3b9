"""Makes the records that a kernel would write."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from compat.trace.calls import table
from compat.trace.records import ENDED, ENTER, EXIT, FROM_START, SIGNAL, SITE, STARTED

SECOND = 1_000_000_000


def number(name: str) -> int:
    return next(nr for nr, row in table().items() if row.name == name)


def record(kind: int, body: bytes, *, tid: int = 1, flags: int = 0, time: int = SECOND) -> bytes:
    body += bytes(-len(body) % 8)
    return struct.pack("<IBBHiiQ", 24 + len(body), kind, flags, 0, tid, 1, time) + body


def snippets(memory: dict[int, bytes]) -> bytes:
    return b"".join(
        struct.pack("<QII", address, len(data), 0) + data + bytes(-len(data) % 8) for address, data in memory.items()
    )


def enter(
    name: str, *args: int, tid: int = 1, memory: dict[int, bytes] | None = None, trapped: bool = False, site: int = 9
) -> bytes:
    words = [arg & (1 << 64) - 1 for arg in (*args, *[0] * (6 - len(args)))]
    body = struct.pack("<8Q", number(name), site, *words) + snippets(memory or {})
    return record(ENTER, body, tid=tid, flags=int(trapped))


def leave(name: str, result: int, *, tid: int = 1, memory: dict[int, bytes] | None = None, took: int = 1000) -> bytes:
    return record(EXIT, struct.pack("<QqQ", number(name), result, took) + snippets(memory or {}), tid=tid)


def signal(number_: int, *, code: int = 0, pid: int = 7, tid: int = 1) -> bytes:
    return record(SIGNAL, struct.pack("<iiiiii", number_, 0, code, 0, pid, 0).ljust(128, b"\0"), tid=tid)


def ended(status: int, *, tid: int = 1, whole: bool = True) -> bytes:
    return record(ENDED, struct.pack("<Q", status), tid=tid, flags=int(whole))


def site(address: int, where: str) -> bytes:
    return record(SITE, struct.pack("<Q", address) + where.encode())


def started(program: str) -> bytes:
    return record(STARTED, program.encode())


def started_with(
    program: str, argv: Sequence[str], env: Sequence[str], *, args_at: int = 64, env_at: int = 4096
) -> bytes:
    """As the program begins."""
    name = program.encode()
    blocks = {at: b"".join(word.encode() + b"\0" for word in words) for at, words in ((args_at, argv), (env_at, env))}
    head = struct.pack("<3Q", len(name), args_at, env_at) + name + bytes(-len(name) % 8)
    return record(STARTED, head + snippets({at: block for at, block in blocks.items() if block}), flags=FROM_START)


def stream(parts: Sequence[bytes]) -> bytes:
    return b"".join(parts)
