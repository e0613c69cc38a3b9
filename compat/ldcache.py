"""The dynamic linker's cache: library name to path, for x86-64. Format: glibc's `sysdeps/generic/dl-cache.h`."""

from __future__ import annotations

import os
import struct

MAGIC_OLD = b"ld.so-1.7.0"
MAGIC_NEW = b"glibc-ld.so.cache1.1"
# FLAG_X8664_LIB64 | FLAG_ELF_LIBC6
X86_64_LIBC6 = 0x0303

_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")


def parse_cache(data: bytes) -> dict[str, str]:
    """Entries for this machine without special hardware needs; a malformed cache gives what could be read."""
    start = data.find(MAGIC_NEW)
    libraries: dict[str, str] = {}
    if start < 0 or len(data) < start + _HEADER.size:
        return libraries
    count = _HEADER.unpack_from(data, start)[1]
    for index in range(count):
        at = start + _HEADER.size + index * _ENTRY.size
        if at + _ENTRY.size > len(data):
            break
        flags, key, value, _, hwcap = _ENTRY.unpack_from(data, at)
        if flags != X86_64_LIBC6 or hwcap:
            continue
        name, path = _text(data, start + key), _text(data, start + value)
        if name and path:
            libraries.setdefault(name, path)
    return libraries


def read_cache(path: str = "/etc/ld.so.cache") -> dict[str, str]:
    """The host's cache; without one, nothing."""
    try:
        with open(path, "rb") as file:
            return parse_cache(file.read())
    except OSError:
        return {}


def _text(data: bytes, at: int) -> str:
    end = data.find(b"\0", at)
    return os.fsdecode(data[at:end]) if 0 <= at < end else ""
