"""Runs a module of CPython's own tests and tells the verdict on each test as a line of JSON on standard output.

`unittest_verdicts.py [--after TEST] [--only TEST]... [--seconds N] [--more FOLDER] MODULE`. What the tests themselves
print goes to standard error, so that a line on standard output is always whole. A line is
`{"test": ..., "verdict": "started" | "passed" | "failed" | "skipped", "details": ...}`; the last is `{"finished": true}`.
A test that does not come to its end within N seconds ends the process.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import os
import pkgutil
import signal
import sys
import tempfile
import unittest


class Verdicts(unittest.TestResult):
    """Writes each verdict when it falls, as a test may end the process."""

    def __init__(self, out, seconds):
        super().__init__()
        self.out = out
        self.seconds = seconds
        self.told = set()

    def tell(self, test, verdict, details=""):
        self.told.add(test.id())
        print(json.dumps({"test": test.id(), "verdict": verdict, "details": details}), file=self.out, flush=True)

    def tell_failure(self, test, error):
        self.tell(test, "failed", self._exc_info_to_string(error, test))

    def startTest(self, test):
        super().startTest(test)
        self.tell(test, "started")
        self.told.discard(test.id())
        faulthandler.dump_traceback_later(self.seconds, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        if test.id() not in self.told:
            self.tell(test, "passed")

    def addError(self, test, err):
        self.tell_failure(test, err)

    def addFailure(self, test, err):
        self.tell_failure(test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.tell_failure(test, err)

    def addSkip(self, test, reason):
        self.tell(test, "skipped", reason)

    def addUnexpectedSuccess(self, test):
        self.tell(test, "failed", "unexpected success")


def flat(suite):
    """The tests of a suite of suites, in order. Fixtures of classes and modules still run: they go by neighbours."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def loaded(module, more):
    """The tests of a module. A package finds its own where the library is, unless it comes from elsewhere."""
    if more and hasattr(module, "__path__"):
        names = [name for _, name, _ in pkgutil.iter_modules(module.__path__) if name.startswith("test_")]
        return unittest.defaultTestLoader.loadTestsFromNames(f"{module.__name__}.{name}" for name in names)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def chosen(tests, after, only):
    """The tests after the one named, and of these those that have one of `only` in their name, between dots."""
    names = [test.id() for test in tests]
    rest = tests[names.index(after) + 1 :] if after in names else tests
    return [test for test in rest if not only or any(f".{name}." in f"{test.id()}." for name in only)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--after")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--more", metavar="FOLDER", help="has modules that the installed tests lack")
    parser.add_argument("module")
    arguments = parser.parse_args()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # A shell's background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if arguments.more:
        importlib.import_module("test").__path__.append(arguments.more)
    # As the tests' own driver does: a new folder to work in.
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tests = list(flat(loaded(importlib.import_module(f"test.{arguments.module}"), arguments.more)))
        suite = unittest.TestSuite(chosen(tests, arguments.after, arguments.only))
        suite.run(Verdicts(out, arguments.seconds))
        os.chdir("/")
    print(json.dumps({"finished": True}), file=out, flush=True)


if __name__ == "__main__":
    sys.exit(main())
