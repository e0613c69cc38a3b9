"""From what a program reaches to what to expect of it.

A reachable call that is missing does not mean that the program fails: the static set is larger than what runs, and most
programs take another way when a call fails. So two things are weighed: whether a program can do without the call (the
table's `essential` says what it cannot do then), and how near the program's own start the call stands.

- `will not run`: an essential call is missing, and the program's main function makes it, by the C library at most: to
  make it is what the program is for (`strace`).
- `probably runs`: an essential call is missing but further away, so that a part of what the program can do fails; or
  there is code, other than the C library's, that cannot be followed and might need anything.
- `runs`: all else. Missing calls that are not essential do not change it.

The dynamic linker's and the C library's own start does not count: it is the same for all programs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from compat.reach.model import Certainty, Reach, Step
from compat.report.model import Need, Reason, Verdict, Word

# Entry and main.
NEAR = 2
# A program that forks, but certainly starts no other program, goes into the background if it is told to.
FORKS = frozenset({"fork", "vfork", "clone"})
EXECS = frozenset({"execve", "execveat"})
C_LIBRARY = re.compile(r"(ld-linux-x86-64|ld-musl-x86_64|libc|libc\.musl-x86_64)\.so(\.\d+)*")


@dataclass(frozen=True, slots=True)
class Blocker:
    """An essential call, or part of one, that is not covered."""

    need: Need
    what: str
    essential: str

    @property
    def is_certain(self) -> bool:
        return self.need.certainty is Certainty.CERTAIN

    @property
    def is_near(self) -> bool:
        return self.is_certain and is_near(self.need.path)

    @property
    def order(self) -> tuple[bool, bool, int]:
        """What to tell first: what is sure, then other processes, which programs miss most, then what is near."""
        return not self.is_certain, "process" not in self.essential, len(self.need.path)


def is_near(path: Sequence[Step]) -> bool:
    """Whether the program's own code, near its entry, makes the call: no library but C's decides about it."""
    own = [step for step in path if step.file == path[0].file]
    others = {step.file for step in path} - {path[0].file}
    return 0 < len(own) <= NEAR and all(map(is_c_library, others))


def is_c_library(file: str) -> bool:
    return C_LIBRARY.fullmatch(os.path.basename(file)) is not None


def judge(needs: Iterable[Need], reach: Reach) -> Verdict:
    """The verdict over all that a program reaches."""
    blockers = [blocker for need in needs if _is_of_program(need) for blocker in _blockers(need)]
    starts = any(blocker.need.call.name in EXECS and blocker.is_certain for blocker in blockers)
    near = [blocker for blocker in blockers if blocker.is_near and (starts or blocker.need.call.name not in FORKS)]
    if near:
        return Verdict(Word.FAILS, tuple(_reasons(near)))
    reasons = [*_reasons(blockers), *_doubts(reach)]
    return Verdict(Word.PROBABLY if reasons else Word.RUNS, tuple(reasons))


def _is_of_program(need: Need) -> bool:
    return not need.path or not all(is_c_library(step.file) for step in need.path)


def _blockers(need: Need) -> Iterator[Blocker]:
    if need.is_uncovered and need.call.essential:
        yield Blocker(need, need.call.name, need.call.essential)
    for part in need.uncovered_parts:
        if part.value.essential:
            yield Blocker(need, f"{need.call.name} {part.value.name}", part.value.essential)


def _reasons(blockers: Iterable[Blocker]) -> Iterator[Reason]:
    """One reason for each thing that the program cannot do, with the calls for it."""
    grouped: dict[str, list[Blocker]] = {}
    for blocker in sorted(blockers, key=lambda blocker: blocker.order):
        grouped.setdefault(blocker.essential, []).append(blocker)
    for essential, group in grouped.items():
        names = ", ".join(dict.fromkeys(blocker.what for blocker in group))
        calls = tuple(dict.fromkeys(blocker.need.call.name for blocker in group))
        yield Reason(f"it cannot {essential} ({names})", calls, group[0].need.path)


def plural(count: int, noun: str) -> str:
    return f"one {noun}" if count == 1 else f"{count} {noun}s"


def _doubts(reach: Reach) -> Iterator[Reason]:
    unresolved = [site for site in reach.unresolved if not is_c_library(site.file)]
    if unresolved:
        yield Reason(f"at {plural(len(unresolved), 'place')} in its code it is not known which system call is made")
    for path, why in reach.unknown_files.items():
        yield Reason(f"{path} could not be followed ({why})")
