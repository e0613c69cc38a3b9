"""`-e`."""

from __future__ import annotations

import pytest

from compat.errors import CompatError
from compat.trace.calls import table
from compat.trace.filters import Wanted


def names(*expressions: str) -> set[str]:
    numbers = Wanted(expressions).numbers
    return {table()[nr].name for nr in (numbers if numbers is not None else table())}


def test_names_classes_and_patterns_add_up() -> None:
    assert names("open,close", "trace=read") == {"open", "close", "read"}
    assert {"openat", "execve", "newfstatat", "statfs"} <= names("%file")
    assert not {"read", "memfd_create", "fgetxattr"} & names("%file")
    assert {"read", "epoll_wait", "pipe2"} <= names("%desc")
    assert "socketpair" in names("%network")
    assert "mmap" in names("%memory")
    assert "rt_sigaction" in names("%signal")
    assert names("/^epoll_w") == {"epoll_wait", "epoll_wait_old"}
    assert names("?nothing,read") == {"read"}


def test_an_exclamation_mark_inverts() -> None:
    assert names("!futex,%file") == names("all") - {"futex"} - names("%file")
    assert names("%file", "!open") == names("%file") - {"open"}
    assert names("none") == set()


def test_signals() -> None:
    assert Wanted(["signal=none"]).numbers is None
    assert not Wanted(["signal=none"]).signals
    assert Wanted([]).signals


@pytest.mark.parametrize("bad", ["nothing", "%nothing", "/(", "write=3", ""])
def test_mistakes_are_named(bad: str) -> None:
    with pytest.raises(CompatError, match="-e"):
        Wanted([bad])


def test_the_kernel_is_told_by_bits() -> None:
    assert Wanted([]).settings(32) == "32 all"
    # read is 0, close 3, fstat 5, mprotect 10.
    assert Wanted(["read,close,fstat,mprotect"]).settings(0) == "0 924"
    longest = Wanted(["!read"]).settings(4096)
    # A line of the control port.
    assert len(f"trace {longest}") < 256
