"""A trace as JSON Lines, see `compat/schema/trace.schema.json`."""

from __future__ import annotations

import json
from typing import Any, TextIO

from compat.trace.calls import Call
from compat.trace.constants import errno_names, signal_name
from compat.trace.records import Ended, Record, SignalTaken, Site, Started
from compat.trace.render import STRING, Rendering
from compat.trace.structures import siginfo

SCHEMA_VERSION = 1


class JsonLines:
    """A line for each call, when it has returned, and for each other event. The first line is a header."""

    def __init__(self, out: TextIO, command: list[str], string: int = STRING) -> None:
        self.out, self.string = out, string
        self._write({"schema_version": SCHEMA_VERSION, "command": command})

    def begin(self, call: Call) -> None:
        """It is told when it ends."""

    def end(self, call: Call) -> None:
        words = Rendering(call, self.string)
        self._write(
            {
                "time": call.time,
                "tid": call.tid,
                "pid": call.pid,
                "call": call.row.name,
                "nr": call.row.nr,
                "args": words.arguments(),
                "raw": list(call.raw[: len(call.row.args)]),
                "result": call.result,
                "errno": errno_names().get(call.errno, str(call.errno)) if call.errno else None,
                "duration": call.duration if call.result is not None else None,
                "trapped": call.trapped,
                "site": call.site,
            }
        )

    unfinished = end

    def other(self, record: Record) -> None:
        who: dict[str, Any] = {"time": record.time, "tid": record.tid, "pid": record.pid}
        if isinstance(record, SignalTaken):
            number = int.from_bytes(record.info[:4], "little")
            self._write({**who, "event": "signal", "signal": signal_name(number), "info": siginfo(record.info)})
        elif isinstance(record, Ended):
            killed = record.status & 0x7F
            self._write(
                {
                    **who,
                    "event": "process_ended" if record.whole else "thread_ended",
                    "status": None if killed else record.status >> 8 & 0xFF,
                    "signal": signal_name(killed) if killed else None,
                }
            )
        elif isinstance(record, Site):
            self._write({**who, "event": "trap_site", "site": record.address, "where": record.where})
        elif isinstance(record, Started):
            argv = [word.decode(errors="replace") for word in record.argv]
            self._write({**who, "event": "started", "program": record.program, **({"argv": argv} if argv else {})})

    def close(self) -> None:
        self.out.flush()

    def _write(self, value: dict[str, Any]) -> None:
        self.out.write(json.dumps(value) + "\n")
