"""Techniques 1, 2 and 4: what may be overwritten around a site, and which number a site carries."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from compat.analysis import Technique
from compat.analysis.model import NR_UNKNOWN
from tests.unit.analysis.asm_builder import build, function

# Between functions there would be padding, and a hop would take the place of technique 4.
PACKED = 1


def one(body: str) -> str:
    return function("packed", body, align=PACKED)


def test_mov_before(tmp_path: Path) -> None:
    built = build(tmp_path, one("mov $39, %eax\nsite_a: syscall\nret"))
    record = built.record("site_a")
    assert (record.technique, record.nr, record.head, record.tail, record.rip_fix, record.pad) == (1, 39, 5, 0, 0, 0)
    assert record.check == zlib.crc32(b"\xb8\x27\x00\x00\x00\x0f\x05")


def test_mov_to_another_register_is_no_number(tmp_path: Path) -> None:
    record = build(tmp_path, one("mov $39, %edi\nsite_a: syscall\nret")).record("site_a")
    assert (record.technique, record.nr) == (Technique.BEFORE, NR_UNKNOWN)


def test_long_mov(tmp_path: Path) -> None:
    record = build(tmp_path, one("mov $39, %rax\nsite_a: syscall\nret")).record("site_a")
    assert (record.technique, record.nr, record.head) == (Technique.BEFORE, 39, 7)


def test_several_instructions_before(tmp_path: Path) -> None:
    record = build(tmp_path, one("mov $1, %eax\nmov %rsp, %rsi\npush %rdi\npop %rdi\nsite_a: syscall\nret")).record(
        "site_a"
    )
    assert (record.technique, record.nr, record.head) == (Technique.BEFORE, 1, 5)


def test_one_rip_relative_operand(tmp_path: Path) -> None:
    body = "mov $1, %eax\nmovl $7, data(%rip)\nmov %edx, %edi\nsite_a: syscall\nret"
    record = build(tmp_path, one(body) + ".data\n.local data\ndata: .quad 0").record("site_a")
    # c7 05 disp32 imm32: the displacement counts from the end of the instruction, four bytes after itself.
    assert (record.technique, record.head, record.rip_fix, record.pad) == (Technique.BEFORE, 12, 1 + 2, 10)


def test_eip_relative_operand_stays(tmp_path: Path) -> None:
    built = build(
        tmp_path, one("mov $1, %eax\nincb data(%eip)\nsite_a: syscall\nret") + ".data\n.local data\ndata: .quad 0"
    )
    assert "inc right before it" in built.left("site_a")


@pytest.mark.parametrize("blocker", ["call packed", "jne 1f", "endbr64", "int3", "ud2", "syscall", "int $3", "hlt"])
def test_what_cannot_move_before(tmp_path: Path, blocker: str) -> None:
    body = f"mov $60, %eax\n{blocker}\n1: push %rdi\nsite_a: syscall\nret"
    reason = build(tmp_path, one(body)).left("site_a")
    assert "right before it" in reason or "jump into" in reason


LOOP = "mov $60, %edx\n1: xor %edi, %edi\nmov %edx, %eax\nsite_a: syscall\njmp 1b"


def test_jump_that_ends_in_the_site(tmp_path: Path) -> None:
    """As glibc's threads end."""
    record = build(tmp_path, one(LOOP)).record("site_a")
    assert (record.technique, record.nr, record.head, record.tail) == (Technique.BEFORE, NR_UNKNOWN, 4, 0)
    assert record.check == zlib.crc32(bytes.fromhex("31ff89d00f05"))


@pytest.mark.parametrize("label", ["mov %edx, %eax", "site_a: syscall"])
def test_nothing_may_enter_such_a_window(tmp_path: Path, label: str) -> None:
    body = LOOP.replace(label, f"2: {label}") + "\ntest %eax, %eax\njne 2b\nret"
    assert "jmp right after it" in build(tmp_path, one(body)).left("site_a")


def test_window_does_not_leave_the_function(tmp_path: Path) -> None:
    built = build(tmp_path, function("first", "mov $1, %eax\nret") + one("xor %eax, %eax\nsite_a: syscall\nret"))
    assert "function starts" in built.left("site_a")


