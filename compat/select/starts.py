"""Whether a program starts others: what an image then has to hold besides the calls themselves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from compat.reach.model import CallUse, Reach
from compat.syscall_table import Call

# With one of these every program of the image may come to run.
STARTERS = frozenset({"execve", "execveat"})
# What posix_spawn(3) and fork(3) come down to; with it the kernel has processes.
FORK = "fork"
FORKS = frozenset({FORK, "vfork"})
WAITS = frozenset({"wait4", "waitid"})
CLONE_THREAD = 0x10000
# It runs another program only where it is started itself as one: `ld.so --argv0 x program`.
DYNAMIC_LINKER = re.compile(r"(ld-linux-x86-64|ld-musl-x86_64)\.so(\.\d+)*")


def starts_programs(reach: Reach, table: Sequence[Call]) -> bool:
    """Whether the program, and not only the dynamic linker in it, can call execve(2)."""
    return any(use.nr in reach.calls and not _is_of_linker(reach.calls[use.nr]) for use in _rows(STARTERS, table))


def needed_names(reach: Reach, table: Sequence[Call]) -> frozenset[str]:
    """Names of the calls that the program reaches, with what stands behind some of them."""
    names = {call.name for call in table if call.nr in reach.calls}
    if not starts_programs(reach, table):
        names -= STARTERS
    clone = [reach.calls[call.nr] for call in _rows(frozenset({"clone"}), table) if call.nr in reach.calls]
    # Flags that are no constants are the C library's: pthread_create(3), or posix_spawn(3), which calls execve(2) too.
    forks = any(
        detail.kind == "clone.flags" and not detail.value & CLONE_THREAD for use in clone for detail in use.details
    )
    return frozenset(names | ({FORK} if forks or names & (STARTERS | FORKS) else set()))


def with_fork(made: frozenset[str]) -> frozenset[str]:
    """The calls of a trace, and `fork` where clone(2) was that: children were waited for, programs started."""
    return made | {FORK} if made & (STARTERS | FORKS | WAITS) else made


def _is_of_linker(use: CallUse) -> bool:
    files = {os.path.basename(step.file) for step in use.path}
    return use.sites == 1 and len(files) > 0 and all(map(DYNAMIC_LINKER.fullmatch, files))


def _rows(names: Iterable[str], table: Sequence[Call]) -> list[Call]:
    return [call for call in table if call.name in names]
