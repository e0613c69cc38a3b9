"""A trace as strace prints it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TextIO

from compat.trace.calls import Call
from compat.trace.constants import signal_name
from compat.trace.records import Ended, Record, SignalTaken, Started
from compat.trace.render import ELEMENTS_SHOWN, STRING, Rendering
from compat.trace.structures import siginfo
from compat.trace.values import quoted

RESULT_COLUMN = 39
NANOSECONDS = 1_000_000_000
SIGKILL = 9


@dataclass(frozen=True)
class Style:
    string: int = STRING
    # -t: the time of day before each line; -T: how long the call took, behind it.
    times: bool = False
    durations: bool = False
    signals: bool = True
    # The execve(2) that started the program, although nobody in the guest calls it.
    start: bool = False
    # A file has the thread's number before each line, a terminal only once there are several.
    always_number: bool = False


class StraceText:
    """Calls that others interrupt are told in two lines, as strace does."""

    def __init__(self, out: TextIO, style: Style) -> None:
        self.out, self.style = out, style
        # A call that has begun and of which nothing is printed yet.
        self._line: Call | None = None
        self._split: set[int] = set()
        self._tids: set[int] = set()

    def begin(self, call: Call) -> None:
        self._interrupt()
        self._tids.add(call.tid)
        self._line = call

    def end(self, call: Call) -> None:
        if self._line is not None and self._line is not call:
            self._interrupt()
        self._line = None
        words = Rendering(call, self.style.string)
        arguments = words.arguments()
        if call.tid in self._split:
            self._split.discard(call.tid)
            rest = ", ".join(arguments[min(words.split(), len(arguments)) :])
            start = f"<... {call.row.name} resumed>{rest})"
        else:
            start = f"{call.row.name}({', '.join(arguments)})"
        took = f" <{call.duration / NANOSECONDS:.6f}>" if self.style.durations else ""
        self._print(call.tid, call.time, f"{start.ljust(RESULT_COLUMN)} = {words.result()}{took}")

    def other(self, record: Record) -> None:
        if isinstance(record, SignalTaken) and self.style.signals:
            number = int.from_bytes(record.info[:4], "little")
            if number == SIGKILL:
                # No tracer of Linux sees it come.
                return
            self._interrupt()
            self._print(record.tid, record.time, f"--- {signal_name(number)} {siginfo(record.info)} ---")
        elif isinstance(record, Ended):
            self._ended(record)
        elif isinstance(record, Started) and self.style.start and record.argv:
            self._started(record)

    def unfinished(self, call: Call) -> None:
        """The trace ends, and the call has not returned."""
        if self._line is call:
            self._interrupt()

    def close(self) -> None:
        self.out.flush()

    def _started(self, record: Started) -> None:
        limit = self.style.string
        words = [quoted(word[:limit], more=len(word) > limit) for word in record.argv[:ELEMENTS_SHOWN]]
        argv = ", ".join([*words, *(["..."] if len(record.argv) > ELEMENTS_SHOWN else [])])
        count = f"{len(record.env)} var{'' if len(record.env) == 1 else 's'}"
        program = quoted(record.program.encode())
        self._print(record.tid, record.time, f"execve({program}, [{argv}], {record.env_at:#x} /* {count} */) = 0")

    def _ended(self, record: Ended) -> None:
        if self._line is not None and self._line.tid == record.tid:
            # exit(2) and its like.
            call, self._line = self._line, None
            text = f"{call.row.name}({', '.join(Rendering(call, self.style.string).arguments())})"
            self._print(call.tid, call.time, f"{text.ljust(RESULT_COLUMN)} = ?")
        self._interrupt()
        signal = record.status & 0x7F
        how = f"killed by {signal_name(signal)}" if signal else f"exited with {record.status >> 8 & 0xFF}"
        self._print(record.tid, record.time, f"+++ {how} +++")

    def _interrupt(self) -> None:
        """Prints what is known of a call that has not returned."""
        call, self._line = self._line, None
        if call is None:
            return
        words = Rendering(call, self.style.string)
        known = words.arguments()[: words.split()]
        text = ", ".join(known) + (", " if known and words.split() < len(call.row.args) else "")
        self._print(call.tid, call.time, f"{call.row.name}({text} <unfinished ...>".replace(",  <", ", <"))
        self._split.add(call.tid)

    def _print(self, tid: int, moment: int, text: str) -> None:
        prefix = ""
        if self.style.always_number:
            prefix = f"{tid} "
        elif len(self._tids) > 1:
            prefix = f"[pid {tid:5}] "
        if self.style.times:
            seconds, rest = divmod(moment, NANOSECONDS)
            prefix += time.strftime("%H:%M:%S", time.localtime(seconds)) + f".{rest // 1000:06} "
        self.out.write(f"{prefix}{text}\n")
        self.out.flush()
