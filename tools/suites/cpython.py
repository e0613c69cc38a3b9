"""CPython's own tests, those of what the interpreter asks of the system, run by the interpreter in either place.

`python -m tools.suites cpython` takes about twenty minutes; `python -m tools.suites cpython test_thread test_os` runs
these modules alone. It needs python3.11 and libpython3.11-testsuite.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tests.integration.harness import Command, Outcome, TimeLimitError, tail
from tests.integration.servers.place import GATEWAY, GuestPlace, Place
from tools.suites.children import serving
from tools.suites.report import Report
from tools.suites.source import SuiteError

PYTHON = "/usr/bin/python3.11"
TESTS = Path("/usr/lib/python3.11/test")
PROGRAMS = Path(__file__).parents[2] / "tests/integration/programs"
RUNNER = str(PROGRAMS / "unittest_verdicts.py")
FILES = (str(TESTS), RUNNER, str(PROGRAMS / "child_guests.py"))
MODULES = (
    *("thread", "threading", "signal", "time", "os", "posix", "mmap", "select", "selectors", "epoll", "poll"),
    *("asyncio", "queue", "concurrent_futures", "tempfile", "shutil", "pathlib", "io", "fileio", "zipfile"),
    *("hashlib", "ctypes", "faulthandler", "gc", "mailbox"),
)
MODULE_SECONDS = 1800
TEST_SECONDS = 120
# A test that ends the interpreter costs a start. After so many the rest of the module is given up.
STARTS = 40
REASONS = {
    "needs fork(2)": re.compile(
        r"\[Errno 38\] Function not implemented|does not support pidfds?|support pidfd_open"
        r"|not implemented: clone|, in test_\w*fork"
    ),
    "needs fork(2): a process that has the test's files, environment or number": re.compile(
        r"(?s)(assert_python_ok|in get_output).*(FileNotFound|ModuleNotFound)Error|, in test_(getppid|putenv_unsetenv)"
    ),
    "needs fork(2): talks to a process while it runs": re.compile(
        r"child_guests\.py\", line \d+ in (run|fill|wait|poll)"
        r"|UnsupportedOperation: fileno"
    ),
    "needs a program, and so fork(2)": re.compile(
        r"requires a shell|Need the \w+ command|working\.$|find_library|libc not available|could not find libc"
        r"|find C library|needed for test, not available|lib_glu? not available"
    ),
    "compat reports a crash on standard error": re.compile(r"AssertionError: 'compat: thread \d+ ended by"),
    "no pseudo-terminals": re.compile(r"os\.openpty\(\)"),
    "the clock cannot be set": re.compile(r"^skipped: \[Errno 1\] Operation not permitted"),
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
    """One module. In the guest an interpreter that a test starts is a guest of its own."""
    del work
    if not isinstance(place, GuestPlace):
        return run_module(place, unit, ())
    with serving(place.guest, PYTHON, FILES) as port:
        return run_module(place, unit, ("--children", f"{GATEWAY}:{port}"))


def run_module(place: Place, unit: str, options: Sequence[str]) -> Report:
    """After a test that ended the interpreter, or was ended, the next one goes on."""
    report = Report()
    after: str | None = None
    for _ in range(STARTS):
        try:
            outcome = place.run(command(unit, after, options))
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


def command(unit: str, after: str | None, options: Sequence[str]) -> Command:
    options = [*options, "--seconds", str(TEST_SECONDS), *(("--after", after) if after else ())]
    argv = [PYTHON, RUNNER, *options, unit]
    return Command(argv, add=FILES, memory="2G", timeout=MODULE_SECONDS)


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
