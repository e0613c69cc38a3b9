"""The kernel for an image: the whole one, or one linked for the chosen calls and kept for the next image like it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compat import native
from compat.cache import cache_dir
from compat.image import Kernel, parse_kernel, read_kernel
from compat.reach.model import Reach
from compat.select import terminals
from compat.select.choose import Analyse, choose
from compat.select.linker import LINKER, has_linker, link, read_parts
from compat.select.model import Selection, SelectRequest, Uplinks
from compat.syscall_table import Call, read_table

# Of the kernels that were linked, so many of the latest used stay.
KEPT = 64
# What stays out for a choice of `--net`.
_WITHOUT = {
    Uplinks.ALL: frozenset[str](),
    Uplinks.USER: frozenset({"network.card"}),
    Uplinks.TAP: frozenset({"network.forward"}),
}


def select_kernel(request: SelectRequest, analyse: Analyse) -> tuple[Kernel, Selection]:
    """The kernel, and what is in it. `analyse` is asked only if the choice needs it."""
    table = read_table(native.native_file(native.TABLE))
    handlers = frozenset(call.name for call in table if call.has_handler)
    lack = _lack()
    seen: list[Reach] = []

    def analyse_and_keep(rows: Sequence[Call]) -> Sequence[Reach]:
        seen.extend(analyse(rows))
        return seen

    if lack is None:
        method, calls, notes = choose(request, table, analyse_and_keep)
    else:
        told = [] if request == SelectRequest(everything=True) else [f"every call is kept, since {lack}"]
        method, calls, notes = "all", handlers, told
    without = _WITHOUT[request.uplinks] if lack is None else _WITHOUT[Uplinks.ALL]
    # Where every call is kept the kernel is whole.
    reaches_none = method == "analysis" and not any(terminals.uses_ptys(reach, table) for reach in seen)
    if method != "all" and (terminals.IOCTL not in calls or reaches_none):
        without |= {terminals.PART}
    if calls == handlers and not without:
        kernel = read_kernel(native.native_file(native.KERNEL))
    else:
        kernel = parse_kernel(_linked(table, calls, without), "the linked kernel")
    return kernel, Selection(method=method, calls=calls, of=len(handlers), parts=kernel.parts, notes=tuple(notes))


def _lack() -> str | None:
    """Why no kernel can be linked here."""
    if not has_linker():
        return f"{LINKER} is not installed (on Debian: apt install binutils)"
    names = (native.ARCHIVE, native.LINKER_SCRIPT)
    missing = [name for name in names if not (native.native_dir() / name).is_file()]
    return f"this installation lacks {' and '.join(missing)}" if missing else None


def _linked(table: Sequence[Call], calls: frozenset[str], without: frozenset[str]) -> bytes:
    archive, script = (native.native_file(name) for name in (native.ARCHIVE, native.LINKER_SCRIPT))
    digest = hashlib.sha256(json.dumps([sorted(calls), sorted(without)]).encode())
    for path in (archive, script):
        digest.update(path.read_bytes())
    kept = cache_dir() / "kernels" / f"{digest.hexdigest()[:32]}.elf"
    with contextlib.suppress(OSError):
        data = kept.read_bytes()
        os.utime(kept)
        return data
    with tempfile.TemporaryDirectory(prefix="compat-kernel-") as directory:
        output = Path(directory, "kernel.elf")
        link(read_parts(archive, script), table, calls, output, without)
        data = output.read_bytes()
    # A cache that cannot be written is no reason to fail.
    with contextlib.suppress(OSError):
        _keep(kept, data)
    return data


def _keep(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
    others = sorted(path.parent.iterdir(), key=lambda other: other.stat().st_mtime_ns, reverse=True)
    for other in others[KEPT:]:
        other.unlink(missing_ok=True)
