"""Which programs make pseudo-terminals."""

from __future__ import annotations

import pytest

from compat.reach.model import CallUse, Certainty, Detail, Reach
from compat.select.terminals import uses_ptys
from compat.syscall_table import Call

TABLE = [Call(16, "ioctl", "files", "full", ""), Call(1, "write", "files", "full", "")]
LIBRARY = "/lib/x86_64-linux-gnu/libc.so.6"


def reach(*requests: int, paths: dict[str, tuple[str, ...]] | None = None) -> Reach:
    details = tuple(Detail("ioctl.request", request) for request in requests)
    return Reach(calls={16: CallUse(16, Certainty.CERTAIN, (), 1, details)}, paths=paths or {})


@pytest.mark.parametrize("request_", [0x40045431, 0x80045430, 0x5441])
def test_a_request_of_a_pseudo_terminal_tells(request_: int) -> None:
    assert uses_ptys(reach(0x5401, request_), TABLE)
    assert not uses_ptys(reach(0x5401), TABLE)


def test_a_device_that_the_program_names_itself_tells() -> None:
    name = ("/dev/null", "/dev/ptmx")
    assert uses_ptys(reach(paths={"/bin/program": name}), TABLE)
    assert not uses_ptys(reach(paths={LIBRARY: name, "/bin/program": ("/dev/null",)}), TABLE)
    assert not uses_ptys(Reach(calls={}, paths={"/bin/program": name}), TABLE)