def test_instructions_after(tmp_path: Path) -> None:
    built = build(tmp_path, one("xor %eax, %eax\nsite_a: syscall\ncmp $-4096, %rax\nja 1f\n1: ret"))
    record = built.record("site_a")
    assert (record.technique, record.nr, record.head, record.tail) == (Technique.AFTER, 0, 0, 6)
    assert record.check == zlib.crc32(bytes.fromhex("0f05483d00f0ffff"))


def test_rip_relative_operand_after(tmp_path: Path) -> None:
    body = "xor %eax, %eax\nsite_a: syscall\nmov %rax, data(%rip)\nret"
    record = build(tmp_path, one(body) + ".data\n.local data\ndata: .quad 0").record("site_a")
    assert (record.technique, record.tail, record.rip_fix, record.pad) == (Technique.AFTER, 7, 1 + 3, 7)


@pytest.mark.parametrize("after", ["ret", "jmp packed", "push %rax\nret", "call packed", "nop\njne packed"])
def test_what_cannot_move_after(tmp_path: Path, after: str) -> None:
    reason = build(tmp_path, one(f"xor %eax, %eax\nsite_a: syscall\n{after}")).left("site_a")
    assert reason.endswith("right after it")


def test_jump_between_the_instructions_after(tmp_path: Path) -> None:
    body = "xor %eax, %eax\nsite_a: syscall\n1: push %rax\npop %rax\nnop\ntest %eax, %eax\njne 1b\nret"
    assert build(tmp_path, one(body)).left("site_a").endswith("jump into the instructions after it")


def test_hop_goes_before_technique_4(tmp_path: Path) -> None:
    body = "xor %eax, %eax\nsite_a: syscall\ncmp $-4096, %rax\nja 1f\n1: ret"
    padded = function("first", body) + function("second", "ret", align=64)
    assert build(tmp_path, padded).record("site_a").technique == Technique.HOP


def test_jump_past_a_lock_prefix(tmp_path: Path) -> None:
    body = """
    mov $24, %eax
    test %esi, %esi
    je 1f
    lock
1:  incl (%rdi,%rsi,4)
    nop
    site_a: syscall
    ret"""
    reason = build(tmp_path, one(body)).left("site_a")
    assert "jump into the instructions before it" in reason


@pytest.mark.parametrize(
    ("between", "number"),
    [
        ("mov %rdi, %rsi", 9),
        ("cmpxchg %rsi, (%rdi)", NR_UNKNOWN),
        ("call other", NR_UNKNOWN),
        ("rdtsc", NR_UNKNOWN),
        ("mov (%rdi), %al", NR_UNKNOWN),
        ("jne 2f\n2: test %edi, %edi", NR_UNKNOWN),
        ("jne 3f", 9),
        ("xor %eax, %eax", 0),
        ("lodsb", NR_UNKNOWN),
        ("xchg %rax, %rdi", NR_UNKNOWN),
    ],
)
def test_number(tmp_path: Path, between: str, number: int) -> None:
    body = f"mov $9, %eax\n{between}\nmov 8(%rsp), %r9\nsite_a: syscall\n3: ret"
    record = build(tmp_path, one(body) + function("other", "ret")).record("site_a")
    assert (record.technique, record.nr) == (Technique.BEFORE, number)


@pytest.mark.parametrize("load", ["mov $15, %rax", "mov $15, %eax", "push %rbx\nxor %eax, %eax\nmov $15, %eax"])
def test_restorers_are_never_patched(tmp_path: Path, load: str) -> None:
    assert build(tmp_path, one(f"{load}\nsite_a: syscall\nhlt")).left("site_a") == "rt_sigreturn"


def test_restorer_that_is_decoded_out_of_step(tmp_path: Path) -> None:
    body = ".byte 0x00\nmov $15, %rax\nsite_a: syscall\nret"
    assert build(tmp_path, one(body)).left("site_a") == "rt_sigreturn"


def test_restorer_without_the_usual_bytes(tmp_path: Path) -> None:
    body = "mov $15, %eax\nmov %rsp, %rdi\nmov 8(%rsp), %r9\nsite_a: syscall\nret"
    assert build(tmp_path, one(body)).left("site_a") == "rt_sigreturn"
