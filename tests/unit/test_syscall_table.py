"""The table of system calls, as the tools read it: parts of calls above all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compat.errors import InternalError
from compat.syscall_table import read_parts, read_table

TABLE = Path(__file__).parents[2] / "syscall_shim" / "syscalls.toml"


def names(kind: str, number: int) -> list[tuple[str, str]]:
    return [(value.name, value.level) for value in read_parts(TABLE)[kind].judge(number)]


def test_a_value_stands_for_itself() -> None:
    assert names("fcntl.cmd", 1) == [("F_GETFD", "full")]
    assert names("ioctl.request", 0x7FFFFFFF) == [("0x7fffffff", "missing")]


def test_a_mask_hides_what_does_not_select() -> None:
    assert names("futex.op", 128 + 256 + 9) == [("FUTEX_WAIT_BITSET", "full")]
    assert names("socket.type", 0o2004000 + 1) == [("SOCK_STREAM", "full")]


def test_flags_count_one_by_one() -> None:
    assert dict(names("mmap.flags", 0x100022)) == dict.fromkeys(
        ("MAP_FIXED_NOREPLACE", "MAP_ANONYMOUS", "MAP_PRIVATE"), "full"
    )
    assert ("0x80000000", "missing") in names("unshare.flags", 0x80000200)


def test_without_a_required_flag_it_is_another_call() -> None:
    parts = read_parts(TABLE)
    fork = next(call for call in read_table(TABLE) if call.name == "fork")
    # What the C libraries' fork(3) passes, and pthread_create(3).
    child = {value.name: value for value in parts["clone.flags"].judge(0x1200011)}
    assert child["as fork"].level == fork.level
    assert child["as fork"].essential == fork.essential
    assert "as fork" not in dict(names("clone.flags", 0x3D0F00))


def test_essential_calls_are_those_that_few_can_do_without() -> None:
    essential = {call.name for call in read_table(TABLE) if call.essential}
    assert {"fork", "execve", "mount"} <= essential
    assert not essential & {"read", "futex_waitv", "io_uring_setup", "landlock_create_ruleset"}


@pytest.mark.parametrize("read", [read_table, read_parts])
@pytest.mark.parametrize("text", ["[[call]\n", "[[call]]\nnr = 1\n", "[[part]]\n"])
def test_a_damaged_table(read: Callable[[Path], object], text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text(text)
    with pytest.raises(InternalError):
        read(path)
