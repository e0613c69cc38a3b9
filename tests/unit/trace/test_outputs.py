"""JSON Lines, and what is made of a whole trace."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import jsonschema

from compat.trace.jsonl import JsonLines
from compat.trace.session import decode
from compat.trace.summary import Counts, MissingFiles, Traps
from tests.unit.trace.stream import ended, enter, leave, signal, site, started, stream

SCHEMA = Path(__file__).parents[3] / "compat" / "schema" / "trace.schema.json"
PATH = 0x7000_0000
PARTS = [
    started("/bin/x"),
    site(0x400, "f+0x12 (/bin/x+0x400)"),
    enter("openat", -100, PATH, 0, memory={PATH: b"/no\0"}, trapped=True, site=0x400),
    leave("openat", -2, took=2_000_000),
    enter("connect", 3, PATH, 9, memory={PATH: b"\1\0/sock\0\0\0"}),
    leave("connect", -2),
    enter("close", 3),
    leave("close", 0),
    signal(11, code=1),
    enter("pause"),
    ended(11),
]


def test_json_lines_fit_their_schema() -> None:
    out = io.StringIO()
    decode(io.BytesIO(stream(PARTS)), [JsonLines(out, ["x", "-a"])])
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    schema = json.loads(SCHEMA.read_text())
    for line in lines:
        jsonschema.validate(line, schema)
    assert lines[0] == {"schema_version": 1, "command": ["x", "-a"]}
    calls = [line for line in lines if "call" in line]
    assert [call["call"] for call in calls] == ["openat", "connect", "close", "pause"]
    assert (calls[0]["args"], calls[0]["errno"], calls[0]["trapped"]) == (
        ["AT_FDCWD", '"/no"', "O_RDONLY"],
        "ENOENT",
        True,
    )
    assert calls[0]["raw"] == [(1 << 64) - 100, PATH, 0, 0]
    assert (calls[3]["result"], calls[3]["duration"]) == (None, None)
    events = {line["event"]: line for line in lines if "event" in line}
    assert events["process_ended"]["signal"] == "SIGSEGV"
    assert events["trap_site"]["where"] == "f+0x12 (/bin/x+0x400)"
    assert "si_addr" in events["signal"]["info"]


def test_counts() -> None:
    out = io.StringIO()
    decode(io.BytesIO(stream(PARTS)), [Counts(out)])
    rows = {line.split()[-1]: line.split() for line in out.getvalue().splitlines()}
    assert rows["openat"] == ["99.90", "0.002000", "2000", "1", "1", "openat"]
    assert rows["total"][-3:] == ["4", "2", "total"]


def test_missing_files_and_traps() -> None:
    missing, traps = io.StringIO(), io.StringIO()
    decode(io.BytesIO(stream(PARTS)), [MissingFiles(missing), Traps(traps)])
    assert missing.getvalue().split("\n")[1:3] == ["       1 /no", "       1 /sock"]
    assert "1 of 4 calls trapped" in traps.getvalue()
    assert "f+0x12 (/bin/x+0x400) (openat)" in traps.getvalue()


def test_numbers_that_no_table_knows() -> None:
    out = io.StringIO()
    body = struct.pack("<IBBHiiQ8Q", 88, 1, 0, 0, 1, 1, 5, 5000, 0, 1, 2, 3, 4, 5, 6)
    decode(io.BytesIO(body), [JsonLines(out, [])])
    assert json.loads(out.getvalue().splitlines()[1])["call"] == "syscall_0x1388"
