"""What the user named: a program to wrap, a script with its interpreter, or a finished image."""

from __future__ import annotations

import itertools
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from compat.elf_structs import EHDR, PHDR, PT_NOTE
from compat.errors import ProgramNotFoundError, UnsupportedProgramError

NOTE_NAME = b"compat\0"
NOTE_ABI = 1
ABI_VERSION = 2
MAX_SCRIPTS = 4
# The last bytes of a standalone file.
TRAILER_MAGIC = b"CMPTSELF"


class Kind(Enum):
    PROGRAM = "program"
    SCRIPT = "script"
    IMAGE = "image"


@dataclass(frozen=True, slots=True)
class Program:
    """`path` is absolute, links unresolved; `typed` is argv[0]. Scripts: `exe` and `prefix` run the interpreter."""

    typed: str
    path: str
    kind: Kind
    exe: str
    arg0: str
    prefix: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


def find_program(name: str) -> Program:
    """Resolves a name as a shell would and says what it is; refuses what cannot run."""
    path = _search(name)
    head = _head(path)
    if head.startswith(b"#!"):
        return _script(name, path, head)
    if not head.startswith(b"\x7fELF"):
        raise UnsupportedProgramError(f"{path}: not an ELF program and not a script that names its interpreter")
    if is_standalone(path):
        raise UnsupportedProgramError(f"{path} is a standalone file: it runs by itself", f"run it as {path}")
    kind = Kind.IMAGE if image_version(path) is not None else Kind.PROGRAM
    if kind is Kind.PROGRAM and not os.access(path, os.X_OK):
        raise UnsupportedProgramError(
            f"{path} is not executable, and no whole image either", f"if it is a program: chmod +x {path}"
        )
    return Program(typed=name, path=path, kind=kind, exe=path, arg0=name)


def image_version(path: str) -> int | None:
    """The ABI version of a compat image; None when the file is none. Nothing else is checked here."""
    try:
        with open(path, "rb") as file:
            header = EHDR.unpack(file.read(EHDR.size))
            if header[0][:5] != b"\x7fELF\x02" or header[9] != PHDR.size or header[10] > 1024:
                return None
            file.seek(header[5])
            table = file.read(header[10] * PHDR.size)
            for fields in PHDR.iter_unpack(table[: len(table) // PHDR.size * PHDR.size]):
                if fields[0] == PT_NOTE and fields[5] <= 65536:
                    file.seek(fields[2])
                    version = _note_version(file.read(fields[5]))
                    if version is not None:
                        return version
    except (OSError, ValueError, OverflowError, struct.error):
        return None
    return None


def is_standalone(path: str) -> bool:
    """Whether the file is the monitor with an image appended (`compat wrap --standalone`)."""
    try:
        with open(path, "rb") as file:
            file.seek(-len(TRAILER_MAGIC), os.SEEK_END)
            return file.read() == TRAILER_MAGIC
    except OSError:
        return False


def _note_version(notes: bytes) -> int | None:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = (int.from_bytes(notes[at + i : at + i + 4], "little") for i in (0, 4, 8))
        name = notes[at + 12 : at + 12 + name_size]
        start = at + 12 + -(-name_size // 4) * 4
        if name == NOTE_NAME and kind == NOTE_ABI and size == 4:
            return int.from_bytes(notes[start : start + 4], "little")
        at = start + -(-size // 4) * 4
    return None


def _search(name: str) -> str:
    if "/" in name:
        return _checked(os.path.abspath(name))
    for candidate in _candidates(name):
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    if os.path.isfile(name) and image_version(name) is not None:
        return os.path.abspath(name)
    hint = f"to run the file in this directory, write ./{name}" if os.path.exists(name) else None
    raise ProgramNotFoundError(f"{name}: no such program in PATH", hint)


def _candidates(name: str) -> Iterator[str]:
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        yield os.path.abspath(os.path.join(directory, name))


def looked_at(name: str, found: str) -> list[str]:
    """The places at which `find_program` has looked for what it found."""
    if "/" in name:
        return [found]
    before = itertools.takewhile(lambda candidate: candidate != found, _candidates(name))
    return [*before, found]


def _checked(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ProgramNotFoundError(f"{path}: no such file") from error
    except OSError as error:
        raise UnsupportedProgramError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if stat.S_ISDIR(mode):
        raise UnsupportedProgramError(f"{path} is a directory")
    if not stat.S_ISREG(mode):
        raise UnsupportedProgramError(f"{path} is not a regular file")
    return path


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(256)
    except OSError as error:
        raise UnsupportedProgramError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def _script(typed: str, path: str, head: bytes) -> Program:
    """Follows `#!` lines as execve(2) does: the interpreter, one optional argument, the script's path."""
    scripts: list[str] = []
    argv = [typed if "/" in typed else path]
    current, named = path, argv[0]
    while head.startswith(b"#!"):
        if len(scripts) == MAX_SCRIPTS:
            raise UnsupportedProgramError(f"{path}: too many levels of interpreters")
        scripts.append(current)
        words = _interpreter_line(current, head)
        argv[:1] = [*words, named]
        current = named = words[0]
        try:
            head = _head(_checked(current))
        except ProgramNotFoundError as error:
            raise ProgramNotFoundError(f"{path} needs the interpreter {current}, which was not found") from error
    if not head.startswith(b"\x7fELF"):
        raise UnsupportedProgramError(f"{path}: its interpreter {current} is not a program")
    return Program(
        typed=typed,
        path=path,
        kind=Kind.SCRIPT,
        exe=current,
        arg0=argv[0],
        prefix=tuple(argv[1:]),
        scripts=tuple(scripts),
    )


def _interpreter_line(script: str, head: bytes) -> list[str]:
    """Interpreter and argument. `env NAME` is resolved here, since its search would need the host's programs."""
    line = os.fsdecode(head[2:].split(b"\n", 1)[0]).strip()
    words = line.split(None, 1)
    if not words or not words[0].startswith("/"):
        raise UnsupportedProgramError(f"{script}: its first line names no absolute interpreter")
    if os.path.basename(words[0]) != "env" or len(words) < 2:
        return words
    rest = words[1].removeprefix("-S").split()
    if not rest or rest[0].startswith("-") or "=" in rest[0]:
        raise UnsupportedProgramError(f"{script}: cannot follow its first line: {line}")
    return [_search(rest[0]), *([" ".join(rest[1:])] if rest[1:] else [])]
