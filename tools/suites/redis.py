"""redis' own test suite, in the mode for servers that it does not start itself (`--host`, `--port`).

`python -m tools.suites redis` takes about ten minutes; `python -m tools.suites redis unit/type/list unit/multi`
runs these units alone. It needs redis-server, redis-tools and tcl.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.integration import harness
from tests.integration.harness import ENVIRONMENT, TimeLimitError
from tests.integration.servers.place import Endpoint, Place, Setup
from tests.integration.servers.server import running
from tools.suites.report import Report
from tools.suites.source import fetch

PACKAGE = "redis"
UNIT_SECONDS = 300
PROGRAMS = ("redis-server", "redis-cli", "redis-benchmark")
ALLOWED = ("enable-protected-configs", "enable-debug-command", "enable-module-command")
REASONS = {
    "takes a port of the host and expects the server to miss it": re.compile(r"Unable to listen on this port"),
    # The server loads what it saved itself before. `test_dumps_for_a_client` looks into such files.
    "puts a file where the server is to load it, and the guest shares none with the host": re.compile(
        r"Expected '0' to be equal to '100000' .*test_redis_cli_rdb_dump"
    ),
}
# Escape sequences for colours come between all parts of a line.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
END = re.compile(r"All tests passed|The following tests failed")
VERDICT = re.compile(r"\[(ok|err|exception|timeout)\]: (.*)")
# What follows a name and differs from run to run: the time it took, the file it is in.
TAIL = re.compile(r"( \(\d+ ms\)| in tests/\S+)$")


def describe(place: Place) -> Setup:
    """With the log of writes from the start: turning it on later makes a process."""
    options = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]
    options += ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"]
    allowed = [word for name in ALLOWED for word in (f"--{name}", "yes")]
    argv = ["/usr/bin/redis-server", "--port", str(place.port()), "--dir", new_state(place), *options, *allowed]
    return Setup(argv, memory="2G")


def new_state(place: Place) -> str:
    """A folder for each server, as its log of writes is loaded by the next."""
    if place.name == "native":
        return tempfile.mkdtemp(dir=place.state)
    # A guest's files are new each time. The folder is the host's, too: clients put files where the server has its own.
    state = place.folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    return str(state)


def prepare(folder: Path, place: Place) -> Path:
    """A copy, with the installed programs where the suite has its own."""
    del place
    work = folder / "suite"
    shutil.copytree(fetch(PACKAGE), work, symlinks=True)
    for program in PROGRAMS:
        path = work / "src" / program
        path.unlink(missing_ok=True)
        path.symlink_to(f"/usr/bin/{program}")
    return work


def units(work: Path) -> list[str]:
    listed = subprocess.run(
        ["./runtest", "--list-tests"], cwd=work, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split() if name.startswith(("unit/", "integration/redis-"))]


def run(work: Path, place: Place, unit: str) -> Report:
    """One unit with a server of its own; an exception in it ends it early, and is told as a verdict."""
    with running(place, describe(place)) as server:
        return ask(work, server.endpoint, unit)


def ask(work: Path, endpoint: Endpoint, unit: str) -> Report:
    argv = ["./runtest", "--durable", "--host", endpoint.host, "--port", str(endpoint.port), "--tags", "-slow"]
    argv += ["--single", unit]
    try:
        outcome = harness.run(argv, cwd=str(work), env=ENVIRONMENT, timeout=UNIT_SECONDS)
    except TimeLimitError as error:
        report = Report()
        report.add(f"{unit}: reaches its end", good=False, details=str(error))
        return report
    text = COLOUR.sub("", outcome.stdout.decode(errors="replace"))
    report = verdicts(unit, text)
    good = END.search(text) is not None
    report.add(f"{unit}: reaches its end", good=good, details=text[-500:] + outcome.stderr.decode(errors="replace"))
    return report


def verdicts(unit: str, text: str) -> Report:
    """Of the suite's output: each verdict is followed by its details. At the end failures are told again."""
    report = Report()
    lines: Sequence[str] = text.split("\n!!! WARNING", 1)[0].split("Test Summary", 1)[0].splitlines()
    name, verdict, details = "", "", list[str]()
    for line in [*lines, "[ok]: "]:
        if found := VERDICT.match(line):
            if name:
                report.add(f"{unit}: {name}", good=verdict == "ok", details="\n".join(details))
            verdict, name, details = found[1], TAIL.sub("", found[2]), [found[2]]
        else:
            details.append(line)
    return report
