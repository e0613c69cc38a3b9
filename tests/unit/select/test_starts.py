"""Which programs start others."""

from __future__ import annotations

import pytest

from compat.reach.model import CallUse, Certainty, Detail, Reach, Step
from compat.select.starts import needed_names, starts_programs, with_fork
from compat.syscall_table import Call

NAMES = {1: "write", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 61: "wait4", 322: "execveat"}
TABLE = [Call(nr, name, "processes", "full", "") for nr, name in NAMES.items()]
LINKER = Step("/lib64/ld-linux-x86-64.so.2", "sub_1bfc0")
OWN = Step("/bin/sh", "main")


def use(nr: int, *path: Step, sites: int = 1, flags: int | None = None) -> CallUse:
    details = () if flags is None else (Detail("clone.flags", flags),)
    return CallUse(nr, Certainty.CERTAIN, path, sites, details)


def reach(*uses: CallUse) -> Reach:
    return Reach(calls={one.nr: one for one in uses})


@pytest.mark.parametrize("nr", [59, 322])
def test_a_program_that_calls_execve_starts_others(nr: int) -> None:
    assert starts_programs(reach(use(nr, OWN)), TABLE)
    assert starts_programs(reach(use(nr, OWN, LINKER)), TABLE)
    assert starts_programs(reach(use(nr, LINKER, sites=2)), TABLE)
    assert not starts_programs(reach(use(1, OWN)), TABLE)


def test_the_dynamic_linkers_own_execve_does_not_count() -> None:
    linkers = reach(use(59, LINKER, LINKER), use(1, OWN))
    assert not starts_programs(linkers, TABLE)
    assert needed_names(linkers, TABLE) == {"write"}


def test_clone_may_be_fork() -> None:
    assert needed_names(reach(use(56, OWN, flags=0x1200011)), TABLE) == {"clone", "fork"}
    assert needed_names(reach(use(56, OWN, flags=0x3D0F00)), TABLE) == {"clone"}
    # Flags from a structure: pthread_create(3), unless programs are started.
    assert needed_names(reach(use(56, OWN)), TABLE) == {"clone"}
    assert needed_names(reach(use(56, OWN), use(59, OWN)), TABLE) == {"clone", "execve", "fork"}
    assert needed_names(reach(use(58, OWN)), TABLE) == {"vfork", "fork"}


def test_a_trace_tells_a_fork_by_what_goes_with_it() -> None:
    assert with_fork(frozenset({"clone", "wait4"})) == {"clone", "wait4", "fork"}
    assert with_fork(frozenset({"clone", "write"})) == {"clone", "write"}
