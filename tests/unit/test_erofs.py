"""The EROFS writer, judged by erofs-utils."""

from __future__ import annotations

import itertools
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest

from compat.erofs import format as fmt
from compat.erofs import plan_layout, write_image
from compat.errors import CompatError
from compat.tree import Tree


def write(tree: Tree, path: Path, base: int = 0) -> None:
    layout = plan_layout(tree)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        os.truncate(fd, base + layout.size)
        write_image(layout, fd, base)
    finally:
        os.close(fd)


def extract(image: Path, target: Path) -> Path:
    subprocess.run(["fsck.erofs", f"--extract={target}", image], check=True, capture_output=True)
    return target


def complaints(image: Path) -> str:
    """fsck.erofs tells of errors on stderr and ends with 0 all the same."""
    return subprocess.run(["fsck.erofs", image], check=False, capture_output=True, text=True).stderr


def dump(image: Path, *options: str) -> str:
    return subprocess.run(["dump.erofs", *options, image], check=True, capture_output=True, text=True).stdout


def test_files_directories_and_links_come_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub" / "deep").mkdir(parents=True)
    sizes = (0, 1, 4095, 4096, 4097, 70000, 3 << 20)
    for size in sizes:
        (source / f"f{size}").write_bytes(os.urandom(size))
    (source / "sub" / "deep" / "x").write_text("x")
    (source / "link").symlink_to("sub/deep/x")
    (source / "long-link").symlink_to("y" * 4000)
    os.mkfifo(source / "pipe")
    tree = Tree()
    tree.add_tree(str(source), "/data")
    write(tree, tmp_path / "image")
    out = extract(tmp_path / "image", tmp_path / "out") / "data"
    for size in sizes:
        assert (out / f"f{size}").read_bytes() == (source / f"f{size}").read_bytes()
    assert (out / "sub" / "deep" / "x").read_text() == "x"
    assert os.readlink(out / "link") == "sub/deep/x"
    assert os.readlink(out / "long-link") == "y" * 4000
    assert stat.S_ISFIFO((out / "pipe").stat().st_mode)


def test_metadata_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "tool"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o4751)
    os.utime(file, ns=(0, 1_234_567_890_123_456_789))
    tree = Tree()
    tree.add_host(str(file), "/tool")
    write(tree, tmp_path / "image")
    text = dump(tmp_path / "image", "--path=/tool")
    nid = int(re.search(r"NID: (\d+)", text)[1])
    mode = int.from_bytes((tmp_path / "image").read_bytes()[nid * 32 + 4 :][:2], "little")
    assert mode == stat.S_IFREG | 0o4751
    assert "Uid: 0   Gid: 0" in text
    assert "2009-02-13" in text
    assert ".123456789" in text


