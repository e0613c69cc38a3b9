"""Technique 3: which padding may be jumped through."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.analysis import Technique
from compat.analysis.pads import Padding, choose_pad
from tests.unit.analysis.asm_builder import Built, build, function

# A branch before and a branch after the site leave only the hop.
HOP_ONLY = "xor %eax, %eax\njs 9f\nsite_a: syscall\n9: ret"
NEXT = function("next", "ret", align=32)


def hop(built: Built, label: str = "site_a") -> int:
    record = built.record(label)
    assert record.technique == Technique.HOP
    assert -126 <= record.pad <= 129
    return record.pad


def test_padding_after_the_function(tmp_path: Path) -> None:
    assert hop(build(tmp_path, function("first", HOP_ONLY, align=32) + NEXT)) > 0


def test_padding_before_the_function(tmp_path: Path) -> None:
    first = function("first", "ret", align=32)
    assert hop(build(tmp_path, first + function("second", HOP_ONLY, align=32))) < 0


def test_int3_padding(tmp_path: Path) -> None:
    assert hop(build(tmp_path, function("first", HOP_ONLY, align=32) + ".skip 24, 0xcc\n" + NEXT)) > 0


def test_padding_between_blocks(tmp_path: Path) -> None:
    body = f"{HOP_ONLY}\n.p2align 5\n1: dec %edi\njne 1b\nret"
    assert hop(build(tmp_path, function("first", body))) > 0


def test_padding_between_blocks_of_a_function_with_an_unresolved_jump(tmp_path: Path) -> None:
    body = f"{HOP_ONLY}\n.p2align 5\n1: dec %edi\njne 1b\njmp *%r9"
    assert "no padding near" in build(tmp_path, ".skip 130, 0xc3\n" + function("first", body)).left("site_a")


def test_reachable_padding_between_blocks(tmp_path: Path) -> None:
    body = f"{HOP_ONLY.replace('9: ret', '9: dec %esi')}\n.p2align 5\n1: dec %edi\njne 1b\nret"
    assert "no padding near" in build(tmp_path, ".skip 130, 0xc3\n" + function("first", body)).left("site_a")


def test_padding_that_a_jump_runs_through(tmp_path: Path) -> None:
    """The bytes of the pad itself are no target; the one before them is."""
    body = f"test %edi, %edi\njne 1f\n{HOP_ONLY}\n1: .skip 40, 0x90\n.p2align 3, 0x90\n2: dec %edi\njne 2b\nret"
    assert "no padding near" in build(tmp_path, ".skip 130, 0xc3\n" + function("first", body)).left("site_a")


@pytest.mark.parametrize(
    "tail",
    [
        "9: ret\n.skip 20, 0",  # no padding instructions
        "9: call next",  # runs on into the padding, as far as the code says
        "9: incl %eax",
    ],
)
def test_what_is_no_padding(tmp_path: Path, tail: str) -> None:
    body = HOP_ONLY.replace("9: ret", tail)
    assert "no padding near" in build(tmp_path, function("first", body, align=32) + NEXT).left("site_a")


def test_padding_before_an_unaligned_function(tmp_path: Path) -> None:
    assembly = function("first", HOP_ONLY, align=32) + ".skip 7, 0x90\n" + function("next", "ret", align=1)
    assert "no padding near" in build(tmp_path, assembly).left("site_a")


def test_padding_out_of_reach(tmp_path: Path) -> None:
    body = HOP_ONLY.replace("9: ret", "9: ret\n" + ".skip 130, 0x58\n" + "ret")
    assert "no padding near" in build(tmp_path, ".skip 130, 0xc3\n" + function("first", body) + NEXT).left("site_a")


def test_padding_that_something_jumps_to(tmp_path: Path) -> None:
    other = function("other", "jmp .Lpadding + 4\n.skip 200, 0x58\nret", align=1)
    assembly = ".p2align 5, 0xc3\n" + function("first", HOP_ONLY, align=32) + ".Lpadding: .skip 16, 0x90\n" + NEXT
    assert "no padding near" in build(tmp_path, other + assembly).left("site_a")
    assert hop(build(tmp_path, other.replace("jmp .Lpadding + 4\n", "") + assembly)) > 0


@pytest.mark.parametrize(("targets", "pad"), [((), 3), ((2,), None), ((3,), None), ((7,), None), ((8,), 3), ((40,), 3)])
def test_a_pad_ends_before_the_first_target(targets: tuple[int, ...], pad: int | None) -> None:
    """What jumps in before the reach begins (3) runs on into it, too."""
    assert choose_pad([Padding(0, 3, 32)], set(), targets.__contains__) == pad


def test_a_pad_keeps_off_the_others() -> None:
    assert choose_pad([Padding(0, 0, 8), Padding(40, 40, 60)], {7, 41}, lambda _: False) == 0
    assert choose_pad([Padding(0, 0, 8), Padding(40, 40, 60)], {3, 41}, lambda _: False) == 42


def test_each_pad_serves_one_site(tmp_path: Path) -> None:
    # The code fills its 32 bytes but for seven; both sites reach only that padding.
    body = "js 9f\nsite_a: syscall\njs 9f\nsite_b: syscall\n9: ret\n.skip 15, 0x58\nret"
    built = build(tmp_path, ".skip 130, 0xc3\n" + function("first", body, align=32) + NEXT)
    assert hop(built) > 0
    assert "no padding near" in built.left("site_b")


def test_two_pads_from_one_padding(tmp_path: Path) -> None:
    body = "js 9f\nsite_a: syscall\njs 9f\nsite_b: syscall\n9: ret"
    built = build(tmp_path, ".skip 130, 0xc3\n" + function("first", body, align=32) + NEXT)
    first, second = (built.labels[label] + hop(built, label) for label in ("site_a", "site_b"))
    assert abs(first - second) >= 5


def test_windows_and_pads_never_overlap(tmp_path: Path) -> None:
    # Technique 4 would take the `mov` that belongs to the next site's technique 1.
    body = "js 9f\nsite_a: syscall\nmov $39, %eax\nsite_b: syscall\n9: ret"
    built = build(tmp_path, ".skip 130, 0xc3\n" + function("first", body, align=1))
    assert built.record("site_b").technique == Technique.MOV
    assert "another patch beside it" in built.left("site_a")


def test_a_site_that_is_jumped_to_prefers_the_hop(tmp_path: Path) -> None:
    body = "mov $1, %eax\nsite_a: syscall\ntest %eax, %eax\njs site_a\nret"
    hop(build(tmp_path, function("first", body, align=32) + NEXT))
