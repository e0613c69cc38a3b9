"""From what is reached to the verdict."""

from __future__ import annotations

import pytest

from compat.reach.model import Certainty, Reach, Step, Unresolved
from compat.report.model import Need, Verdict, Word
from compat.report.verdict import judge
from compat.syscall_table import Call
from tests.unit.report.samples import EXECVE, FORK, HARMLESS, INOTIFY, READ, path

START = "start other processes"


def verdict(*extra: tuple[Call, Certainty, tuple[str, ...]], analysis: Reach | None = None) -> Verdict:
    needs = [Need(Call(READ, "read", "files", "full", ""), Certainty.CERTAIN, 1, path("_start", "main", last="read"))]
    for call, certainty, functions in extra:
        needs.append(Need(call, certainty, 1, path(*functions, last=call.name)))
    return judge(needs, analysis or Reach({use.nr: use for use in HARMLESS}))


def missing(name: str, essential: str = "", level: str = "missing") -> Call:
    return Call({"fork": FORK, "execve": EXECVE}.get(name, INOTIFY), name, "processes", level, "note", essential)


def test_all_covered_runs() -> None:
    assert verdict().word is Word.RUNS
    assert verdict().line == "runs"


@pytest.mark.parametrize("level", ["missing", "refused"])
def test_calls_that_programs_can_do_without_change_nothing(level: str) -> None:
    assert verdict((missing("futex_waitv", level=level), Certainty.CERTAIN, ("_start", "main"))).word is Word.RUNS


def test_an_essential_call_of_main_itself() -> None:
    told = verdict((missing("execve", START), Certainty.CERTAIN, ("_start", "main")))
    assert told.line == "will not run: it cannot start other processes (execve)"
    assert [step.function for step in told.reasons[0].path] == ["_start", "main", "execve"]


def test_a_fork_in_main_may_lead_into_the_background() -> None:
    near = (missing("fork", START), Certainty.CERTAIN, ("_start", "main"))
    assert verdict(near).word is Word.PROBABLY
    maybe = (missing("execve", START), Certainty.OVER_APPROXIMATE, ("_start", "main"))
    assert verdict(near, maybe).word is Word.PROBABLY
    surely = (missing("execve", START), Certainty.CERTAIN, ("_start", "main", "other", "run"))
    assert verdict(near, surely).word is Word.FAILS


@pytest.mark.parametrize(
    ("certainty", "functions"),
    [
        (Certainty.OVER_APPROXIMATE, ("_start", "main")),
        (Certainty.UNKNOWN, ("_start", "main")),
        (Certainty.CERTAIN, ("_start", "main", "run")),
    ],
)
def test_an_essential_call_further_away(certainty: Certainty, functions: tuple[str, ...]) -> None:
    told = verdict((missing("fork", START), certainty, functions))
    assert told.line == "probably runs, but it cannot start other processes (fork)"


def test_one_reason_for_calls_of_one_purpose() -> None:
    far = ("_start", "main", "loop", "command", "run")
    told = verdict((missing("fork", START), Certainty.CERTAIN, far), (missing("execve", START), Certainty.CERTAIN, far))
    assert [reason.text for reason in told.reasons] == ["it cannot start other processes (fork, execve)"]


def test_what_cannot_be_followed() -> None:
    sites = tuple(Unresolved("/opt/libown.so", "f", at, "why") for at in range(2))
    told = verdict(analysis=Reach({}, sites, {"/opt/packed": "it is packed"}))
    assert told.word is Word.PROBABLY
    assert "at 2 places" in told.line
    assert "(and 1 more)" in told.line
    assert "packed" in told.reasons[1].text


def test_the_c_librarys_own_ways_do_not_count() -> None:
    linker = (Step("/lib64/ld-linux-x86-64.so.2", "rtld"),)
    need = Need(missing("execve", START), Certainty.CERTAIN, 1, linker)
    sites = (Unresolved("/lib/x86_64-linux-gnu/libc.so.6", "setuid", 0, "why"),)
    assert judge([need], Reach({}, sites)).word is Word.RUNS


def test_another_library_decides_about_the_call() -> None:
    way = (*path("_start", "main"), Step("/lib/libpipe.so.1", "start"), Step("/lib/libc.so.6", "fork"))
    need = Need(missing("fork", START), Certainty.CERTAIN, 1, way)
    assert judge([need], Reach({})).word is Word.PROBABLY


def test_what_is_sure_is_told_first() -> None:
    far = ("_start", "main", "loop", "run")
    told = verdict(
        (missing("mount", "mount file systems"), Certainty.OVER_APPROXIMATE, ("a", "b")),
        (missing("fork", START), Certainty.OVER_APPROXIMATE, far),
        (missing("reboot", "restart the machine"), Certainty.CERTAIN, far),
    )
    assert [reason.calls for reason in told.reasons] == [("reboot",), ("fork",), ("mount",)]
