"""Directories and files that programs expect on any Linux system, when the host's own are not taken."""

from __future__ import annotations

import os

from compat.tree import Tree

# ruff: noqa: S108 - the image's own directories, not this machine's
_DIRECTORIES = ("/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/tmp", "/usr", "/var", "/var/tmp")
_MODES = {"/root": 0o700, "/tmp": 0o1777, "/var/tmp": 0o1777}
_MERGED = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")

PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUP = b"root:x:0:\nnogroup:x:65534:\n"
NSSWITCH = b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"


def add_skeleton(tree: Tree) -> None:
    """The directories and the merged-/usr links."""
    for path in _MERGED:
        if os.path.islink(path):
            tree.add_link(path, os.readlink(path))
    for path in _DIRECTORIES:
        tree.add_dir(path, _MODES.get(path, 0o755))
    tree.add_link("/etc/mtab", "/proc/self/mounts")
    tree.add_link("/var/run", "/run")


def add_own_files(tree: Tree) -> None:
    """Small account files of the image's own, unless there are others: those that the user adds.

    They are made here, not copied: the host's users are none of the image's business. /etc/hosts is not: the kernel
    writes it at the start, with the name and the addresses that the guest then has.
    """
    files = {"passwd": PASSWD, "group": GROUP, "nsswitch.conf": NSSWITCH, "hostname": b"compat\n"}
    for name, data in files.items():
        if tree.lookup(f"/etc/{name}") is None:
            tree.add_bytes(f"/etc/{name}", data)
