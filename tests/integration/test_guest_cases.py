"""Every guest program: native Linux first, then the guest, same output and status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.guest_cases import Case, build, load_cases
from tests.integration.harness import Guest, assert_same, run_native, without_notices

CASES = load_cases()
in_any_case = pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=[pytest.mark.checked] if case.checked else []) for case in CASES],
)


@in_any_case
def test_native(case: Case, programs: Path) -> None:
    """The program itself is right."""
    outcome = run_native(case.command(build(case, programs)))
    assert outcome.status == case.status, outcome.stderr.decode(errors="backslashreplace")


@in_any_case
def test_guest(case: Case, programs: Path, guest: Guest) -> None:
    """And the guest agrees with Linux about it."""
    command = case.command(build(case, programs))
    native, ours = run_native(command), guest.run(command)
    # The programs ask for what is not there on purpose and look at the answer themselves.
    ours = replace(ours, stderr=without_notices(ours.stderr))
    assert_same(native, ours, stderr=case.compare_stderr)
