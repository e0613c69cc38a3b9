"""CPython's own tests, those of what the interpreter asks of the system, run by the interpreter in either place.

`python -m tools.suites cpython` takes about an hour; `python -m tools.suites cpython test_thread test_os` runs
these modules alone, and `COMPAT_TEST_CPUS=2` gives the guest two CPUs. It needs python3.11, libpython3.11-testsuite,
and for test_sqlite3, which that package lacks, the source that apt-get fetches. `cpython.toml` says why a test differs.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.integration.harness import Command, Outcome, TimeLimitError, tail
from tests.integration.servers.place import GuestPlace, Place
from tools.suites.report import Report
from tools.suites.source import SuiteError, fetch_original

PYTHON = "/usr/bin/python3.11"
TESTS = Path("/usr/lib/python3.11/test")
RUNNER = str(Path(__file__).parents[2] / "tests/integration/programs/unittest_verdicts.py")
MODULES = (
    *("thread", "threading", "signal", "time", "os", "posix", "mmap", "select", "selectors", "epoll", "poll"),
    *("asyncio", "queue", "concurrent_futures", "tempfile", "shutil", "pathlib", "io", "fileio", "zipfile"),
    *("sqlite3", "hashlib", "ctypes", "faulthandler", "gc", "mailbox"),
    *("subprocess", "multiprocessing_fork", "multiprocessing_spawn", "socket", "pty"),
)
# Modules that the package of tests lacks, and the source package that has them.
FROM_SOURCE = {"test_sqlite3": "python3.11"}
# What the tests start, where it is installed.
PROGRAMS = ("sh", "bash", "ls", "cat", "true", "sleep", "echo", "stat", "tar", "zip", "unzip", "id", "ldconfig")
PROGRAMS += ("gcc", "as", "ld", "objdump", "openssl", "stty")
COMPILER_PARTS = ("cc1", "collect2")
LINKED = ("Scrt1.o", "crti.o", "crtn.o", "libc.so", "libc_nonshared.a")
# What ctypes looks for by name.
LOOKED_FOR = ("libGL.so.1", "libGLU.so.1")
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
MODULE_SECONDS = 1800
TEST_SECONDS = 120
# A test that ends the interpreter costs a start. After so many the rest of the module is given up.
STARTS = 40


def known_reasons() -> dict[str, re.Pattern[str]]:
    """Reasons by the names of the tests to which each applies."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    return {reason["why"]: names_pattern(reason["tests"]) for reason in table["reason"]}


def names_pattern(tests: Sequence[str]) -> re.Pattern[str]:
    names = (re.escape(test).replace(r"\*", "[^ ]*") for test in tests)
    return re.compile(f"^(?:{'|'.join(names)}): ")


REASONS = known_reasons()


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
            outcome = place.run(command(place, unit, after))
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


def command(place: Place, unit: str, after: str | None) -> Command:
    options = ["--seconds", str(TEST_SECONDS), *(("--after", after) if after else ())]
    add = [str(TESTS), RUNNER]
    if unit in FROM_SOURCE:
        more = str(fetch_original(FROM_SOURCE[unit]) / "Lib/test")
        options += ["--more", more]
        add.append(f"{more}/{unit}")
    if isinstance(place, GuestPlace):
        add += programs()
    return Command([PYTHON, RUNNER, *options, unit], add=add, memory="2G", timeout=MODULE_SECONDS)


def programs() -> Iterator[str]:
    """What a guest lacks that has only the interpreter and its library: other programs and what these read."""
    for path in filter(None, map(shutil.which, PROGRAMS)):
        yield from {path, str(Path(path).resolve())}
    if shutil.which("gcc"):
        for part in COMPILER_PARTS:
            told = subprocess.run(["gcc", f"-print-prog-name={part}"], capture_output=True, text=True, check=True)
            path = Path(told.stdout.strip())
            yield from (str(path), str(path.parent))
        yield from (str(LIBRARIES / name) for name in LINKED)
    yield from (str(LIBRARIES / name) for name in LOOKED_FOR if (LIBRARIES / name).exists())


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
