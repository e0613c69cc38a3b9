"""CPython's own tests, those of what the interpreter asks of the system, run by the interpreter in either place.

`python -m tools.suites cpython` takes about twenty minutes; `python -m tools.suites cpython test_thread test_os` runs
these modules alone. It needs python3.11 and libpython3.11-testsuite.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.integration.harness import Command, Outcome, TimeLimitError, tail
from tests.integration.servers.place import Place
from tools.suites.report import Report
from tools.suites.source import SuiteError

PYTHON = "/usr/bin/python3.11"
TESTS = Path("/usr/lib/python3.11/test")
RUNNER = str(Path(__file__).parents[2] / "tests/integration/programs/unittest_verdicts.py")
MODULES = (
    *("thread", "threading", "signal", "time", "os", "posix", "mmap", "select", "selectors", "epoll", "poll"),
    *("asyncio", "queue", "concurrent_futures", "tempfile", "shutil", "pathlib", "io", "fileio", "zipfile", "sqlite3"),
    *("hashlib", "ctypes", "faulthandler", "gc", "mailbox"),
)
MODULE_SECONDS = 600
TEST_SECONDS = 60
# A test that ends the interpreter costs a start. After so many the rest of the module is given up.
STARTS = 40
NO_PROCESS = r"(?s)(fork|posix_spawn|subprocess|_start_new_process|spawn).*\[Errno 38\] Function not implemented"
REASONS = {
    "needs fork(2)": re.compile(NO_PROCESS),
}


def prepare(folder: Path, place: Place) -> Path:
    del place
    if not (TESTS / "test_thread.py").exists():
        raise SuiteError(f"{TESTS} has no tests: apt-get install libpython3.11-testsuite")
    return folder


def units(work: Path) -> list[str]:
    del work
    return [f"test_{name}" for name in MODULES]


def run(work: Path, place: Place, unit: str) -> Report:
    """One module. After a test that ended the interpreter, or was ended, the next one goes on."""
    del work
    report = Report()
    after: str | None = None
    for _ in range(STARTS):
        try:
            outcome = place.run(command(unit, after))
        except TimeLimitError as error:
            report.add(f"{unit}: reaches its end", good=False, details=str(error))
            return report
        open_test, finished = verdicts(unit, outcome, report)
        if finished or open_test is None or open_test == after:
            break
        details = f"ended the interpreter: status {outcome.status}\n{tail(outcome.stderr)}"
        report.add(name(unit, open_test), good=False, details=details)
        after = open_test
    report.add(f"{unit}: reaches its end", good=finished, details=f"status {outcome.status}: {tail(outcome.stderr)}")
    return report


def command(unit: str, after: str | None) -> Command:
    options = ["--seconds", str(TEST_SECONDS), *(("--after", after) if after else ())]
    argv = [PYTHON, RUNNER, *options, unit]
    return Command(argv, add=[str(TESTS), RUNNER], memory="2G", timeout=MODULE_SECONDS)


def verdicts(unit: str, outcome: Outcome, report: Report) -> tuple[str | None, bool]:
    """Adds what was told; returns the test without a verdict, if there is one, and whether the end was reached."""
    open_test: str | None = None
    finished = False
    for text in outcome.stdout.splitlines():
        line = json.loads(text)
        if line.get("finished"):
            finished = True
        elif line["verdict"] == "started":
            open_test = line["test"]
        elif line["verdict"] == "skipped":
            report.skipped[name(unit, line["test"])] = line["details"]
            open_test = None
        else:
            report.add(name(unit, line["test"]), good=line["verdict"] == "passed", details=line["details"])
            open_test = None
    return open_test, finished


def name(unit: str, test: str) -> str:
    return f"{unit}: {test.removeprefix('test.').removeprefix(f'{unit}.')}"
