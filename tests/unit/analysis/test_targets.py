"""Jumps into the bytes that a patch would move: every way that one can be written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from compat.analysis import Technique
from compat.analysis.model import NR_UNKNOWN
from tests.unit.analysis.asm_builder import build, function

# `1:` is where another jump may enter; both instructions before the site have to move together.
BODY = "mov $1, %eax\nmov %rdi, %rsi\nsite_in: mov %edx, %ecx\nsite_a: syscall\nret"
INTO = "jump into the instructions before it"
PIC, FIXED = ("-shared",), ("-no-pie", "-static", "-Wl,-e,packed")


def packed(body: str = BODY) -> str:
    return function("packed", body, align=1)


def test_without_a_jump_it_moves(tmp_path: Path) -> None:
    assert build(tmp_path, packed()).record("site_a").technique == Technique.BEFORE


@pytest.mark.parametrize(
    "jump",
    [
        "jmp site_in",
        "jne site_in",
        ".byte 0x0f, 0x85\n.long site_in - . - 4",
        "call site_in",
        "jmp site_in\n.skip 300, 0x90\nret",
        "jrcxz site_in",
        "loop site_in",
        "lea site_in(%rip), %rax\nret",
        "xbegin site_in",
    ],
)
def test_from_code(tmp_path: Path, jump: str) -> None:
    assert INTO in build(tmp_path, function("other", f"{jump}\nret", align=1) + packed()).left("site_a")


@pytest.mark.parametrize("flags", [PIC, FIXED])
def test_from_a_pointer_in_data(tmp_path: Path, flags: tuple[str, ...]) -> None:
    data = ".data\n.balign 8\n.quad packed + 8\n"
    assert INTO in build(tmp_path, packed() + data, *flags, strip=True).left("site_a")


def test_from_a_local_pointer_in_data(tmp_path: Path) -> None:
    data = ".data\n.balign 8\n.quad site_in\n"
    assert INTO in build(tmp_path, packed() + data, strip=True).left("site_a")


def test_from_a_relr_pointer(tmp_path: Path) -> None:
    data = ".data\n.balign 8\n.quad site_in\n"
    flags = ("-shared", "-Wl,-z,pack-relative-relocs")
    assert INTO in build(tmp_path, packed() + data, *flags, strip=True).left("site_a")


@pytest.mark.parametrize("code", ["mov $site_in, %eax", "mov $site_in, %rax", "push $site_in", "movl $site_in, (%rdi)"])
def test_from_an_absolute_operand(tmp_path: Path, code: str) -> None:
    built = build(tmp_path, function("other", f"{code}\nret", align=1) + packed(), *FIXED, strip=True)
    assert INTO in built.left("site_a")


def test_from_a_symbol(tmp_path: Path) -> None:
    body = BODY.replace("site_in:", ".globl entry\n.type entry, @function\nentry:")
    assert INTO in build(tmp_path, packed(body)).left("site_a")


def test_from_an_offset_table(tmp_path: Path) -> None:
    other = "lea table(%rip), %rdx\nmovslq (%rdx,%rdi,4), %rax\nadd %rdx, %rax\njmp *%rax\n2: ret"
    data = ".section .rodata\n.balign 4\ntable: .long 2b - table, 2b - table, site_in - table\n"
    assert INTO in build(tmp_path, function("other", other) + packed() + data).left("site_a")


def test_from_a_table_of_addresses(tmp_path: Path) -> None:
    other = "jmp *table(,%rdi,8)\n2: ret"
    data = ".section .rodata\n.balign 8\ntable: .quad 2b, 2b, packed + 8\n"
    assert INTO in build(tmp_path, function("other", other) + packed() + data, *FIXED, strip=True).left("site_a")


def test_from_an_exception_table(tmp_path: Path) -> None:
    body = f".cfi_lsda 0x1b, lsda\n{BODY}"
    lsda = """
    .section .gcc_except_table, "a"
lsda:
    .byte 0xff, 0xff, 1      # landing pads count from the function, no types, ULEB128
    .uleb128 2f - 1f
1:  .uleb128 0, 4, 8, 0      # a call in the first four bytes lands at the ninth
2:
"""
    assert INTO in build(tmp_path, packed(body) + lsda).left("site_a")


def test_bytes_within_other_instructions_are_no_jump(tmp_path: Path) -> None:
    # The immediate reads as `eb xx` into the window, but known code says that no instruction starts there.
    other = "movl $0x0aeb0000, %eax\nnop\nret"
    built = build(tmp_path, function("other", other, align=1) + packed())
    assert built.record("site_a").technique == Technique.BEFORE


def test_same_bytes_outside_known_code_count(tmp_path: Path) -> None:
    # other ends seven bytes before `site_in`'s window; the same bytes as above, but no function holds them.
    data = ".byte 0xb8, 0, 0, 0xeb, 0x0a, 0x90, 0xc3\n"
    assert INTO in build(tmp_path, data + packed()).left("site_a")


def test_jump_to_the_site_itself_is_fine(tmp_path: Path) -> None:
    body = "mov $1, %eax\nmov %rdi, %rsi\nmov %rdx, %r8\nsite_a: syscall\njne site_a\nret"
    assert build(tmp_path, packed(body)).record("site_a").technique == Technique.BEFORE


def test_jump_to_the_window_is_fine_but_forgets_the_number(tmp_path: Path) -> None:
    body = "mov $1, %eax\n2: mov %rdi, %rsi\nmov %rdx, %r8\nsite_a: syscall\njne 2b\nret"
    record = build(tmp_path, packed(body)).record("site_a")
    assert (record.technique, record.nr) == (Technique.BEFORE, NR_UNKNOWN)


UNRESOLVED = "jmp *%r9\n"


def test_unresolved_jump_allows_mov(tmp_path: Path) -> None:
    record = build(tmp_path, packed(f"mov $1, %eax\nsite_a: syscall\n{UNRESOLVED}")).record("site_a")
    assert (record.technique, record.nr) == (Technique.MOV, 1)


def test_unresolved_jump_forbids_moving_several(tmp_path: Path) -> None:
    reason = build(tmp_path, packed(BODY + "\n" + UNRESOLVED)).left("site_a")
    assert "unresolved indirect jump" in reason


def test_unresolved_jump_forbids_what_follows(tmp_path: Path) -> None:
    body = f"xor %eax, %eax\nsite_a: syscall\ncmp $-4096, %rax\nja 1f\n1: {UNRESOLVED}"
    assert build(tmp_path, packed(body)).left("site_a").endswith("unresolved indirect jump in the function")


def test_unresolved_jump_allows_a_hop(tmp_path: Path) -> None:
    assembly = function("first", BODY + "\n" + UNRESOLVED) + function("second", "ret", align=64)
    record = build(tmp_path, assembly).record("site_a")
    assert (record.technique, record.nr) == (Technique.HOP, NR_UNKNOWN)


def test_jump_through_the_got_is_a_tail_call(tmp_path: Path) -> None:
    body = BODY + "\njmp *other@GOTPCREL(%rip)\n.globl other"
    assert build(tmp_path, packed(body)).record("site_a").technique == Technique.BEFORE


def test_known_table_resolves_a_jump(tmp_path: Path) -> None:
    body = f"lea table(%rip), %rdx\nmovslq (%rdx,%rdi,4), %rax\nadd %rdx, %rax\njmp *%rax\n2: {BODY}"
    data = ".section .rodata\n.balign 4\ntable: .long 2b - table, 2b - table\n"
    assert build(tmp_path, packed(body) + data).record("site_a").technique == Technique.BEFORE
