"""Files that are no ELF files, or broken ones: a plan or an `AnalysisError`, never anything else."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from compat.analysis import AnalysisError, plan_patches
from tests.unit.analysis.asm_builder import build, function
from tests.unit.analysis.test_functions import pclntab

MUTATIONS = 400


def sample(tmp_path: Path) -> bytes:
    """A file with every table that is read: FDEs with an exception table, symbols, relocations, Go's table."""
    body = ".cfi_lsda 0x1b, lsda\nmov $39, %eax\nsyscall\nlea table(%rip), %rax\njmp *%rax\n"
    assembly = (
        function("first", body)
        + function("second", "xor %eax, %eax\njs 1f\nsyscall\n1: ret")
        + "text: mov $39, %eax\nsyscall\nret\netext:\n"
        + '.section .gcc_except_table, "a"\nlsda: .byte 0xff, 0xff, 1, 4\n.uleb128 0, 4, 8, 0\n'
        + pclntab(stated=False)
    )
    return build(tmp_path, assembly).path.read_bytes()


def program_headers(data: bytes) -> range:
    """Where the program headers of segments lie."""
    (start,) = struct.unpack_from("<Q", data, 32)
    return range(start, start + 56 * struct.unpack_from("<H", data, 56)[0], 56)


def holds(data: bytes, header: int, offset: int) -> bool:
    kind, _, start, _, _, size = struct.unpack_from("<IIQQQQ", data, header)
    return kind == 1 and start <= offset < start + size


def section_header(data: bytes, name: bytes) -> int:
    """Where the header of a section lies."""
    (table,) = struct.unpack_from("<Q", data, 40)
    count, strings = struct.unpack_from("<HH", data, 60)
    (names,) = struct.unpack_from("<Q", data, table + 64 * strings + 24)
    headers = range(table, table + 64 * count, 64)
    return next(at for at in headers if data[names + struct.unpack_from("<I", data, at)[0] :].startswith(name + b"\0"))


def survive(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        plan = plan_patches(path)
    except AnalysisError:
        return
    assert plan.sites <= plan.raw


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01\x01" + bytes(57), bytes(4096)])
def test_not_a_program(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(AnalysisError):
        plan_patches(path)


@pytest.mark.parametrize(("offset", "value"), [(4, 1), (5, 2), (18, 40), (16, 1), (16, 4)])
def test_other_kinds_of_elf(tmp_path: Path, offset: int, value: int) -> None:
    data = bytearray(sample(tmp_path))
    data[offset] = value
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(AnalysisError):
        plan_patches(tmp_path / "file")


def test_corpus(tmp_path: Path) -> None:
    generator = Path(__file__).parents[2] / "elf_corpus" / "make_corpus.py"
    subprocess.run([sys.executable, str(generator), str(tmp_path / "corpus")], check=True)
    files = [path for path in (tmp_path / "corpus").rglob("*") if path.is_file()]
    assert len(files) > 40
    for path in files:
        survive(tmp_path / "file", path.read_bytes())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        plan_patches(tmp_path / "none")


def test_truncated_anywhere(tmp_path: Path) -> None:
    data = sample(tmp_path)
    for size in range(0, len(data), max(1, len(data) // 200)):
        survive(tmp_path / "file", data[:size])


def test_random_damage(tmp_path: Path) -> None:
    data = sample(tmp_path)
    source = random.Random(1)
    for _ in range(MUTATIONS):
        damaged = bytearray(data)
        for _ in range(source.randint(1, 8)):
            at = source.randrange(len(data))
            damaged[at] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
        survive(tmp_path / "file", bytes(damaged))


def test_extreme_header_words(tmp_path: Path) -> None:
    data = sample(tmp_path)
    (phoff,) = struct.unpack_from("<Q", data, 32)
    (shoff,) = struct.unpack_from("<Q", data, 40)
    offsets = [24, 32, 40, *range(phoff, phoff + 56 * 8, 8), *range(shoff, len(data) - 8, 8)]
    for offset in offsets:
        for value in (0, 1, 0x7FFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, len(data) - 1):
            damaged = bytearray(data)
            struct.pack_into("<Q", damaged, offset, value)
            survive(tmp_path / "file", bytes(damaged))


def test_a_table_of_go_that_its_segment_cuts_off(tmp_path: Path) -> None:
    """The offsets are read up to the segment's end, which lies in the middle of one."""
    data = bytearray(sample(tmp_path))
    table = data.index(b"\xf1\xff\xff\xff\0\0\1\x08")
    struct.pack_into("<Q", data, table + 8, 1000)
    segment = next(at for at in program_headers(data) if holds(data, at, table))
    start = struct.unpack_from("<Q", data, segment + 8)[0]
    for size in (32, 40):
        struct.pack_into("<Q", data, segment + size, table - start + 72 + 10)
    survive(tmp_path / "file", bytes(data))


def test_unwind_tables_that_claim_no_end(tmp_path: Path) -> None:
    """Without an index the section is walked, no further than the file has bytes of it."""
    built = build(tmp_path, function("first", "mov $39, %eax\nsyscall\nret"), "-shared", "-Wl,--no-eh-frame-hdr")
    data = bytearray(built.path.read_bytes())
    section = section_header(data, b".eh_frame")
    struct.pack_into("<Q", data, section + 32, 1 << 62)
    survive(tmp_path / "file", bytes(data))


def test_functions_that_overlap_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each site in a function of its own, which reaches to the end: the work would be the square of the size."""
    names = range(40)
    starts = "".join(f".type f{n}, @function\nf{n}: mov $39, %eax\nsyscall\n" for n in names)
    sizes = "".join(f".size f{n}, end - f{n}\n" for n in names)
    path = build(tmp_path, f"{starts}ret\nend:\n{sizes}").path
    assert plan_patches(path).sites == len(names)
    monkeypatch.setattr("compat.analysis.functions._MAX_DECODED", 1000)
    with pytest.raises(AnalysisError, match="several functions"):
        plan_patches(path)
