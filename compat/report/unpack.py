"""The code of an image, laid out as files again, so that it is followed as a program's is."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from compat.closure import Closure, find_closure
from compat.elf import ElfError, is_elf, read_elf
from compat.erofs.reader import DamagedError, Entry, Reader
from compat.errors import CompatError
from compat.inspection import Inspection, inspect, open_root
from compat.reach.model import CallUse, Reach, Step
from compat.runtime_files import PLUGIN_NAME

ELF_MAGIC = b"\x7fELF"
# What the dynamic linkers read besides libraries.
LINKER_FILES = frozenset({b"/etc/ld.so.cache", b"/etc/ld-musl-x86_64.path"})
# Names may share their bytes, but not so often that an image grows to more than this.
GROWTH = 8


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`root` is the directory that all paths in `closure` begin with."""

    root: str
    inspection: Inspection
    closure: Closure

    def plain(self, text: str) -> str:
        """A path as the image has it."""
        return text.replace(self.root, "")


@contextmanager
def unpacked(path: Path) -> Iterator[Unpacked]:
    """For as long as it is needed."""
    inspection = inspect(path)
    exe = inspection.configuration.get("exe", [""])[0]
    with tempfile.TemporaryDirectory(prefix="compat-report-") as root:
        with open_root(path) as reader:
            try:
                _unpack(reader, root, GROWTH * inspection.size)
            except (DamagedError, OSError, ValueError) as error:
                raise CompatError(f"{path} is no whole image: {error}") from error
        if not os.path.isfile(root + exe):
            raise CompatError(f"{path} is no whole image: it lacks its program {exe}")
        try:
            closure = find_closure(root + exe, root)
        except CompatError as error:
            raise type(error)(str(error).replace(root, ""), error.hint) from error
        closure.extend(_plugins(root, closure))
        yield Unpacked(root, inspection, closure)


def _unpack(reader: Reader, root: str, limit: int) -> None:
    """Directories, links and code. Nothing lands outside `root`, whatever the names and links say."""
    for entry in reader.walk():
        if os.path.normpath(entry.path) != entry.path or entry.path.startswith(b"//") or entry.path[:1] != b"/":
            raise DamagedError(f"{os.fsdecode(entry.path)}: no name")
        place = os.fsencode(root) + entry.path
        if stat.S_ISDIR(entry.mode):
            os.makedirs(place, exist_ok=True)
        elif stat.S_ISLNK(entry.mode):
            target = os.path.normpath(os.path.join(os.path.dirname(entry.path), b"".join(reader.content(entry))))
            os.symlink(os.fsencode(root) + target, place)
        elif stat.S_ISREG(entry.mode) and (entry.path in LINKER_FILES or _is_code(reader, entry)):
            limit -= entry.size
            if limit < 0:
                raise DamagedError("its files are larger than it can hold")
            _write(reader, entry, place)


def _is_code(reader: Reader, entry: Entry) -> bool:
    return next(reader.content(entry), b"").startswith(ELF_MAGIC)


def _write(reader: Reader, entry: Entry, place: bytes) -> None:
    with open(place, "wb") as file:
        file.writelines(reader.content(entry))
        os.fchmod(file.fileno(), stat.S_IMODE(entry.mode) & 0o777 | 0o400)


def _plugins(root: str, closure: Closure) -> list[str]:
    """Shared objects that no other file needs: what else would load them but the program itself."""
    found = [os.path.join(base, name) for base, _, names in os.walk(root) for name in names]
    code = [path for path in sorted(found) if not os.path.islink(path) and is_elf(path)]
    known = {os.path.realpath(path) for path in closure.files}
    needed: set[str] = set()
    names: dict[str, str | None] = {}
    for path in code:
        try:
            elf = read_elf(path)
        except ElfError:
            continue
        needed.update(os.path.basename(name) for name in elf.needed)
        names[path] = elf.soname
    return [
        path
        for path, soname in names.items()
        if PLUGIN_NAME.fullmatch(path) and path not in known and needed.isdisjoint({soname, os.path.basename(path)})
    ]


def plain_reach(reach: Reach, where: Unpacked) -> Reach:
    """With the image's own paths."""
    plain = where.plain

    def step(one: Step) -> Step:
        return replace(one, file=plain(one.file))

    def call(use: CallUse) -> CallUse:
        return replace(use, path=tuple(map(step, use.path)))

    return replace(
        reach,
        calls={nr: call(use) for nr, use in reach.calls.items()},
        unresolved=tuple(replace(site, file=plain(site.file)) for site in reach.unresolved),
        unknown_files={plain(file): plain(why) for file, why in reach.unknown_files.items()},
        paths={plain(file): paths for file, paths in reach.paths.items()},
    )
