"""Configuration records: the blob that tells the kernel what to run.

The contract is `monitor/boot_abi/src/config.rs`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

MAGIC = b"CPTCFG1\0"
# Flag of the STREAMS record: stdout and stderr are the same file.
SAME_OUTPUT = 1


class Tag(IntEnum):
    EXE = 1
    ARG = 2
    ENV = 3
    CWD = 4
    HOSTNAME = 5
    IDS = 6
    STREAMS = 7
    SEED = 8
    ARG0 = 9
    UMASK = 10
    CLEAR_ENV = 11
    NET = 12
    # The monitor adds them.
    STDIN_FILE = 13
    TRACE = 16


class Stream(IntEnum):
    CLOSED = 0
    PIPE = 1
    FILE = 2
    NULL = 3
    TTY = 4
    SOCKET = 5


@dataclass(frozen=True, slots=True)
class BootConfig:
    """What a blob can say; an absent field leaves the choice to the blob below it, or to the kernel."""

    exe: str | None = None
    arg0: str | None = None
    args: Sequence[str] = ()
    env: Sequence[str] = ()
    cwd: str | None = None
    hostname: str | None = None
    # Words as `monitor/boot_abi/src/netconf.rs` tells; without it there is only the loopback interface.
    net: str | None = None
    seed: bytes | None = None
    umask: int | None = None
    streams: tuple[Stream, Stream, Stream] | None = None
    same_output: bool = False
    window: tuple[int, int] = field(default=(0, 0))


def encode(config: BootConfig) -> bytes:
    """The blob for a configuration."""
    return MAGIC + b"".join(_record(tag, data) for tag, data in _records(config))


def decode(blob: bytes) -> list[tuple[int, bytes]]:
    """The records of a blob, for tests and for showing an image. A malformed blob is a ValueError."""
    if not blob.startswith(MAGIC):
        raise ValueError("no configuration blob")
    records, offset = [], len(MAGIC)
    while offset + 8 <= len(blob):
        tag, length = struct.unpack_from("<II", blob, offset)
        data = blob[offset + 8 : offset + 8 + length]
        if len(data) != length:
            raise ValueError(f"record {tag} at {offset} is cut off")
        records.append((tag, data))
        offset += 8 + -(-length // 8) * 8
    return records


def _records(config: BootConfig) -> Iterable[tuple[Tag, bytes]]:
    texts = (
        (Tag.EXE, config.exe),
        (Tag.ARG0, config.arg0),
        (Tag.CWD, config.cwd),
        (Tag.HOSTNAME, config.hostname),
        (Tag.NET, config.net),
    )
    for tag, text in texts:
        if text is not None:
            yield tag, _bytes(text)
    for argument in config.args:
        yield Tag.ARG, _bytes(argument)
    for pair in config.env:
        yield Tag.ENV, _bytes(pair)
    if config.streams is not None:
        flags = SAME_OUTPUT if config.same_output else 0
        yield Tag.STREAMS, struct.pack("<4BHH", *config.streams, flags, *config.window)
    if config.seed is not None:
        yield Tag.SEED, config.seed
    if config.umask is not None:
        yield Tag.UMASK, struct.pack("<I", config.umask)


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _record(tag: Tag, data: bytes) -> bytes:
    return struct.pack("<II", tag, len(data)) + data + bytes(-len(data) % 8)
