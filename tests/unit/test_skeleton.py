"""What is in every image, and what of it the user may replace."""

from __future__ import annotations

from pathlib import Path

from compat.program import find_program
from compat.skeleton import PASSWD
from compat.tree import Tree
from compat.wrap import fill
from compat.wrap_request import Addition


def passwd(program: Path, *additions: Addition) -> bytes:
    tree = Tree()
    fill(tree, find_program(str(program)), additions, lean=True)
    node = tree.lookup("/etc/passwd")
    assert node is not None
    return Path(node.source).read_bytes() if node.source else node.data


def test_the_hosts_users_stay_outside(static_hello: Path) -> None:
    assert passwd(static_hello) == PASSWD


def test_the_hosts_users_come_when_they_are_added(static_hello: Path) -> None:
    assert passwd(static_hello, Addition("/etc/passwd", "/etc/passwd")) == Path("/etc/passwd").read_bytes()


def test_others_come_when_they_are_added(static_hello: Path, tmp_path: Path) -> None:
    own = tmp_path / "passwd"
    own.write_bytes(b"somebody:x:5:5::/:/bin/sh\n")
    assert passwd(static_hello, Addition(str(own), "/etc/passwd")) == own.read_bytes()
