"""Which bytes count as code: only those that something vouches for."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from compat.analysis import Technique
from tests.unit.analysis.asm_builder import build, function

FAKE = "site_fake: .byte 0x0f, 0x05"
BARE = "mov $39, %eax\nsite_a: syscall\nret"


def rejected(built: object) -> dict[str, int]:
    return dict(built.plan.rejected)  # type: ignore[attr-defined]


def test_data_between_functions(tmp_path: Path) -> None:
    # Between two FDEs: reads as a perfect technique 1 site, and is a table all the same.
    table = ".byte 0xb8, 0x27, 0, 0, 0\nsite_fake: .byte 0x0f, 0x05, 0xc3\n"
    built = build(tmp_path, function("first", BARE) + table + function("second", "ret"))
    assert built["site_fake"] is None
    assert rejected(built) == {"in no known function": 1}
    assert built.record("site_a").technique == Technique.MOV


def test_data_symbol_in_text(tmp_path: Path) -> None:
    table = (
        ".type table, @object\ntable: .byte 0xb8, 0x27, 0, 0, 0\nsite_fake: .byte 0x0f, 0x05, 0xc3\n.size table, 8\n"
    )
    assert build(tmp_path, function("first", "ret") + table)["site_fake"] is None


def test_operand_of_an_instruction(tmp_path: Path) -> None:
    built = build(tmp_path, function("first", ".byte 0xb8, 0x27\nsite_fake: .byte 0x0f, 0x05, 0\nret"))
    assert rejected(built) == {"within an instruction": 1}


def test_function_that_does_not_decode(tmp_path: Path) -> None:
    built = build(tmp_path, function("first", f"{BARE}\n.byte 0x06, 0x07"))
    assert rejected(built) == {"in a function that does not decode": 1}


def test_function_that_jumps_into_its_own_instructions(tmp_path: Path) -> None:
    built = build(tmp_path, function("first", f"jmp 1f + 2\n1: mov $0x90909090, %edi\n{BARE}"))
    assert rejected(built) == {"in a function that does not decode": 1}


def test_writable_code(tmp_path: Path) -> None:
    built = build(tmp_path, function("first", BARE), "-shared", "-Wl,-N")
    assert rejected(built) == {"in writable code": 1}


def test_code_with_relocations(tmp_path: Path) -> None:
    body = f"movabs $other, %rdi\n{BARE}\n.globl other"
    built = build(tmp_path, function("first", body), "-shared", "-Wl,-z,notext")
    assert rejected(built) == {"in code with relocations": 1}


def test_frame_that_ends_before_the_site(tmp_path: Path) -> None:
    # As in glibc's clone: no unwind information for the child, so the FDE ends before its first instruction.
    body = """
    mov $56, %eax
    .cfi_endproc
site_a: syscall
    test %rax, %rax
    jz 1f
    ret
1:  .cfi_startproc
    .cfi_undefined rip
    hlt"""
    built = build(tmp_path, function("clone", body).replace(".globl clone", ""), strip=True)
    record = built.record("site_a")
    assert (record.technique, record.nr) == (Technique.MOV, 56)


def test_frame_that_starts_at_the_site(tmp_path: Path) -> None:
    body = "mov $56, %eax\n.cfi_endproc\n.cfi_startproc\nsite_a: syscall\nret"
    assert build(tmp_path, function("clone", body), strip=True).record("site_a").technique == Technique.MOV


def test_code_after_a_function_that_returned_is_unknown(tmp_path: Path) -> None:
    assembly = ".cfi_startproc\nmov $56, %eax\nret\n.cfi_endproc\nmov $39, %eax\nsite_a: syscall\nret\n"
    assert build(tmp_path, assembly + function("last", "ret"), strip=True)["site_a"] is None


def test_signal_frame_starts_one_byte_early(tmp_path: Path) -> None:
    restorer = """
    .cfi_startproc
    .cfi_signal_frame
    .byte 0xb8
    mov $15, %rax
site_a: syscall
    .cfi_endproc
