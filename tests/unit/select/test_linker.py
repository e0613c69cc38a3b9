"""The link: what the table says, what is dropped, which parts come along."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from compat.elf_symbols import symbols
from compat.errors import InternalError
from compat.image import read_kernel
from compat.select.archive import exported
from compat.select.linker import link, read_parts
from compat.syscall_table import read_table


def link_toy(native: Path, calls: set[str], output: Path, without: set[str] = frozenset()) -> frozenset[str]:
    kernel = read_parts(native / "libkernel.a", native / "kernel.ld")
    table = read_table(native / "syscalls.toml")
    return link(kernel, table, frozenset(calls), output, frozenset(without))


def quads(kernel: Path, symbol: str, count: int) -> list[int]:
    value = symbols(kernel.read_bytes(), symbol.encode())[symbol]
    for segment in read_kernel(kernel).segments:
        if segment.vaddr <= value < segment.vaddr + segment.filesz:
            at = segment.offset + value - segment.vaddr
            return list(struct.unpack_from(f"<{count}Q", kernel.read_bytes(), at))
    raise AssertionError(symbol)


def test_the_table_leads_to_what_was_chosen(linkable: Path, tmp_path: Path) -> None:
    link_toy(linkable, {"read"}, tmp_path / "k")
    names = symbols((tmp_path / "k").read_bytes(), b"compat.")
    assert quads(tmp_path / "k", "compat.dispatch", 3) == [
        names["compat.sys.read"],
        names["compat.left_out"],
        names["compat.without_handler"],
    ]
    # Refused calls have no handler.
    assert quads(tmp_path / "k", "compat.dispatch", 170)[169] == names["compat.without_handler"]
    assert "compat.sys.write" not in names


def test_parts_come_with_whoever_needs_them(linkable: Path, tmp_path: Path) -> None:
    assert link_toy(linkable, {"read"}, tmp_path / "k") == set()
    assert "toy_code" not in symbols((tmp_path / "k").read_bytes(), b"toy")
    assert quads(tmp_path / "k", "compat.slot.toy", 3) == [0, 0, 0]
    assert link_toy(linkable, {"write"}, tmp_path / "k") == {"toy", "toy.left", "toy.right"}
    assert "toy_code" in symbols((tmp_path / "k").read_bytes(), b"toy")
    assert 0 not in quads(tmp_path / "k", "compat.slot.toy", 3)


def test_a_part_of_a_part_can_stay_out(linkable: Path, tmp_path: Path) -> None:
    assert link_toy(linkable, {"write"}, tmp_path / "k", {"toy.left"}) == {"toy", "toy.right"}
    assert quads(tmp_path / "k", "compat.slot.toy.left", 1) == [0]


def test_equal_choices_give_equal_bytes(linkable: Path, tmp_path: Path) -> None:
    link_toy(linkable, {"read", "write"}, tmp_path / "one")
    link_toy(linkable, {"write", "read"}, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_strange_dispatch_file_beside_the_user_is_not_read(
    linkable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dispatch.ld").write_text("nonsense")
    monkeypatch.chdir(tmp_path)
    link_toy(linkable, {"read"}, Path("k"))
    assert Path("k").exists()


def test_what_is_no_archive_is_named(tmp_path: Path) -> None:
    for content in (b"", b"!<arch>\n", b"\x7fELF" + bytes(100)):
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(InternalError, match="cannot read"):
            read_parts(tmp_path / "a", tmp_path / "s")


def test_a_linker_that_fails_is_quoted(linkable: Path, tmp_path: Path) -> None:
    (linkable / "kernel.ld").write_text("nonsense(")
    with pytest.raises(InternalError, match="syntax error"):
        link_toy(linkable, {"read"}, tmp_path / "k")


def test_the_index_names_what_nm_names(linkable: Path) -> None:
    lines = subprocess.run(
        ["nm", "-g", "--defined-only", linkable / "libkernel.a"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    expected = {words[2] for words in map(str.split, lines) if len(words) == 3}
    assert exported(linkable / "libkernel.a") == expected
