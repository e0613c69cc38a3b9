"""Files that are damaged, strange or hostile: a result or a reason, in bounded time."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.closure import find_closure
from compat.reach import Reach, find_reach
from tests.unit.reach.test_reach import ACCT, BARE, EXIT, GETPID, START, SYNC

TEXT = START + "void _start(void) { call(39, 0); call(60, 0); }"
E_SHOFF, E_SHNUM, E_PHOFF, PHDR_SIZE = 0x28, 0x3C, 0x40, 56
P_FLAGS, P_FILESZ, P_MEMSZ = 4, 32, 40


@pytest.fixture
def good(compile_c: Callable[..., Path]) -> Path:
    return compile_c("good", TEXT, *BARE)


def reach_of_file(good: Path, file: Path) -> Reach:
    """As if the file had been closed over: what the closure would refuse itself must be harmless too."""
    closure = find_closure(str(good))
    closure.files = {str(file): closure.program}
    return find_reach(closure)


def executable_header(data: bytes) -> int:
    """Where the program header of the code lies."""
    count = struct.unpack_from("<H", data, 0x38)[0]
    headers = [E_PHOFF + PHDR_SIZE * index for index in range(count)]
    return next(at for at in headers if struct.unpack_from("<II", data, at) == (1, 5))


def test_corpus(good, tmp_path):
    generator = Path(__file__).parents[2] / "elf_corpus" / "make_corpus.py"
    subprocess.run([sys.executable, str(generator), str(tmp_path)], check=True)
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        reach = reach_of_file(good, path)
        assert reach.calls or reach.unknown_files or not reach.unbounded
        assert set(reach.unknown_files.values()) != {"the analysis failed"}, path


def test_without_sections(good, tmp_path):
    data = bytearray(good.read_bytes())
    struct.pack_into("<Q", data, E_SHOFF, 0)
    struct.pack_into("<HHH", data, E_SHNUM - 2, 0, 0, 0)
    (tmp_path / "file").write_bytes(data)
    assert set(reach_of_file(good, tmp_path / "file").calls) == {GETPID, EXIT}


def test_a_sparse_file_of_one_gigabyte(good, tmp_path):
    data = bytearray(good.read_bytes())
    last = max(E_PHOFF + PHDR_SIZE * index for index in range(struct.unpack_from("<H", data, 0x38)[0]))
    values = (1, 4, 0, 0x10000000, 0x10000000, 1 << 30, 1 << 30, 4096)
    struct.pack_into("<IIQQQQQQ", data, last, *values)
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("r+b") as file:
        file.truncate(1 << 30)
    assert "too large" in reach_of_file(good, path).unknown_files[str(path)]


def test_code_that_may_change_itself(good, tmp_path):
    data = bytearray(good.read_bytes())
    struct.pack_into("<I", data, executable_header(data) + P_FLAGS, 7)
    (tmp_path / "file").write_bytes(data)
    assert "writable" in reach_of_file(good, tmp_path / "file").unknown_files[str(tmp_path / "file")]


def test_packed_programs_are_named(compile_c, tmp_path):
    text = TEXT + '\n__asm__(".text; .p2align 4; .ascii \\"UPX!\\"");'
    packed = compile_c("packed", text, *BARE, "-Wl,-z,noseparate-code")
    reach = find_reach(find_closure(str(packed)))
    assert "UPX" in reach.unknown_files[str(packed)]


def test_the_first_of_two_definitions_counts_and_cycles_end(compile_c):
    """Two libraries that need each other and export one symbol: the dynamic linker takes the first in load order."""
    stub = compile_c("libcycle.so", "int nothing;", "-shared", "-fPIC", "-Wl,-soname,libsecond.so")
    flags = ("-shared", "-fPIC", f"-Wl,-rpath,{stub.parent}", "-Wl,--no-as-needed")
    head = "#include <unistd.h>\n"
    first = compile_c("libfirst.so", head + "void f(void) { sync(); }", *flags, str(stub), "-Wl,-soname,libfirst.so")
    second = compile_c(
        "libsecond.so", head + "void f(void) { acct(0); }", *flags, str(first), "-Wl,-soname,libsecond.so"
    )
    program = compile_c(
        "cycle", "void f(void); int main(void) { f(); }", "-Wl,--no-as-needed", str(first), str(second),
        f"-Wl,-rpath,{stub.parent}",
    )  # fmt: skip
    reach = find_reach(find_closure(str(program)))
    assert SYNC in reach.calls
    assert ACCT not in reach.calls
