"""`python -m tools.suites SUITE [UNIT...]`: runs a suite natively and in the guest and tells what differs."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from tests.integration.harness import Guest, cache_folder, unwind_on_sigterm
from tests.integration.servers.place import GuestPlace, NativePlace, Place
from tools.suites import cpython, memcached, redis, stress_ng
from tools.suites.report import Report, differences
from tools.suites.source import SuiteError


class Suite(Protocol):
    """What the module of a suite has."""

    REASONS: dict[str, re.Pattern[str]]

    def prepare(self, folder: Path, place: Place) -> Path: ...

    def units(self, work: Path) -> list[str]: ...

    def run(self, work: Path, place: Place, unit: str) -> Report: ...


SUITES: dict[str, Suite] = {"redis": redis, "memcached": memcached, "cpython": cpython, "stress-ng": stress_ng}
# Of suites whose verdicts are few and each tell something by themselves.
TABLES: dict[str, Callable[[Report, Report], Iterator[str]]] = {"stress-ng": stress_ng.table}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.suites",
        description="Runs a program's own test suite natively and in the guest.",
        epilog="Sources of servers come from Debian's mirror by apt-get source, into the cache of the tests.",
    )
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("units", nargs="*", metavar="UNIT", help="default: all that need no server of their own")
    arguments = parser.parse_args()
    unwind_on_sigterm()
    suite = SUITES[arguments.suite]
    try:
        reports: dict[str, Report] = {}
        for name in ("native", "guest"):
            with tempfile.TemporaryDirectory(prefix="compat-suite-") as folder:
                place = make_place(name, Path(folder))
                reports[name] = ask(suite, place, Path(folder), arguments.units)
            print(f"{name}: {reports[name]}", flush=True)
        for name, details in reports["native"].failed.items():
            print(f"natively fails as well: {name}: {details.strip()}", flush=True)
    except SuiteError as error:
        print(f"tools.suites: {error}", file=sys.stderr)
        return 2
    if arguments.suite in TABLES:
        print(*TABLES[arguments.suite](reports["native"], reports["guest"]), sep="\n")
    found = list(differences(reports["native"], reports["guest"], suite.REASONS))
    for difference in found:
        print(difference)
    unexplained = sum(difference.reason is None for difference in found)
    print(f"{len(found)} differ, {unexplained} of them without a known reason")
    return 1 if unexplained else 0


def make_place(name: str, folder: Path) -> Place:
    state = folder / "state"
    state.mkdir()
    if name == "native":
        return NativePlace(folder / "conf", str(state))
    return GuestPlace(folder / "conf", Guest("kvm", cache_folder(), 1))


def ask(suite: Suite, place: Place, folder: Path, wanted: list[str]) -> Report:
    report = Report()
    work = suite.prepare(folder, place)
    for unit in wanted or suite.units(work):
        report.update(suite.run(work, place, unit))
    return report


if __name__ == "__main__":
    sys.exit(main())
