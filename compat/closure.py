"""The library closure: every file that the dynamic linker will open before the program starts.

It follows ld.so(8) (glibc) or musl's linker: DT_RPATH of the object and its loaders unless there is a DT_RUNPATH, the
cache, the default directories. LD_LIBRARY_PATH is the user's session, not the program's, and is ignored.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache

from compat.elf import ElfError, ElfFile, read_elf
from compat.errors import MissingLibraryError
from compat.ldcache import read_cache

GLIBC_DIRS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
MUSL_DIRS = ("/lib", "/usr/local/lib", "/usr/lib")
MUSL_PATH_FILE = "/etc/ld-musl-x86_64.path"


@dataclass(slots=True)
class Closure:
    """`files` maps the path under which each object is opened to what was read from it, the program first."""

    program: ElfFile
    files: dict[str, ElfFile] = field(default_factory=dict)
    # Libraries that only plug-ins need and that the host lacks: name to one that needs it.
    missing: dict[str, str] = field(default_factory=dict)
    # Where the files lie that the program finds at /; nothing: on this machine itself. Paths in `files` begin with it.
    root: str = ""
    _loaded: dict[str, str] = field(default_factory=dict)

    @property
    def musl(self) -> bool:
        return "ld-musl" in (self.program.interpreter or "")

    def resolve(self, loaded: dict[str, str]) -> None:
        """Finds the program's libraries; `loaded` names what is there already."""
        self._loaded.update(loaded)
        self._follow(self.program, (), optional=False)

    def extend(self, plugins: Iterable[str]) -> None:
        """Adds objects that the program may load itself, and their libraries, as far as the host has them."""
        roots = []
        for plugin in plugins:
            if plugin in self.files:
                continue
            with contextlib.suppress(ElfError):
                elf = read_elf(plugin)
                self.files[plugin] = elf
                self._loaded.setdefault(elf.soname or os.path.basename(plugin), plugin)
                roots.append(elf)
        for elf in roots:
            self._follow(elf, (self.program,), optional=True)

    def _follow(self, root: ElfFile, loaders: tuple[ElfFile, ...], *, optional: bool) -> None:
        queue = deque([(root, loaders)])
        while queue:
            elf, loaders = queue.popleft()
            for name in elf.needed:
                if name in self._loaded:
                    continue
                found = _locate(name, elf, loaders, musl=self.musl, root=self.root)
                if found is None:
                    self._report(name, elf, optional=optional)
                    continue
                path, library = found
                self._loaded[name] = path
                self._loaded.setdefault(library.soname or name, path)
                if path not in self.files:
                    self.files[path] = library
                    queue.append((library, (*loaders, elf)))

    def _report(self, name: str, elf: ElfFile, *, optional: bool) -> None:
        if optional:
            self.missing.setdefault(name, elf.path)
            return
        hint = f"install the package that holds {name}, or check the program's RPATH"
        raise MissingLibraryError(f"{elf.path} needs the library {name}, which was not found", hint)


def find_closure(path: str, root: str = "") -> Closure:
    """The program, its interpreter and all their libraries. `path` begins with `root`, see `Closure`."""
    program = read_elf(path, program=True)
    if root and program.interpreter is not None:
        program = replace(program, interpreter=root + program.interpreter)
    closure = Closure(program, {path: program}, root=root)
    if program.interpreter is not None:
        interpreter = _read_interpreter(program, program.interpreter)
        closure.files[program.interpreter] = interpreter
        names = {interpreter.soname or "", os.path.basename(program.interpreter)}
        if closure.musl:
            names |= {"libc.so", "libc.musl-x86_64.so.1"}
        closure.resolve(dict.fromkeys(names, program.interpreter))
    return closure


def _read_interpreter(program: ElfFile, path: str) -> ElfFile:
    if not os.path.exists(path):
        raise MissingLibraryError(f"{program.path} needs the interpreter {path}, which is not on this machine")
    return read_elf(path)


def locate_library(name: str, program: ElfFile) -> str | None:
    """Where a program's dlopen(3) would find a library."""
    found = _locate(name, program, (), musl="ld-musl" in (program.interpreter or ""))
    return found[0] if found is not None else None


def _locate(
    name: str, elf: ElfFile, loaders: tuple[ElfFile, ...], *, musl: bool, root: str = ""
) -> tuple[str, ElfFile] | None:
    if "/" in name:
        return _usable(root + _expand(name, elf.path, root))
    for directory in _directories(elf, loaders, musl=musl, root=root):
        found = _usable(root + os.path.join(directory, name))
        if found is not None:
            return found
    cached = None if musl or elf.no_default_lib else known_libraries(root).get(name)
    if cached is not None and (found := _usable(root + cached)) is not None:
        return found
    if elf.no_default_lib:
        return None
    for directory in _musl_dirs(root) if musl else GLIBC_DIRS:
        if (found := _usable(root + os.path.join(directory, name))) is not None:
            return found
    return None


def _directories(elf: ElfFile, loaders: tuple[ElfFile, ...], *, musl: bool, root: str) -> list[str]:
    """The directories that the files themselves name, in the order of the dynamic linker."""
    if elf.runpath and not musl:
        return [_expand(entry, elf.path, root) for entry in elf.runpath]
    directories = []
    for owner in (elf, *reversed(loaders)):
        entries = owner.runpath or owner.rpath if musl else (() if owner.runpath else owner.rpath)
        directories += [_expand(entry, owner.path, root) for entry in entries]
    return directories


def _expand(entry: str, owner: str, root: str) -> str:
    """Dynamic string tokens; $LIB is what Debian's ld.so has compiled in."""
    origin = os.path.dirname(os.path.realpath(owner)).removeprefix(root) or "/"
    values = {"ORIGIN": origin, "LIB": "lib/x86_64-linux-gnu", "PLATFORM": "x86_64"}
    for token, value in values.items():
        entry = entry.replace("${" + token + "}", value).replace("$" + token, value)
    return os.path.normpath(os.path.join("/", entry)) if entry.startswith("/") else os.path.abspath(entry)


def _usable(path: str) -> tuple[str, ElfFile] | None:
    """A library that the linker would take: it silently skips files of another class or machine."""
    if not os.path.isfile(path):
        return None
    try:
        return path, read_elf(path)
    except ElfError:
        return None


@cache
def known_libraries(root: str = "") -> dict[str, str]:
    """By the dynamic linker's cache."""
    return read_cache(f"{root}/etc/ld.so.cache")


@cache
def _musl_dirs(root: str) -> tuple[str, ...]:
    try:
        with open(root + MUSL_PATH_FILE, encoding="utf-8") as file:
            entries = file.read().replace("\n", ":").split(":")
    except OSError:
        return MUSL_DIRS
    return tuple(entry for entry in entries if entry)
