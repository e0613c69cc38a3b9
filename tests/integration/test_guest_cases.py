"""Every guest program: native Linux first, then the guest, same output and status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.guest_cases import Case, build, load_cases
from tests.integration.harness import Guest, assert_same, run_native

CASES = load_cases()
in_any_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@in_any_case
def test_native(case: Case, programs: Path) -> None:
    """The program itself is right."""
    outcome = run_native(case.command(build(case, programs)))
    assert outcome.status == case.status, outcome.stderr.decode(errors="backslashreplace")


@in_any_case
def test_guest(case: Case, programs: Path, guest: Guest) -> None:
    """And the guest agrees with Linux about it."""
    command = case.command(build(case, programs))
    native = run_native(command)
    assert_same(native, guest.run(command), stderr=case.compare_stderr)
