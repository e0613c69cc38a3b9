"""What an analysis might say of a program, made by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from compat.plans import PlanSummary
from compat.reach.model import CallUse, Certainty, Detail, Reach, Step, Unresolved
from compat.report.model import Chosen, Report, Size
from compat.report.verdict import judge
from compat.report.weigh import weigh

TABLE = Path(__file__).with_name("table.toml")
PROGRAM = "/usr/bin/prog"
LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
READ, WRITE, CLONE, FORK, EXECVE, FCNTL, REBOOT, INOTIFY = 0, 1, 56, 57, 59, 72, 169, 253


def path(*functions: str, library: str = LIBC, last: str = "") -> tuple[Step, ...]:
    """The program's functions, then one of a library."""
    steps = [Step(PROGRAM, function) for function in functions]
    return (*steps, Step(library, last)) if last else tuple(steps)


def use(
    nr: int,
    *functions: str,
    last: str = "wrapper",
    certainty: Certainty = Certainty.CERTAIN,
    details: tuple[Detail, ...] = (),
) -> CallUse:
    return CallUse(nr, certainty, path(*functions, last=last), 1, details)


def reach(*uses: CallUse, unresolved: int = 0, unknown: tuple[str, ...] = ()) -> Reach:
    sites = tuple(Unresolved(LIBC, f"sub_{at:x}", at, "the number is loaded from memory") for at in range(unresolved))
    return Reach({use.nr: use for use in uses}, sites, dict.fromkeys(unknown, "it is packed"))


HARMLESS = (use(READ, "_start", "main", last="read"), use(WRITE, "_start", "main", "say", last="write"))


def report(*, trace: Counter[str] | None = None, analysis: Reach | None = None) -> Report:
    """A shell of a kind: it needs what is missing, and has code that cannot be followed."""
    details = (Detail("clone.flags", 0x1200011),)
    analysis = analysis or reach(
        *HARMLESS,
        use(CLONE, "_start", "main", "loop", "run", last="fork", details=details),
        use(FCNTL, "_start", "main", details=(Detail("fcntl.cmd", 2), Detail("fcntl.cmd", 1026))),
        use(EXECVE, "_start", "main", "loop", "run", certainty=Certainty.OVER_APPROXIMATE, last="execve"),
        use(REBOOT, "_start", "main", "loop", "quit", certainty=Certainty.OVER_APPROXIMATE, last='<reboot> & "more"'),
        unresolved=1,
    )
    needs, beyond = weigh(analysis, TABLE, trace)
    return Report(
        program="prog",
        path=PROGRAM,
        verdict=judge(needs, analysis),
        files=(PROGRAM, LIBC),
        needs=needs,
        unresolved=analysis.unresolved,
        unknown_files=analysis.unknown_files,
        plans=PlanSummary(
            files=2,
            found=9,
            patched=7,
            left=2,
            by_technique=Counter({"mov": 5, "hop": 2}),
            left_by_reason=Counter({"rt_sigreturn": 2}),
        ),
        size=Size(1 << 20, 3 << 20, 4096, 17),
        chosen=Chosen(5, 200, ("files", "processes"), ("sockets",), ("a note",)),
        beyond=beyond,
    )
