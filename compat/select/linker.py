"""Links a kernel that holds the handlers of some system calls, and what these need; the linker drops the rest.

The archive exports `compat.sys.NAME` for every call with a handler; the link writes the dispatch table. Parts of the
kernel that only some calls need are explained in `kernel/src/parts.rs`.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from compat.elf_symbols import symbols
from compat.errors import CompatError, InternalError
from compat.kernel_symbols import DISPATCH, HANDLER, LEFT_OUT, NEED, PART, SLOT, WITHOUT_HANDLER
from compat.select.archive import exported
from compat.syscall_table import Call

LINKER = "ld"
OPTIONS = ("--gc-sections", "-z", "noexecstack", "--strip-debug")


@dataclass(frozen=True, slots=True)
class KernelParts:
    """What a kernel can be linked from."""

    archive: Path
    script: Path
    parts: frozenset[str]


def read_parts(archive: Path, script: Path) -> KernelParts:
    try:
        names = exported(archive)
    except (OSError, ValueError) as error:
        raise InternalError(f"cannot read {archive}: {error}", "python -m compat._build kernel") from error
    parts = frozenset(name.removeprefix(PART) for name in names if name.startswith(PART))
    return KernelParts(archive=archive, script=script, parts=parts)


def has_linker() -> bool:
    return shutil.which(LINKER) is not None


def link(
    kernel: KernelParts,
    table: Iterable[Call],
    calls: frozenset[str],
    output: Path,
    without: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """Links a kernel with the handlers of `calls`; answers the parts that came with them. `without` stay out."""
    rows = {call.nr: call for call in table}
    parts: frozenset[str] = frozenset()
    while True:
        _run(kernel, _dispatch(kernel, rows, calls, parts), output)
        wanted = _wanted(kernel, output) - without
        if wanted <= parts:
            return parts
        parts |= wanted


def _wanted(kernel: KernelParts, output: Path) -> frozenset[str]:
    """Parts whose need the last link kept, and what goes with them."""
    try:
        kept = {name.removeprefix(NEED) for name in symbols(output.read_bytes(), NEED.encode())}
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise InternalError(f"the linker made something strange: {error}") from error
    return frozenset(name for name in kernel.parts if name.partition(".")[0] in kept)


@dataclass(frozen=True, slots=True)
class _Dispatch:
    """Two pieces of linker script: what must be kept, and what the table says."""

    roots: str
    slots: str


def _dispatch(kernel: KernelParts, rows: dict[int, Call], calls: frozenset[str], parts: frozenset[str]) -> _Dispatch:
    targets = [_target(rows.get(nr), calls) for nr in range(max(rows) + 1)]
    filled = {name: PART + name if name in parts else "0" for name in sorted(kernel.parts)}
    lines = [f"{DISPATCH} = .;", *(f"QUAD({target})" for target in targets)]
    for name, value in filled.items():
        lines += [f"{SLOT}{name} = .;", f"QUAD({value})"]
    roots = sorted({*targets, *(PART + name for name in parts)})
    return _Dispatch(roots=f"EXTERN({' '.join(roots)})\n", slots="\n".join(lines) + "\n")


def _target(call: Call | None, calls: frozenset[str]) -> str:
    if call is None or not call.has_handler:
        return WITHOUT_HANDLER
    return f"{HANDLER}{call.name}" if call.name in calls else LEFT_OUT


def _run(kernel: KernelParts, dispatch: _Dispatch, output: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="compat-link-") as directory:
        roots = Path(directory, "roots.ld")
        roots.write_text(dispatch.roots)
        # The kernel's own script includes it, and the linker looks in the working directory first.
        Path(directory, "dispatch.ld").write_text(dispatch.slots)
        scripts = ["-T", str(roots), "-T", str(kernel.script.resolve())]
        command = [LINKER, *scripts, *OPTIONS, "-o", str(output.resolve()), str(kernel.archive.resolve())]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
        except OSError as error:
            raise CompatError(f"cannot run {LINKER}: {error.strerror}", "on Debian: apt install binutils") from error
    if done.returncode != 0:
        raise InternalError(f"{LINKER} failed with status {done.returncode}: {done.stderr.strip()}")
