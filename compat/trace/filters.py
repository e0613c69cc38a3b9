"""`-e`: which calls are wanted, by strace's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from compat.errors import CompatError
from compat.trace.calls import Row, table

HINT = "names, commas; %file %desc %network %memory %signal %process %ipc %creds %clock; /REGEX; ! before it inverts"
DESCRIPTORS = (
    "epoll_create",
    "epoll_create1",
    "eventfd",
    "eventfd2",
    "pipe",
    "pipe2",
    "timerfd_create",
    "memfd_create",
)
SELECTS = (
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "mmap",
    "inotify_init",
    "inotify_init1",
    "userfaultfd",
    "io_uring_setup",
)
PROCESSES = (
    "exit",
    "exit_group",
    "clone",
    "clone3",
    "fork",
    "vfork",
    "execve",
    "execveat",
    "wait4",
    "waitid",
    "rt_sigqueueinfo",
)
PROCESSES_MORE = ("kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "unshare")
# Paths that are names of something else than files.
NO_FILES = ("memfd_create", "add_key", "request_key", "mq_open", "mq_unlink", "fsopen", "fsconfig", "create_module")


def _has(*types: str) -> Callable[[Row], bool]:
    return lambda row: any(argument.type in types for argument in row.args)


def _file(row: Row) -> bool:
    paths = [argument for argument in row.args if argument.type == "Path" and argument.name != "name"]
    return bool(paths) and row.name not in NO_FILES


def _component(name: str) -> Callable[[Row], bool]:
    return lambda row: row.component == name


CLASSES: dict[str, Callable[[Row], bool]] = {
    "file": _file,
    "desc": lambda row: _has("Fd")(row) or row.name in {*DESCRIPTORS, *SELECTS},
    "network": _component("sockets"),
    "memory": _component("memory"),
    "signal": lambda row: row.component == "signals" or row.name in {"signalfd", "signalfd4", "pause"},
    "process": lambda row: row.name in {*PROCESSES, *PROCESSES_MORE},
    "ipc": _component("ipc"),
    "creds": _component("identity"),
    "clock": lambda row: (
        row.name.startswith("clock_") or row.name in {"gettimeofday", "settimeofday", "time", "adjtimex"}
    ),
    "all": lambda _: True,
}
CLASSES["net"] = CLASSES["network"]


class Wanted:
    """What is to be traced. `numbers`: None means all calls."""

    def __init__(self, expressions: Iterable[str] = ()) -> None:
        self.numbers: frozenset[int] | None = None
        self.signals = True
        for expression in expressions:
            self._add(expression)

    def _add(self, expression: str) -> None:
        key, equals, value = expression.partition("=")
        if not equals:
            key, value = "trace", expression
        if key in {"signal", "signals", "s"}:
            self.signals = value not in {"none", "!all"}
            return
        if key not in {"trace", "t"}:
            raise CompatError(f"-e {expression}: {key} is not supported", HINT)
        invert = value.startswith("!")
        found = frozenset[int]().union(*(_numbers(word) for word in value.removeprefix("!").split(",")))
        if invert:
            everything = frozenset(table()) if self.numbers is None else self.numbers
            self.numbers = everything - found
        else:
            self.numbers = found if self.numbers is None else self.numbers | found

    @property
    def start(self) -> bool:
        """Whether the execve(2) that starts the program is to be shown."""
        return self.numbers is None or not self.numbers.isdisjoint(_numbers("execve"))

    def settings(self, string: int) -> str:
        """The words of `boot_abi::trace::Settings`."""
        if self.numbers is None:
            return f"{string} all"
        digits = [0] * (max(self.numbers, default=0) // 4 + 1)
        for number in self.numbers:
            digits[number // 4] |= 1 << number % 4
        return f"{string} {''.join(f'{digit:x}' for digit in digits)}"


def _numbers(word: str) -> frozenset[int]:
    optional = word.startswith("?")
    word = word.removeprefix("?")
    if word == "none":
        return frozenset()
    if word.startswith("/"):
        pattern = _regex(word[1:])
        return frozenset(nr for nr, row in table().items() if pattern.search(row.name))
    if word.startswith("%") or word == "all":
        test = CLASSES.get(word.removeprefix("%"))
        if test is None:
            raise CompatError(f"-e {word}: no such class", HINT)
        return frozenset(nr for nr, row in table().items() if test(row))
    found = frozenset(nr for nr, row in table().items() if row.name == word)
    if not found and not optional:
        raise CompatError(f"-e {word}: no such system call", HINT)
    return found


def _regex(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise CompatError(f"-e /{text}: {error}") from error
