"""Patch plans in the image: which files, under which inode number, cached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compat import plans
from compat.analysis import decode_plans
from compat.erofs import plan_layout
from compat.plans import make_plans
from compat.tree import Tree

pytestmark = pytest.mark.usefixtures("native_parts")

CALL = r"""
__attribute__((noinline)) long f(void)
{
    long r;
    __asm__ volatile ("mov $39, %%eax\n\tsyscall" : "=a"(r) :: "rcx", "r11", "memory");
    return r;
}
"""


@pytest.fixture
def program(compile_c: Callable[..., Path]) -> Path:
    return compile_c("calls", CALL + "int main(void) { return f() < 0; }\n")


def tree_of(*paths: Path | str) -> Tree:
    tree = Tree()
    for path in paths:
        tree.add_host(str(path))
    return tree


def test_records_are_under_the_inode_of_the_file(program: Path) -> None:
    tree = tree_of(program, "/etc/hostname")
    layout = plan_layout(tree)
    segment, summary = make_plans(tree, layout)
    node = tree.lookup(str(program))
    assert node is not None
    records = decode_plans(segment)[layout.nid(node)]
    data = program.read_bytes()
    assert summary.patched == len(records) >= 1
    assert all(data[record.site : record.site + 2] == b"\x0f\x05" for record in records)
    assert 39 in {record.nr for record in records}


def test_links_are_planned_once(program: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(program)
    tree = tree_of(program, link)
    _, summary = make_plans(tree, plan_layout(tree))
    assert summary.files == 1


def test_the_second_time_nothing_is_analysed(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = tree_of(program)
    layout = plan_layout(tree)
    first, _ = make_plans(tree, layout)
    monkeypatch.setattr(plans, "_plan_new", lambda todo, _directory: pytest.fail("analysed") if todo else [])
    assert make_plans(tree, layout)[0] == first


def test_several_processes_agree_with_one(program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tree = tree_of(program, "/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2")
    layout = plan_layout(tree)
    seen: list[tuple[int, int]] = []
    many, _ = make_plans(tree, layout, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    monkeypatch.setattr(plans, "WORTH_A_PROCESS", 1 << 40)
    assert make_plans(tree, layout)[0] == many


def test_a_file_that_cannot_be_analysed_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"\x7fELF" + bytes(100) + b"\x0f\x05")
    tree = tree_of(broken)
    _, summary = make_plans(tree, plan_layout(tree))
    assert list(summary.failed) == [str(broken)]


def test_no_code_gives_an_empty_segment() -> None:
    tree = tree_of("/etc/hostname")
    segment, summary = make_plans(tree, plan_layout(tree))
    assert decode_plans(segment) == {}
    assert summary.found == 0
