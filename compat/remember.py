"""Notes what a start came to, for the next one in the same words.

What `compat run` came to, the monitor's command line, is kept beside the images with all that it depends on. The
program by the name of `compat` (monitor/launcher) reads it before Python is started, and starts the monitor if nothing
of that has changed. It also says what makes two starts the same, and where the note of them belongs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from compat import native
from compat.inputs import as_text, cache_folder, identities, tool_files, tool_folders, tool_identity

MAGIC = b"CPTSTRT2"
# The launcher's word: where the note belongs, what is to stand in it for what was asked, and how many of our words are
# the program's.
PLACE, KEY, ARGUMENTS = "COMPAT_START_PLACE", "COMPAT_START_KEY", "COMPAT_START_ARGUMENTS"


def remember(argv: Sequence[str], given: Sequence[str], image: str, looked_at: Sequence[str]) -> None:
    """Keeps `argv` of the monitor, which ends with the program's arguments `given`.

    `looked_at` are the files, there or not, that decided this besides the inputs of a cached image.
    """
    place, key, count = (os.environ.pop(name, "") for name in (PLACE, KEY, ARGUMENTS))
    if not place:
        return
    arguments = sys.argv[len(sys.argv) - int(count) :]
    if arguments:
        if list(given) != arguments:
            return
        argv = argv[: -len(arguments) - 1]
    inputs = image.removesuffix(".img") + ".inputs" if os.path.dirname(image) == cache_folder() else ""
    kernel, monitor = native.native_path(native.KERNEL), native.native_path(native.MONITOR)
    paths = [*tool_files(kernel), *tool_folders(), monitor, *looked_at]
    fields = [key, native.KVM_DEVICE, monitor, image, inputs, tool_identity(kernel)]
    fields += [as_text(identities(paths, os.stat)), str(len(paths)), *paths, *argv]
    _write(place, b"\0".join([MAGIC, *map(os.fsencode, fields)]))


def _write(place: str, text: bytes) -> None:
    part = f"{place}.{os.getpid()}.part"
    try:
        os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
        with open(part, "wb") as file:
            file.write(text)
        os.replace(part, place)
    except OSError:
        # It will be slow again; a full disk is not what the user asked about.
        _remove(part)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
