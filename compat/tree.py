"""The root file system as a tree of nodes, before it is written.

Host paths keep their place: adding `/lib64/ld-linux-x86-64.so.2` also adds every symbolic link on the way, so the
program finds its files under the names that it knows from the host.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from compat.errors import CompatError

MAX_LINKS = 40


@dataclass(slots=True, eq=False)
class Node:
    """One inode. Regular files take their bytes from `source` (a host path) or from `data`."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    size: int = 0
    rdev: int = 0
    data: bytes = b""
    source: str | None = None
    children: dict[bytes, Node] = field(default_factory=dict)

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)


def directory(mode: int = 0o755) -> Node:
    return Node(mode=stat.S_IFDIR | mode)


class Tree:
    """Builds the root. `keep_ids` keeps the owners of the host's files; otherwise all belong to root."""

    def __init__(self, *, keep_ids: bool = False) -> None:
        self.root = directory()
        self.keep_ids = keep_ids
        self.inputs: dict[str, os.stat_result] = {}
        self._by_inode: dict[tuple[int, int], Node] = {}
        # Directories by a path without links: most files are added into one that is known.
        self._plain_dirs: dict[str, Node] = {"/": self.root}

    def add_host(self, host: str, guest: str | None = None) -> Node:
        """Adds one host file, link or (empty) directory, and what its path passes through."""
        if guest is None or guest == host:
            return self._add_following(os.path.abspath(host))
        node = self._from_host(os.path.realpath(host))
        return self._attach(guest, node)

    def add_tree(self, host: str, guest: str | None = None, keep: Callable[[str], bool] | None = None) -> None:
        """Adds a directory with everything below it; `keep(path)` false leaves a path out."""
        guest = os.path.abspath(host) if guest is None else guest
        self.add_host(host, guest)
        self.watch(host)
        try:
            entries = sorted(os.scandir(host), key=lambda entry: entry.name)
        except OSError as error:
            raise CompatError(f"cannot read directory {host}: {error.strerror}") from error
        for entry in entries:
            target = os.path.join(guest, entry.name)
            if keep is not None and not keep(entry.path):
                continue
            if entry.is_dir(follow_symlinks=False):
                self.add_tree(entry.path, target, keep)
            else:
                self._attach(target, self._from_host(entry.path))

    def watch(self, directory: str) -> None:
        """Makes a directory an input: a file that appears in it makes an image stale."""
        with contextlib.suppress(OSError):
            self.inputs[directory] = os.lstat(directory)

    def add_bytes(self, guest: str, data: bytes, mode: int = 0o644) -> Node:
        return self._attach(guest, Node(mode=stat.S_IFREG | mode, data=data, size=len(data)))

    def add_link(self, guest: str, target: str) -> Node:
        raw = os.fsencode(target)
        return self._attach(guest, Node(mode=stat.S_IFLNK | 0o777, data=raw, size=len(raw)))

    def add_dir(self, guest: str, mode: int = 0o755) -> Node:
        """Makes a directory where there is none yet; an existing one stays as it is."""
        found = self.lookup(guest)
        if found is not None and found.is_dir:
            return found
        return self._attach(guest, directory(mode))

    def lookup(self, guest: str, *, follow: bool = True) -> Node | None:
        """The node at a path, symbolic links followed inside the tree."""
        path = self._resolve(guest, follow=follow)
        node = self.root
        for name in _parts(path):
            child = node.children.get(name)
            if child is None:
                return None
            node = child
        return node

    def walk(self) -> Iterator[tuple[bytes, Node]]:
        """All nodes with their paths, parents first, names in order; hard links appear under every name."""
        stack: list[tuple[bytes, Node]] = [(b"/", self.root)]
        while stack:
            path, node = stack.pop()
            yield path, node
            base = path if path.endswith(b"/") else path + b"/"
            stack.extend((base + name, node.children[name]) for name in sorted(node.children, reverse=True))

    def _add_following(self, path: str) -> Node:
        """Walks a host path and copies each link on the way, then what the last one points at."""
        todo = [part for part in path.split("/") if part]
        here, links = "", 0
        node = self.root
        while todo:
            name = todo.pop(0)
            if name == "..":
                here = os.path.dirname(here).rstrip("/")
                continue
            here = f"{here}/{name}"
            node = self._attach_once(here)
            if node.is_link:
                links += 1
                if links > MAX_LINKS:
                    raise CompatError(f"too many symbolic links in {path}")
                target = os.fsdecode(node.data)
                todo = [part for part in target.split("/") if part and part != "."] + todo
                here = "" if target.startswith("/") else os.path.dirname(here).rstrip("/")
        return self.lookup(here or "/") or node

    def _attach_once(self, path: str) -> Node:
        """One component of a host path, whose parents are in the tree already."""
        above, name = os.path.split(path)
        parent = self._plain_dirs.get(above)
        if parent is None:
            found = self.lookup(path, follow=False)
            return found if found is not None else self._attach(path, self._passed_through(path))
        node = parent.children.get(os.fsencode(name))
        if node is None:
            node = parent.children[os.fsencode(name)] = self._passed_through(path)
        if node.is_dir:
            self._plain_dirs[path] = node
        return node

    def _attach(self, guest: str, node: Node) -> Node:
        """Puts a node at a path (replacing a file, merging with a directory); parents are made like the host's."""
        parent_path, name = os.path.split(os.path.normpath(guest))
        if not name:
            return self.root
        parent = self._parent(parent_path)
        raw = os.fsencode(name)
        old = parent.children.get(raw)
        if old is not None and old.is_dir and node.is_dir:
            old.mode, old.uid, old.gid, old.mtime_ns = node.mode, node.uid, node.gid, node.mtime_ns
            return old
        if old is not None and old.is_dir != node.is_dir:
            raise CompatError(f"{guest} would be both a directory and a file in the image")
        parent.children[raw] = node
        return node

    def _parent(self, path: str) -> Node:
        node = self.root
        resolved = self._resolve(path, follow=True)
        here = ""
        for name in _parts(resolved):
            here = f"{here}/{os.fsdecode(name)}"
            child = node.children.get(name)
            if child is None:
                child = self._directory_like_host(here)
                node.children[name] = child
            if not child.is_dir:
                raise CompatError(f"{here} is not a directory in the image")
            node = child
        return node

    def _passed_through(self, path: str) -> Node:
        """A directory on the way is no input: what else appears in it is none of the image's business."""
        if os.path.isdir(path) and not os.path.islink(path):
            return self._directory_like_host(path)
        return self._from_host(path)

    def _directory_like_host(self, path: str) -> Node:
        try:
            status = os.stat(path)
        except OSError:
            return directory()
        return self._meta(status) if stat.S_ISDIR(status.st_mode) else directory()

    def _resolve(self, guest: str, *, follow: bool) -> str:
        todo = [part for part in guest.split("/") if part and part != "."]
        done: list[str] = []
        node: Node | None = self.root
        links = 0
        while todo:
            name = todo.pop(0)
            if name == "..":
                done = done[:-1]
                node = self._plain(done)
                continue
            child = node.children.get(os.fsencode(name)) if node is not None else None
            if child is not None and child.is_link and (todo or follow):
                links += 1
                if links > MAX_LINKS:
                    raise CompatError(f"too many symbolic links in the image at {guest}")
                target = os.fsdecode(child.data)
                todo = [part for part in target.split("/") if part and part != "."] + todo
                if target.startswith("/"):
                    done = []
                node = self._plain(done)
                continue
            done.append(name)
            node = child
        return "/" + "/".join(done)

    def _plain(self, parts: list[str]) -> Node | None:
        node: Node | None = self.root
        for part in parts:
            node = node.children.get(os.fsencode(part)) if node is not None else None
        return node

    def _from_host(self, path: str) -> Node:
        try:
            status = os.lstat(path)
            self.inputs[path] = status
            key = (status.st_dev, status.st_ino)
            mode = status.st_mode
            if stat.S_ISREG(mode) and key in self._by_inode:
                return self._by_inode[key]
            node = self._meta(status)
            if stat.S_ISREG(mode):
                node.source, node.size = path, status.st_size
                if status.st_nlink > 1:
                    self._by_inode[key] = node
                if not os.access(path, os.R_OK):
                    raise CompatError(f"cannot read {path}: permission denied")
            elif stat.S_ISLNK(mode):
                node.data = os.fsencode(os.readlink(path))
                node.size = len(node.data)
        except OSError as error:
            raise CompatError(f"cannot read {path}: {error.strerror}") from error
        return node

    def _meta(self, status: os.stat_result) -> Node:
        uid, gid = (status.st_uid, status.st_gid) if self.keep_ids else (0, 0)
        return Node(mode=status.st_mode, uid=uid, gid=gid, mtime_ns=status.st_mtime_ns, rdev=status.st_rdev)


def _parts(path: str) -> list[bytes]:
    return [os.fsencode(part) for part in path.split("/") if part]
