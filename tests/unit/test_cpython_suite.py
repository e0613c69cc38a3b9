"""Reasons of CPython's tests go by whole names."""

from __future__ import annotations

from tools.suites.cpython import REASONS, names_pattern


def test_a_reason_is_for_the_tests_that_it_names() -> None:
    pattern = names_pattern(["test_a: One.first", "test_b: *LITE*Test.*"])
    for line in ("test_a: One.first: details", "test_b: BasicUDPLITETest.second: Traceback"):
        assert pattern.search(line)
    for line in ("test_a: One.first_and_more: x", "test_b: Basic.second: skipped: UDPLITETest.x: y", "test_a: Two: x"):
        assert not pattern.search(line)


def test_the_reasons_that_are_known() -> None:
    details = "test_socket: RecvmsgIntoUDPLITE6Test.testRecvmsg: Traceback (most recent call last): ..."
    found = [reason for reason, pattern in REASONS.items() if pattern.search(details)]
    assert len(found) == 1
    assert "UDP-Lite" in found[0]
