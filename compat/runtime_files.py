"""Files that a program opens at run time and that no ELF header names.

Three sources: rules for well-known libraries and interpreters, the files of the Debian packages that hold the program
and its libraries, and the libraries of every plug-in found that way, until nothing new appears.
"""

from __future__ import annotations

import fnmatch
import glob
import mmap
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from compat.closure import Closure, locate_library
from compat.dpkg import Dpkg
from compat.elf import is_elf
from compat.package_rules import PACKAGE_PLACES, SKIPPED_NAMES, SKIPPED_PACKAGES, SKIPPED_PLACES
from compat.runtime_rules import RULES, Rule
from compat.tree import Tree

MAX_ROUNDS = 6
# What one rule or package may add unasked; larger data is named instead, and the user may --add it.
MAX_GROUP = 192 << 20
STATIC_LIBRARY = ".a"
PLUGIN_NAME = re.compile(r".*\.so(\.\d+)*")


@dataclass(frozen=True, slots=True)
class Added:
    """One group of files that was added, or left out for its size, for the user to see."""

    reason: str
    paths: tuple[str, ...]
    size: int
    left_out: bool = False


class RuntimeFiles:
    """Collects what to add; `closure` grows with the libraries of plug-ins."""

    def __init__(self, tree: Tree, exe: str, closure: Closure, dpkg: Dpkg | None = None) -> None:
        self.tree = tree
        self.exe = exe
        self.closure = closure
        self.dpkg = dpkg or Dpkg()
        self.added: list[Added] = []
        self.plugins: list[str] = []
        self._done_rules: set[tuple[str, ...]] = set()
        self._done_packages: set[str] = set(SKIPPED_PACKAGES)

    def collect(self) -> None:
        """Rules and packages for what the program loads; then rules for what its plug-ins load, to the end."""
        self._apply_rules(list(self.closure.files), plugins=False)
        self._apply_packages(list(self.closure.files))
        for _ in range(MAX_ROUNDS):
            libraries = self._follow_plugins()
            if not libraries:
                return
            self._apply_rules(libraries, plugins=True)

    def _apply_rules(self, new: list[str], *, plugins: bool) -> None:
        for rule in RULES:
            if plugins and not rule.for_plugins:
                continue
            version = self._triggered(rule, new)
            if version is None:
                continue
            real = os.path.realpath(self.exe)
            values = {
                "version": version,
                "prefix": _prefix(self.exe),
                "real": _prefix(real),
                "dir": os.path.dirname(real),
            }
            values["venv"] = values["prefix"] if os.path.exists(f"{values['prefix']}/pyvenv.cfg") else "/nonexistent"
            if rule.soname and not (rule.program and re.fullmatch(rule.program, os.path.basename(self.exe))):
                values["real"] = values["prefix"] = "/usr"
            patterns = tuple(pattern.format_map(values) for pattern in rule.paths)
            if patterns not in self._done_rules:
                self._done_rules.add(patterns)
                self._add(rule.reason.replace("{version}", version), self._existing(patterns), limited=rule.limited)

    def _triggered(self, rule: Rule, new: list[str]) -> str | None:
        """The version that the rule's trigger names ('' if none), or None."""
        if rule.program and self.exe in new:
            for name in (os.path.basename(self.exe), os.path.basename(os.path.realpath(self.exe))):
                if match := re.fullmatch(rule.program, name):
                    return (match.groups() or ("",))[0] or ""
        for path in new:
            elf = self.closure.files[path]
            if rule.soname and (match := re.fullmatch(rule.soname, elf.soname or os.path.basename(path))):
                return (match.groups() or ("",))[0] or ""
            if _is_libc(path):
                continue
            if rule.imports and not elf.imports.isdisjoint(rule.imports):
                return ""
            if rule.text and path == self.exe and _contains(path, rule.text):
                return ""
        return None

    def _existing(self, patterns: Iterable[str]) -> list[str]:
        found: list[str] = []
        for pattern in patterns:
            if pattern.startswith("lib:"):
                library = locate_library(pattern.removeprefix("lib:"), self.closure.program)
                found += [library] if library is not None else []
            else:
                found += sorted(glob.glob(pattern.replace("[", "[[]")))
        return list(dict.fromkeys(found))

    def _apply_packages(self, objects: list[str]) -> None:
        """Packages of the program and its libraries, and what those depend on as far as it is data for them."""
        owners = self.dpkg.owners({spelling for path in objects for spelling in (path, os.path.realpath(path))})
        mine = self.dpkg.packages.get(owners.get(os.path.realpath(self.exe), ""))
        todo = sorted(set(owners.values()))
        done = set(SKIPPED_PACKAGES)
        files: dict[str, list[str]] = {}
        while todo:
            name = todo.pop(0)
            package = self.dpkg.packages.get(name)
            if package is None or name in done:
                continue
            related = mine is not None and package.source == mine.source
            if name not in owners.values() and not related and (package.essential or self.dpkg.has_programs(name)):
                continue
            done.add(name)
            files[name] = list(self._package_files(name, related=related))
            if related:
                self._add_state_directories(name)
            todo += package.depends
        self._add_packages(files)

    def _add_state_directories(self, package: str) -> None:
        """The empty directories into which a server writes its state and logs: few make them themselves."""
        for path in self.dpkg.files(package):
            if path.startswith("/var/") and os.path.isdir(path) and not os.path.islink(path):
                self.tree.add_dir(path)

    def _add_packages(self, files: dict[str, list[str]]) -> None:
        """One group for all packages, but for those that are too large."""
        small: dict[str, list[str]] = {}
        for name, paths in files.items():
            if sum(map(_size, paths)) > MAX_GROUP:
                self._add(f"data of {name}", paths)
            elif any(self.tree.lookup(path, follow=False) is None for path in paths):
                small[name] = paths
        self._add(f"data of {', '.join(small)}", [path for paths in small.values() for path in paths])

    def _package_files(self, package: str, *, related: bool) -> Iterator[str]:
        for path in self.dpkg.files(package):
            if not path.startswith(PACKAGE_PLACES) or path.startswith(SKIPPED_PLACES) or not _wanted(path):
                continue
            directory, name = os.path.split(path)
            # A library in the linker's own directories comes by the closure, if anything needs it.
            if directory.removeprefix("/usr") in {"/lib", "/lib/x86_64-linux-gnu"} and ".so" in name:
                continue
            if path.startswith("/usr/libexec/") and not related:
                continue
            if os.path.islink(path) or os.path.isfile(path):
                yield path

    def _add(self, reason: str, paths: list[str], *, limited: bool = True) -> None:
        """Adds files and whole directories, and names the group if it added anything."""
        files: list[str] = []
        for path in paths:
            below = list(_files_below(path))
            files += below
            if os.path.isdir(path):
                for directory in {os.path.dirname(file) for file in below}:
                    self.tree.watch(directory)
        fresh = [file for file in files if self.tree.lookup(file, follow=False) is None and os.path.lexists(file)]
        size = sum(_size(file) for file in fresh)
        if not fresh:
            return
        if limited and size > MAX_GROUP:
            self.added.append(Added(reason, tuple(_summary(fresh)), size, left_out=True))
            return
        for file in fresh:
            if os.path.islink(file) and not os.path.exists(file):
                self.tree.add_link(file, os.readlink(file))
            elif os.access(file, os.R_OK):
                self.tree.add_host(file)
        self.plugins += [file for file in fresh if PLUGIN_NAME.fullmatch(file) and is_elf(file)]
        self.added.append(Added(reason, tuple(_summary(paths)), size))

    def _follow_plugins(self) -> list[str]:
        """Brings the libraries that plug-ins need; what is missing leaves only that plug-in unusable."""
        plugins, self.plugins = self.plugins, []
        before = set(self.closure.files)
        self.closure.extend(plugins)
        libraries = [path for path in self.closure.files if path not in before and path not in plugins]
        self._add("libraries of plug-ins", libraries)
        return libraries


