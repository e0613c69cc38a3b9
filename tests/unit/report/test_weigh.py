"""What is reached, beside the table."""

from __future__ import annotations

from collections import Counter

from compat.reach.model import Detail
from compat.report.weigh import weigh
from tests.unit.report.samples import FCNTL, HARMLESS, TABLE, reach, use

SETSOCKOPT = 54
SOL_SOCKET, SOL_TCP = 1, 6


def parts(nr: int, *details: tuple[str, int]) -> list[tuple[str, str]]:
    needs, _ = weigh(reach(use(nr, "main", details=tuple(Detail(*detail) for detail in details))), TABLE)
    return [(part.value.name, part.value.level) for part in needs[0].parts]


def test_parts_by_either_name() -> None:
    expected = [("F_GETFD", "full"), ("F_NOTIFY", "missing")]
    for kind in ("fcntl.cmd", "fcntl.command"):
        assert parts(FCNTL, (kind, 1), (kind, 1026)) == expected
    assert parts(FCNTL, ("fcntl.arg", 1)) == []


def test_an_option_of_a_socket_goes_with_a_level() -> None:
    # 9 is SO_KEEPALIVE or TCP_DEFER_ACCEPT; 23 is TCP_FASTOPEN, and nothing of SOL_SOCKET that is listed.
    level, option = "setsockopt.level", "setsockopt.option"
    assert parts(SETSOCKOPT, (level, SOL_SOCKET), (option, 9)) == [("SO_KEEPALIVE", "full")]
    assert parts(SETSOCKOPT, (level, SOL_TCP), (option, 23)) == [("TCP_FASTOPEN", "missing")]
    assert ("TCP_FASTOPEN", "missing") in parts(SETSOCKOPT, (level, SOL_SOCKET), (level, SOL_TCP), (option, 23))
    assert parts(SETSOCKOPT, (option, 9)) == []


def test_numbers_that_linux_does_not_have() -> None:
    needs, _ = weigh(reach(use(5000, "main")), TABLE)
    assert (needs[0].call.name, needs[0].call.level) == ("number 5000", "missing")


def test_a_trace_beside_the_analysis() -> None:
    needs, beyond = weigh(reach(*HARMLESS), TABLE, Counter({"read": 3, "uname": 1, "accept": 2}))
    assert {need.call.name: need.used for need in needs} == {"read": 3, "write": 0}
    assert beyond == {"accept": 2, "uname": 1}
