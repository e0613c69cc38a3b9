"""Which system calls an image gets."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence

from compat.errors import CompatError
from compat.profile import read_profile
from compat.reach.model import Reach
from compat.select.model import Margin, SelectRequest
from compat.select.starts import needed_names, with_fork
from compat.syscall_table import Call

# Ends and signal returns belong to every program, whatever was seen of it; a signal may interrupt any sleep.
ALWAYS = frozenset({"exit", "exit_group", "restart_syscall", "rt_sigreturn"})


Analyse = Callable[[Sequence[Call]], Sequence[Reach]]
"""From the table of system calls to what each program of the image reaches."""


def choose(request: SelectRequest, table: Sequence[Call], analyse: Analyse) -> tuple[str, frozenset[str], list[str]]:
    """The method, the chosen calls that have handlers, and notes. `analyse` is asked only if it matters."""
    handlers = frozenset(call.name for call in table if call.has_handler)
    include = expand(request.include, table)
    exclude = expand(request.exclude, table)
    _check(include, exclude)
    method, names, notes = _base(request, table, analyse)
    chosen = ((handlers if names is None else names) | include | ALWAYS) - exclude
    missing = sorted(include - handlers)
    if missing:
        notes.append(f"not implemented, so not included: {', '.join(missing)}")
    return method, chosen & handlers, notes


def expand(words: Iterable[str], table: Sequence[Call]) -> frozenset[str]:
    """Names of calls from names and `@component`."""
    names = {call.name for call in table}
    components = {f"@{call.component}" for call in table}
    found: set[str] = set()
    for word in words:
        if word in components:
            found |= {call.name for call in table if f"@{call.component}" == word}
        elif word in names:
            found.add(word)
        else:
            what = "component" if word.startswith("@") else "system call"
            raise CompatError(f"there is no {what} {word}", _suggestion(word, names | components))
    return frozenset(found)


def _suggestion(word: str, known: set[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=3)
    return f"did you mean {' or '.join(close)}?" if close else "compat syscalls lists them"


def _check(include: frozenset[str], exclude: frozenset[str]) -> None:
    needed = sorted(exclude & ALWAYS)
    if needed:
        raise CompatError(f"every image needs {', '.join(needed)}: it cannot be excluded")
    both = sorted(include & exclude)
    if both:
        raise CompatError(f"both included and excluded: {', '.join(both)}")


def _base(
    request: SelectRequest, table: Sequence[Call], analyse: Analyse
) -> tuple[str, frozenset[str] | None, list[str]]:
    """None: all of them."""
    if request.everything:
        return "all", None, []
    if request.profile is None:
        names, notes = _reached(table, analyse(table))
        return ("analysis" if names is not None else "all"), names, notes
    made = with_fork(frozenset(read_profile(request.profile)))
    known = {call.name: call for call in table}
    strange = sorted(made - known.keys())
    notes = [f"the trace names calls that Linux does not have: {', '.join(strange)}"] if strange else []
    if request.margin is Margin.COMPONENT:
        used = {known[name].component for name in made & known.keys()}
        made |= {call.name for call in table if call.component in used}
    elif request.margin is Margin.REACH:
        names, more = _reached(table, analyse(table))
        notes += more
        if names is None:
            return "all", None, notes
        made |= names
    return "profile", made, notes


def _reached(table: Sequence[Call], reaches: Sequence[Reach]) -> tuple[frozenset[str] | None, list[str]]:
    notes: list[str] = []
    for reach in reaches:
        notes += [f"not followed: {path}: {reason}" for path, reason in sorted(reach.unknown_files.items())]
        notes += [f"not resolved: {site.file} {site.function}: {site.reason}" for site in reach.unresolved]
    if notes:
        shown = [*notes[:3], *([f"and {len(notes) - 3} more"] if len(notes) > 3 else [])]
        return None, ["every call is kept, since the program may make calls that the analysis does not see", *shown]
    return frozenset[str]().union(*(needed_names(reach, table) for reach in reaches)), []
