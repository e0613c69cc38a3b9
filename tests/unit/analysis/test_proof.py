"""`tools.patches`: sound plans are found sound, and each kind of damage to a plan is found."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from compat.analysis import SiteRecord, Technique
from compat.analysis.model import NR_UNKNOWN
from tests.unit.analysis.asm_builder import Built, build, function
from tools.patches.__main__ import check_all
from tools.patches.prove import prove

MOV, BEFORE, HOP, AFTER = Technique


def forged(built: Built, technique: Technique, head: int, tail: int, *, rip_fix: int = 0, pad: int = 0) -> SiteRecord:
    """A record for `site_a` that the loader would take: shape and checksum are right."""
    site = built.labels["site_a"]
    window = built.path.read_bytes()[site - head : site + 2 + tail]
    return SiteRecord(site, NR_UNKNOWN, technique, head, tail, rip_fix, pad, zlib.crc32(window))


def trouble(built: Built, *records: SiteRecord) -> str:
    return "; ".join(map(str, prove(built.path, records).violations))


SOUND = {
    MOV: function("f", "mov $39, %eax\nsite_a: syscall\nret"),
    BEFORE: function("f", "mov $1, %eax\nmovl $7, data(%rip)\nmov %edx, %edi\nsite_a: syscall\nret")
    + ".data\n.local data\ndata: .quad 0",
    HOP: function("f", "test %edi, %edi\njne 1f\nnop\n1: site_a: syscall\nret") + function("g", "ret"),
    AFTER: function("f", "1: site_a: syscall\nlea data(%rip), %rdx\ntest %eax, %eax\njs 1b\nret", align=1)
    + ".data\n.local data\ndata: .quad 0",
}


@pytest.mark.parametrize("technique", SOUND)
def test_the_planners_plan_is_sound(tmp_path: Path, technique: Technique) -> None:
    built = build(tmp_path, SOUND[technique])
    assert built.record("site_a").technique is technique
    proof = prove(built.path)
    assert (len(proof.records), proof.violations) == (1, ())
    assert proof.instructions >= 3


BROKEN = {
    "cut at the end": ("site_a: syscall\nmov $1, %esi\nret", AFTER, 0, 3, "cuts an instruction"),
    "cut at the start": ("mov $0x1234567, %rsi\nsite_a: syscall\nret", BEFORE, 5, 0, "no instruction begins"),
    "branch": ("mov $1, %eax\n1: mov %edx, %edi\nsite_a: syscall\njs 1b\nret", BEFORE, 7, 0, "in the window"),
    "branch behind": ("site_a: syscall\n1: mov $1, %esi\njs 1b\nret", AFTER, 0, 5, "in the window"),
    "branch moved": ("mov %esi, %edi\njs 1f\nnop\nsite_a: syscall\n1: ret", BEFORE, 5, 0, "cannot move"),
    "no mov": ("mov $1, %edi\nsite_a: syscall\nret", MOV, 5, 0, "no mov"),
    "pad that runs": ("nop\nnop\nnop\nnop\nnop\nsite_a: syscall\nret", HOP, 0, 0, "nothing runs into"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_plan(tmp_path: Path, case: str) -> None:
    body, technique, head, tail, expected = BROKEN[case]
    built = build(tmp_path, function("f", body))
    assert expected in trouble(built, forged(built, technique, head, tail, pad=-5 if technique is HOP else 0))


def test_pointer_into_the_window(tmp_path: Path) -> None:
    body = "mov $1, %eax\n.Linner: mov %edx, %edi\nsite_a: syscall\nret"
    built = build(tmp_path, function("f", body) + ".data\n.quad .Linner")
    assert "a symbol, function start or pointer leads to" in trouble(built, forged(built, BEFORE, 7, 0))


def test_jump_table_into_the_window(tmp_path: Path) -> None:
    body = """
    lea table(%rip), %rdx
    movslq (%rdx,%rdi,4), %rax
    add %rdx, %rax
    jmp *%rax
    1: mov $1, %eax
    2: mov %edx, %edi
    site_a: syscall
    ret
    """
    table = ".section .rodata\n.p2align 2\n.local table\ntable: .long 1b - table, 2b - table"
    built = build(tmp_path, function("f", body) + table)
    assert "the jump table at" in trouble(built, forged(built, BEFORE, 7, 0))


def test_jump_to_padding_before_the_pad(tmp_path: Path) -> None:
    body = "test %edi, %edi\njne 1f\nsite_a: syscall\nret\n1: nop\nnop\nnop\nnop\nnop\nnop"
    built = build(tmp_path, function("f", body))
    assert "right before it" in trouble(built, forged(built, HOP, 0, 0, pad=2 + 1 + 1))


def test_lost_rip_fix(tmp_path: Path) -> None:
    built = build(tmp_path, SOUND[AFTER])
    record = built.record("site_a")
    assert "the trampoline reads" in trouble(built, replace(record, rip_fix=0))


def test_what_the_loader_would_skip(tmp_path: Path) -> None:
    built = build(tmp_path, SOUND[MOV])
    record = built.record("site_a")
    assert "checksum" in trouble(built, replace(record, check=record.check ^ 1))
    assert "do not suit" in trouble(built, replace(record, head=4))
    assert "overlaps" in trouble(built, record, record)
    assert "leaves the executable" in trouble(built, replace(record, site=1 << 40))


def test_check_fails_without_anything_to_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = build(tmp_path, SOUND[MOV]).path
    text = tmp_path / "text"
    text.write_text("no program")
    assert check_all([sound]) == 0
    assert check_all([text]) == 1
    assert "not checked" in capsys.readouterr().out