def add_runtime_files(tree: Tree, exe: str, closure: Closure) -> list[Added]:
    """Adds what the program's libraries and its package need."""
    runtime = RuntimeFiles(tree, exe, closure)
    runtime.collect()
    return runtime.added


def _prefix(exe: str) -> str:
    return os.path.dirname(os.path.dirname(exe))


def _files_below(path: str) -> Iterator[str]:
    if os.path.islink(path) or not os.path.isdir(path):
        yield path
        if os.path.isdir(path):
            yield from _files_below(os.path.realpath(path))
        return
    for base, directories, names in os.walk(path):
        directories[:] = sorted(name for name in directories if _wanted_directory(base, name))
        links = [name for name in directories if os.path.islink(os.path.join(base, name))]
        for name in sorted([*names, *links]):
            if not name.endswith(STATIC_LIBRARY):
                yield os.path.join(base, name)


def _wanted(path: str) -> bool:
    name = os.path.basename(path)
    return not any(fnmatch.fnmatchcase(name, pattern) for pattern in SKIPPED_NAMES)


def _wanted_directory(base: str, name: str) -> bool:
    """Python's own tests are as large as the rest of its library; packages have a rule of their own."""
    return not (name in {"test", "site-packages", "ensurepip"} and re.search(r"/python3\.\d+$", base))


def _summary(paths: list[str]) -> list[str]:
    """Directories instead of their files, when there are many."""
    if len(paths) <= 4:
        return paths
    return list(dict.fromkeys("/".join(path.split("/")[:5]) for path in paths))


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _is_libc(path: str) -> bool:
    name = os.path.basename(path)
    return name.startswith(("libc.so", "ld-linux", "ld-musl", "libpthread.so", "libm.so", "libresolv.so"))


def _contains(path: str, needles: tuple[bytes, ...]) -> bool:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return any(data.find(needle) >= 0 for needle in needles)
    except (OSError, ValueError):
        return False
