"""What a whole trace comes to: `-c`, `--missing-files`, `--traps`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TextIO

from compat.trace.calls import Call
from compat.trace.records import Record, Site
from compat.trace.render import Rendering
from compat.trace.values import quoted

ENOENT = 2
NANOSECONDS = 1_000_000_000


class Counts:
    """The table of strace -c."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.calls: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.time: Counter[str] = Counter()

    def begin(self, call: Call) -> None:
        """Only calls that return have a time."""

    def end(self, call: Call) -> None:
        name = call.row.name
        self.calls[name] += 1
        self.time[name] += call.duration
        if call.errno:
            self.errors[name] += 1

    unfinished = end

    def other(self, record: Record) -> None:
        """No call."""

    def close(self) -> None:
        total = sum(self.time.values())
        self.out.write("% time     seconds  usecs/call     calls    errors syscall\n")
        rule = "------ ----------- ----------- --------- --------- ----------------\n"
        self.out.write(rule)
        for name, _ in sorted(self.calls.items(), key=lambda item: (-self.time[item[0]], -item[1], item[0])):
            self._row(name, self.time[name], total, self.calls[name], self.errors[name])
        self.out.write(rule)
        self._row("total", total, total, self.calls.total(), self.errors.total())
        self.out.flush()

    def _row(self, name: str, time: int, total: int, calls: int, errors: int) -> None:
        share = 100 * time / total if total else 0.0
        each = time // 1000 // calls if calls else 0
        seconds = time / NANOSECONDS
        self.out.write(f"{share:6.2f} {seconds:11.6f} {each:11} {calls:9} {errors or '':>9} {name}\n")


class MissingFiles:
    """Paths that calls did not find."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.paths: Counter[str] = Counter()

    def begin(self, call: Call) -> None:
        """Nothing is missing yet."""

    def end(self, call: Call) -> None:
        if call.errno == ENOENT:
            self.paths.update(set(paths_of(call)))

    def unfinished(self, call: Call) -> None:
        """Nobody knows."""

    def other(self, record: Record) -> None:
        """No call."""

    def close(self) -> None:
        self.out.write("files that were not found, by number of calls:\n")
        for path, count in sorted(self.paths.items(), key=lambda item: (-item[1], item[0])):
            self.out.write(f"{count:8} {path}\n")
        self.out.flush()


def paths_of(call: Call) -> Iterable[str]:
    words = Rendering(call)
    for at, argument in enumerate(call.row.args):
        text = words.path(call.raw[at]) if argument.type == "Path" and argument.name != "name" else ""
        if text.startswith('"'):
            yield text[1:].rpartition('"')[0]
    socket_path = call.before.piece(call.raw[1], 110) if call.row.name == "connect" else b""
    if socket_path.startswith(b"\1\0/"):
        yield quoted(socket_path[2:].split(b"\0")[0])[1:-1]


class Traps:
    """Which `syscall` instructions were not replaced, and how often they were executed."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.counts: Counter[int] = Counter()
        self.names: dict[int, Counter[str]] = {}
        self.where: dict[int, str] = {}
        self.jumps = 0

    def begin(self, call: Call) -> None:
        if not call.trapped:
            self.jumps += 1
            return
        self.counts[call.site] += 1
        self.names.setdefault(call.site, Counter())[call.row.name] += 1

    def end(self, call: Call) -> None:
        """Counted."""

    unfinished = end

    def other(self, record: Record) -> None:
        if isinstance(record, Site):
            self.where[record.address] = record.where

    def close(self) -> None:
        trapped = self.counts.total()
        self.out.write(f"{trapped} of {trapped + self.jumps} calls trapped, {self.jumps} were jumps\n")
        for site, count in self.counts.most_common():
            names = ", ".join(name for name, _ in self.names[site].most_common(4))
            self.out.write(f"{count:8} {self.where.get(site, hex(site))} ({names})\n")
        self.out.flush()
