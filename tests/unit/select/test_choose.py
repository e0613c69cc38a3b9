"""The choice of calls: analysis, trace, margins, the user's own words."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.errors import CompatError
from compat.reach.model import CallUse, Certainty, Reach, Unresolved
from compat.select.choose import ALWAYS, choose, expand
from compat.select.model import Margin, SelectRequest
from compat.syscall_table import Call

ROWS = [
    (0, "read", "files", "full"),
    (1, "write", "files", "full"),
    (41, "socket", "sockets", "partial"),
    (42, "connect", "sockets", "partial"),
    (57, "fork", "processes", "missing"),
    (60, "exit", "processes", "full"),
    (39, "getpid", "processes", "full"),
]
TABLE = [Call(nr, name, component, level, "") for nr, name, component, level in ROWS]
ALL = {name for _, name, _, level in ROWS if level != "missing"}


def reach(*numbers: int, **more: object) -> Reach:
    return Reach(calls={nr: CallUse(nr, Certainty.CERTAIN, (), 1) for nr in numbers}, **more)  # type: ignore[arg-type]


def pick(request: SelectRequest, *reaches: Reach) -> tuple[str, set[str], list[str]]:
    method, calls, notes = choose(request, TABLE, lambda _table: reaches)
    return method, set(calls), notes


def test_the_analysis_decides() -> None:
    assert pick(SelectRequest(), reach(0)) == ("analysis", {"read", "exit"}, [])
    assert pick(SelectRequest(), reach(0), reach(1, 57))[1] == {"read", "write", "exit"}


def test_what_cannot_be_followed_keeps_everything() -> None:
    for strange in (
        reach(0, unknown_files={"/lib/x": "packed"}),
        reach(0, unresolved=(Unresolved("/lib/x", "f", 1, "number from memory"),)),
    ):
        method, calls, notes = pick(SelectRequest(), reach(1), strange)
        assert (method, calls) == ("all", ALL)
        assert "/lib/x" in notes[1]


def test_many_reasons_are_cut_short() -> None:
    notes = pick(SelectRequest(), reach(unknown_files={f"/lib/{i}": "packed" for i in range(9)}))[2]
    assert len(notes) == 5
    assert notes[-1] == "and 6 more"


def test_words_of_the_user() -> None:
    assert pick(SelectRequest(include=("@sockets",), exclude=("read",)), reach(0))[1] == {"socket", "connect", "exit"}
    assert pick(SelectRequest(everything=True))[:2] == ("all", ALL)
    assert pick(SelectRequest(everything=True, exclude=("@sockets",)))[1] == ALL - {"socket", "connect"}
    assert "fork" in pick(SelectRequest(include=("fork",)), reach(0))[2][0]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (SelectRequest(include=("sockt",)), "no system call sockt"),
        (SelectRequest(include=("@socket",)), "no component @socket"),
        (SelectRequest(exclude=("exit",)), "cannot be excluded"),
        (SelectRequest(exclude=("@processes",)), "cannot be excluded"),
        (SelectRequest(include=("read",), exclude=("@files",)), "both included and excluded: read"),
    ],
)
def test_words_that_make_no_sense(request_: SelectRequest, message: str) -> None:
    with pytest.raises(CompatError, match=message):
        pick(request_, reach(0))


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(CompatError) as error:
        expand(["sockt"], TABLE)
    assert error.value.hint == "did you mean socket or @sockets?"


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (Margin.NONE, {"socket", "exit"}),
        (Margin.COMPONENT, {"socket", "connect", "exit"}),
        (Margin.REACH, {"socket", "read", "exit"}),
    ],
)
def test_margins_of_a_trace(margin: Margin, expected: set[str], tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("socket(AF_INET, SOCK_STREAM, 0) = 3\n")
    request = SelectRequest(profile=tmp_path / "trace", margin=margin)
    assert pick(request, reach(0)) == ("profile", expected, [])


def test_a_trace_is_no_bound_where_the_analysis_has_none(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("socket(AF_INET, SOCK_STREAM, 0) = 3\nshmfrob() = 0\n")
    request = SelectRequest(profile=tmp_path / "trace", margin=Margin.REACH)
    method, calls, notes = pick(request, reach(unknown_files={"/lib/x": "packed"}))
    assert (method, calls) == ("all", ALL)
    assert "shmfrob" in notes[0]


def test_the_analysis_is_not_asked_in_vain(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text("read(0, 1, 2) = 2\n")

    def never(_table: object) -> list[Reach]:
        raise AssertionError

    for request in (SelectRequest(everything=True), SelectRequest(profile=tmp_path / "trace")):
        choose(request, TABLE, never)


def test_what_every_program_needs_is_in_the_real_table() -> None:
    from compat.syscall_table import read_table

    table = read_table(Path(__file__).parents[3] / "syscall_shim" / "syscalls.toml")
    assert {call.name for call in table} >= ALWAYS
