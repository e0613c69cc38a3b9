"""Numbers by their names. The tables are made by the build (`compat/_constants.py`)."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from compat import native

# The C library has these, the kernel's headers have them only in enumerations of one architecture, or not at all.
EXTRA = {
    "SOCK_NONBLOCK": 0o4000,
    "SOCK_CLOEXEC": 0o2000000,
    "SFD_NONBLOCK": 0o4000,
    "SFD_CLOEXEC": 0o2000000,
    "MSG_NOSIGNAL": 0x4000,
    "ARCH_SET_GS": 0x1001,
    "ARCH_SET_FS": 0x1002,
    "ARCH_GET_FS": 0x1003,
    "ARCH_GET_GS": 0x1004,
    "ARCH_CET_STATUS": 0x3001,
    "ARCH_GET_CPUID": 0x1011,
    "ARCH_SET_CPUID": 0x1012,
    "SOL_TCP": 6,
    "SOL_UDP": 17,
    "SOL_SOCKET": 1,
    "PR_SET_VMA": 0x53564D41,
    "RSEQ_FLAG_UNREGISTER": 1,
    "CLOSE_RANGE_UNSHARE": 2,
    "CLOSE_RANGE_CLOEXEC": 4,
}
# How the kernel says that a call is to be started again; no errno of the headers for programs.
RESTARTS = {
    512: ("ERESTARTSYS", "To be restarted if SA_RESTART is set"),
    513: ("ERESTARTNOINTR", "To be restarted"),
    514: ("ERESTARTNOHAND", "To be restarted if no handler"),
    516: ("ERESTART_RESTARTBLOCK", "Interrupted by signal"),
}
REALTIME_FIRST, SIGNAL_MAX = 32, 64


@cache
def constants() -> dict[str, int]:
    with native.native_file(native.CONSTANTS).open(encoding="utf-8") as file:
        names: dict[str, int] = json.load(file)
    return {**names, **EXTRA}


@dataclass(frozen=True)
class Family:
    """Constants that belong together: those that match `pattern` and not `without`."""

    pattern: str
    without: str = "(?!)"
    # Bits that are one number and no flags.
    field: int = 0
    # What nothing is called, in all and in the field.
    zero: str = "0"
    zero_field: str = ""

    def members(self) -> Iterable[tuple[str, int]]:
        wanted, unwanted = re.compile(self.pattern), re.compile(self.without)
        for name, value in constants().items():
            if wanted.fullmatch(name) and not unwanted.fullmatch(name):
                yield name, value


@cache
def _names(family: Family) -> dict[int, str]:
    """By value, the shortest name where there are several."""
    names: dict[int, str] = {}
    for name, value in sorted(family.members(), key=lambda member: (len(member[0]), member[0])):
        names.setdefault(value & 0xFFFFFFFF, name)
    return names


@cache
def _flags(family: Family) -> list[tuple[int, str]]:
    """Bits above the field. What consists of several comes first."""
    rows = [(value, name) for value, name in _names(family).items() if value & ~family.field]
    return sorted(rows, key=lambda row: (-row[0].bit_count(), row[0]))


def name_of(family: Family, value: int, unknown: str = "{:#x}") -> str:
    return _names(family).get(value & 0xFFFFFFFF) or unknown.format(value)


def flags_of(family: Family, value: int) -> str:
    """`A|B|0x40`."""
    value &= 0xFFFFFFFFFFFFFFFF
    words: list[tuple[int, str]] = []
    if family.field:
        words.append((0, _names(family).get(value & family.field) or family.zero_field or hex(value & family.field)))
        value &= ~family.field
    for bits, name in _flags(family):
        if bits and value & bits == bits:
            words.append((bits, name))
            value &= ~bits
    shown = [name for _, name in sorted(words)]
    if value:
        shown.append(f"{value:#x}")
    return "|".join(shown) or family.zero


@cache
def errno_names() -> dict[int, str]:
    restarts = {number: name for number, (name, _) in RESTARTS.items()}
    # The kernel's name for what the C library also calls ENOTSUP.
    return {**errno.errorcode, errno.EOPNOTSUPP: "EOPNOTSUPP", **restarts}


def errno_text(number: int) -> str:
    """What strace puts into brackets."""
    return RESTARTS[number][1] if number in RESTARTS else os.strerror(number)


def signal_name(number: int) -> str:
    """`SIGINT`, `SIGRT_3`; strace's names, in which glibc's two signals count as real-time ones."""
    if number > SIGNAL_MAX:
        return str(number)
    if number >= REALTIME_FIRST:
        return f"SIGRT_{number - REALTIME_FIRST}" if number > REALTIME_FIRST else "SIGRTMIN"
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