@pytest.mark.parametrize("count", [1, 5, 300, 5000])
def test_large_directories(tmp_path: Path, count: int) -> None:
    tree = Tree()
    names = [f"{index:x}{'n' * (index % 50)}" for index in range(count)] + ["!", "-dash", ".hidden", "ü"]
    for name in names:
        tree.add_bytes(f"/d/{name}", name.encode())
    write(tree, tmp_path / "image")
    out = extract(tmp_path / "image", tmp_path / "out") / "d"
    assert sorted(os.listdir(out)) == sorted(names)
    assert all((out / name).read_text() == name for name in names[:: max(1, count // 50)])


def test_names_of_the_longest_kind(tmp_path: Path) -> None:
    tree = Tree()
    for index in range(40):
        tree.add_bytes(f"/{chr(97 + index % 26) * 250}{index:05}", b"")
    write(tree, tmp_path / "image")
    assert len(os.listdir(extract(tmp_path / "image", tmp_path / "out"))) == 40


def test_hard_links_share_an_inode(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("same")
    os.link(source / "a", source / "b")
    tree = Tree()
    tree.add_tree(str(source), "/s")
    layout = plan_layout(tree)
    first, second = tree.lookup("/s/a"), tree.lookup("/s/b")
    assert first is second
    assert first is not None
    assert layout.by_node[id(first)].nlink == 2
    write(tree, tmp_path / "image")
    assert "Links: 2" in dump(tmp_path / "image", "--path=/s/a")


def test_device_nodes(tmp_path: Path) -> None:
    tree = Tree()
    tree.add_host("/dev/null")
    write(tree, tmp_path / "image")
    assert "char dev" in dump(tmp_path / "image", "--path=/dev/null")
    assert fmt.encode_device(os.makedev(1, 3)) == 0x103
    assert fmt.encode_device(os.makedev(8, 300)) == (300 & 0xFF) | 8 << 8 | (300 & ~0xFF) << 12


def test_directory_link_counts(tmp_path: Path) -> None:
    tree = Tree()
    for name in ("a", "b", "c"):
        tree.add_dir(f"/d/{name}")
    write(tree, tmp_path / "image")
    assert "Links: 5" in dump(tmp_path / "image", "--path=/d")


def test_large_files_are_aligned(tmp_path: Path) -> None:
    tree = Tree()
    for index, size in enumerate((5 << 20, 100, 2 << 20, 70000, 4096)):
        tree.add_bytes(f"/f{index}", bytes(size))
    layout = plan_layout(tree)
    for item in layout.placed:
        if item.node.is_file:
            unit = 2 << 20 if item.size >= 2 << 20 else 64 << 10 if item.size >= 64 << 10 else 4096
            assert item.block * fmt.BLOCK % unit == 0
    assert layout.size < 12 << 20
    spans = sorted((i.block, i.block + -(-i.size // 4096)) for i in layout.placed if i.node.is_file)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(spans))


def test_it_is_written_in_large_aligned_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that file systems can keep it in memory in huge pages."""
    tree = Tree()
    (tmp_path / "large").write_bytes(os.urandom(5 << 20))
    tree.add_host(str(tmp_path / "large"), "/large")
    for index in range(50):
        tree.add_bytes(f"/small{index}", bytes(index * 1000))
    pieces: list[tuple[int, int]] = []
    really_write = os.pwrite

    def watched(fd: int, data: memoryview, offset: int) -> int:
        pieces.append((offset, len(data)))
        return really_write(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", watched)
    base = 3 << 20
    write(tree, tmp_path / "image", base)
    assert all(offset % (4 << 20) == 0 for offset, _ in pieces[1:])
    assert all((offset + size) % (4 << 20) == 0 for offset, size in pieces[:-1])
    assert [offset for offset, _ in pieces] == [base, 4 << 20, 8 << 20]


def test_equal_trees_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        tree = Tree()
        for path in ("/b", "/a/x", "/a/y") if name == "one" else ("/a/y", "/b", "/a/x"):
            tree.add_bytes(path, path.encode())
        write(tree, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_checksum_holds_and_notices_damage(tmp_path: Path) -> None:
    tree = Tree()
    tree.add_bytes("/f", b"data")
    image = tmp_path / "image"
    write(tree, image)
    assert complaints(image) == ""
    data = bytearray(image.read_bytes())
    data[fmt.SUPER_OFFSET + 100] ^= 1
    image.write_bytes(data)
    assert "checksum" in complaints(image)


def test_an_image_may_lie_inside_a_file(tmp_path: Path) -> None:
    tree = Tree()
    tree.add_bytes("/f", b"data")
    image = tmp_path / "image"
    write(tree, image, base=8192)
    (tmp_path / "cut").write_bytes(image.read_bytes()[8192:])
    assert (extract(tmp_path / "cut", tmp_path / "out") / "f").read_text() == "data"


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "growing"
    file.write_text("1")
    tree = Tree()
    tree.add_host(str(file), "/growing")
    layout = plan_layout(tree)
    file.write_text("12")
    fd = os.open(tmp_path / "image", os.O_RDWR | os.O_CREAT)
    try:
        with pytest.raises(CompatError, match="changed while"):
            write_image(layout, fd)
    finally:
        os.close(fd)


def test_inode_numbers_are_those_on_disk(tmp_path: Path) -> None:
    tree = Tree()
    node = tree.add_bytes("/usr/bin/tool", b"#!")
    layout = plan_layout(tree)
    write(tree, tmp_path / "image")
    match = re.search(r"NID: (\d+)", dump(tmp_path / "image", "--path=/usr/bin/tool"))
    assert match
    assert int(match[1]) == layout.nid(node)