"""
    assert build(tmp_path, function("first", "ret") + restorer, strip=True).left("site_a") == "rt_sigreturn"


def test_symbol_without_a_frame(tmp_path: Path) -> None:
    assembly = function("framed", "ret\n.skip 100, 0x90\nret") + function("bare", BARE, cfi=False)
    assert build(tmp_path, assembly).record("site_a").technique == Technique.MOV
    assert build(tmp_path, assembly.replace(".globl bare", ""), strip=True)["site_a"] is None


def body_without_tables(filler: str = "", count: int = 60) -> str:
    """Many functions with neither symbols nor FDEs, each calling the next, as a stripped musl has them."""
    parts = [
        f"f{i}: push %rbx\nmov %rdi, %rbx\ncall f{i + 1}\nadd %rbx, %rax\ntest %eax, %eax\nje 1f\n"
        f"mov $39, %eax\nsite_{i}: syscall\n1: pop %rbx\nret\n.p2align 4"
        for i in range(count)
    ]
    return "\n".join([*parts, filler, f"f{count}: ret\n"])


def test_body_of_code_without_tables(tmp_path: Path) -> None:
    built = build(tmp_path, body_without_tables(), strip=True)
    assert len(built.plan.records) == 60
    assert {record.technique for record in built.plan.records} == {Technique.MOV}


@pytest.mark.parametrize("filler", [".byte 0x06, 0x07", "in %dx, %al", ".quad 0, 0", "jmp f3 + 2"])
def test_body_with_data_is_refused_as_a_whole(tmp_path: Path, filler: str) -> None:
    built = build(tmp_path, body_without_tables(filler), strip=True)
    assert built.plan.sites == 0


def test_body_without_tables_among_functions_with_them(tmp_path: Path) -> None:
    framed = "".join(function(f"g{i}", "mov %rdi, %rax\n.skip 40, 0x90\nret") for i in range(80))
    small = framed + body_without_tables(count=3) + function("last", "ret")
    assert build(tmp_path, small, strip=True).plan.sites == 0
    large = framed + body_without_tables(count=80) + function("last", "ret")
    assert build(tmp_path, large, strip=True).plan.sites == 80


def test_unlisted_site_without_a_number_is_refused(tmp_path: Path) -> None:
    filler = "g: push %rbx\nmov %rdi, %rbx\nsite_a: syscall\npop %rbx\nret\n.p2align 4"
    built = build(tmp_path, body_without_tables(filler), strip=True)
    assert built["site_a"] is None
    assert rejected(built) == {"in unlisted code, without a number in rax": 1}


def pclntab(*, stated: bool) -> str:
    """Go's function table for two functions, and the module data that says where its offsets count from."""
    header = struct.pack("<IHBB", 0xFFFFFFF1, 0, 1, 8)
    words = ".quad 2, 0, {}, 72, 72, 72, 72, 72\n".format("text - table + table" if stated else "0")
    offsets = ".long 0, 0, second - text, 0, etext - text, 0\n"
    module = ".quad table\n.skip 19 * 8\n.quad text, etext, text, etext\n"
    return (
        f".section .rodata\n.balign 8\ntable: .byte {', '.join(map(str, header))}\n{words}{offsets}"
        f".data\n.balign 8\n{module}"
    )


@pytest.mark.parametrize("flags", [("-no-pie", "-static", "-Wl,-e,text"), ("-shared",)])
def test_go_table(tmp_path: Path, flags: tuple[str, ...]) -> None:
    padding = ".p2align 5, 0xcc\n"
    assembly = (
        function("framed", "ret\n.skip 2000, 0x90\nret")
        + f"{padding}text: xor %eax, %eax\nsite_a: syscall\nret\n{padding}second: {BARE.replace('site_a', 'site_b')}\n"
        + f"{padding}etext: nop\n"
    )
    built = build(tmp_path, assembly + pclntab(stated=False), *flags, strip=True)
    assert built.record("site_b").technique == Technique.MOV
    assert built.record("site_a").technique == Technique.HOP
    assert build(tmp_path, assembly, *flags, strip=True).plan.sites == 0


def test_go_table_that_states_its_text(tmp_path: Path) -> None:
    assembly = function("framed", "ret\n.skip 2000, 0x90\nret") + f"text: {BARE}\nsecond: ret\netext: nop\n"
    table = pclntab(stated=True).replace("text - table + table", "text").partition(".data")[0]
    built = build(tmp_path, assembly + table, "-no-pie", "-static", "-Wl,-e,text", strip=True)
    assert built.record("site_a").technique == Technique.MOV
