"""The tree: host paths keep their links, conflicts are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat.errors import CompatError
from compat.tree import Tree


def test_links_on_the_way_come_along(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "lib.so.1.2").write_text("x")
    (tmp_path / "real" / "lib.so.1").symlink_to("lib.so.1.2")
    (tmp_path / "lib").symlink_to("real")
    (tmp_path / "abs").symlink_to(tmp_path / "lib")
    tree = Tree()
    node = tree.add_host(f"{tmp_path}/abs/lib.so.1")
    assert node.source == f"{tmp_path}/real/lib.so.1.2"
    assert tree.lookup(f"{tmp_path}/abs", follow=False).is_link
    assert tree.lookup(f"{tmp_path}/lib", follow=False).is_link
    assert tree.lookup(f"{tmp_path}/abs/lib.so.1") is node
    assert tree.lookup(f"{tmp_path}/real/lib.so.1", follow=False).is_link


def test_a_parent_step_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "short").symlink_to("a/b")
    (tmp_path / "link").symlink_to("short/../file")
    tree = Tree()
    assert tree.add_host(str(tmp_path / "link")).source == f"{tmp_path}/a/file"


def test_a_loop_of_links_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(CompatError, match="too many symbolic links"):
        Tree().add_host(str(tmp_path / "a"))


def test_a_new_place(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (tmp_path / "l").symlink_to("f")
    tree = Tree()
    node = tree.add_host(str(tmp_path / "l"), "/etc/thing")
    assert not node.is_link
    assert tree.lookup("/etc/thing") is node


def test_files_and_directories_do_not_mix() -> None:
    tree = Tree()
    tree.add_bytes("/a", b"")
    with pytest.raises(CompatError, match="not a directory"):
        tree.add_bytes("/a/b", b"")
    tree.add_dir("/d")
    with pytest.raises(CompatError, match="both a directory and a file"):
        tree.add_bytes("/d", b"")


def test_later_files_replace_earlier_ones() -> None:
    tree = Tree()
    tree.add_bytes("/f", b"1")
    tree.add_bytes("/f", b"2")
    assert tree.lookup("/f").data == b"2"


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CompatError, match=r"cannot read .*nothing"):
        Tree().add_host(str(tmp_path / "nothing"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_permission_is_checked_early(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "secret").chmod(0)
    with pytest.raises(CompatError, match="permission denied"):
        Tree().add_host(str(tmp_path / "secret"))


def test_owners_are_kept_only_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_text("x")
    if os.geteuid() == 0:
        os.chown(file, 1000, 1001)
    status = file.stat()
    assert Tree().add_host(str(file), "/f").uid == 0
    kept = Tree(keep_ids=True).add_host(str(file), "/f")
    assert (kept.uid, kept.gid) == (status.st_uid, status.st_gid)


def test_what_was_read_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    tree = Tree()
    tree.add_tree(str(tmp_path / "d"), "/d")
    assert {str(tmp_path / "d"), str(tmp_path / "d" / "f")} <= tree.inputs.keys()


def test_directories_on_the_way_are_no_inputs(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_text("x")
    tree = Tree()
    tree.add_host(str(tmp_path / "a" / "b" / "f"))
    assert list(tree.inputs) == [str(tmp_path / "a" / "b" / "f")]
    tree.add_tree(str(tmp_path / "a"))
    assert set(tree.inputs) == {str(tmp_path / name) for name in ("a", "a/b", "a/b/f")}
