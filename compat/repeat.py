"""Starts that have been asked for before, in the same words.

What `compat run` came to, the monitor's command line, is kept beside the images with all that it depends on. When the
same is asked again, and nothing of that has changed, the process becomes the monitor before the command line is even
parsed, which takes longer than many a program. What is not known here, or has changed, goes the long way, which writes
it down anew.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from compat import native
from compat.inputs import as_text, cache_folder, identities, is_current, tool_identity

MAGIC = "CPTSTRT1"
SUFFIX = ".start"
# So many are kept; another one of the same number takes a place.
PLACES = 1024
# Variables that decide what a command line means, besides all of this tool's own.
VARIABLES = ("PATH", "HOME", "XDG_CACHE_HOME", "TERM", "COLORTERM", "LANG", "LANGUAGE", "TZ")
PREFIXES = ("LC_", "COMPAT_")


def repeat(words: Sequence[str]) -> None:
    """Becomes the monitor, if it is known how; else it returns."""
    if not words or words[0] != "run":
        return
    try:
        asked, arguments = _split(words)
        key = _key(asked)
        tool = tool_identity(native.native_path(native.KERNEL))
        argv, image, manifest = _recall(key, tool)
        if not os.access(native.KVM_DEVICE, os.R_OK | os.W_OK):
            return
        if manifest:
            if not is_current(image, manifest, tool):
                return
            # The longest unused image goes first.
            os.utime(image)
        os.execv(native.native_path(native.MONITOR), [*argv, *(("--", *arguments) if arguments else ())])
    except (OSError, ValueError):
        return


def remember(
    words: Sequence[str], argv: Sequence[str], given: Sequence[str], image: str, looked_at: Sequence[str]
) -> None:
    """Keeps what `words` came to: `argv` of the monitor, which ends with the program's arguments `given`.

    `looked_at` are the files, there or not, that decided this besides the inputs of a cached image.
    """
    if list(words[:1]) != ["run"]:
        return
    asked, arguments = _split(words)
    if arguments:
        if list(given) != arguments:
            return
        argv = argv[: -len(arguments) - 1]
    folder = cache_folder()
    manifest = image.removesuffix(".img") + ".inputs" if os.path.dirname(image) == folder else ""
    paths = [native.native_path(native.MONITOR), *looked_at]
    key = _key(asked)
    lists = (key, paths, argv)
    tool = tool_identity(native.native_path(native.KERNEL))
    fields = [MAGIC, image, manifest, tool, as_text(identities(paths, os.stat))]
    fields += [str(len(each)) for each in lists]
    fields += [field for each in lists for field in each]
    if any("\0" in field for field in fields):
        return
    place = _place(key)
    part = f"{place}.{os.getpid()}.part"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        with open(part, "wb") as file:
            file.write(os.fsencode("\0".join(fields)))
        os.replace(part, place)
    except OSError:
        # It will be slow again; a full disk is not what the user asked about.
        _remove(part)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is said to compat, and what it hands on to the program."""
    asked = list(words)
    if "--" not in asked:
        return asked, []
    at = asked.index("--")
    return asked[:at], asked[at + 1 :]


def _key(asked: Sequence[str]) -> list[str]:
    """All that the same words may mean something else by."""
    # -e NAME takes any variable.
    takes_any = any(word.startswith(("-e", "--env")) for word in asked)
    variables = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if takes_any or name in VARIABLES or name.startswith(PREFIXES)
    ]
    terminals = "".join(str(int(os.isatty(fd))) for fd in (0, 1))
    return [os.getcwd(), terminals, str(len(asked)), *asked, *variables]


def _place(key: Sequence[str]) -> str:
    from binascii import crc32

    number = crc32(os.fsencode("\0".join(key))) % PLACES
    return os.path.join(cache_folder(), f"{number}{SUFFIX}")


def _recall(key: Sequence[str], tool: str) -> tuple[list[str], str, str]:
    """The monitor's command line, the image, and its manifest if it has one. ValueError: not known, or no more."""
    with open(_place(key), "rb") as file:
        fields = os.fsdecode(file.read()).split("\0")
    magic, image, manifest, of_tool, numbers, *rest = fields
    of_key, of_paths, of_argv = (int(word) for word in rest[:3])
    known, paths = rest[3 : 3 + of_key], rest[3 + of_key : 3 + of_key + of_paths]
    argv = rest[3 + of_key + of_paths :]
    if (
        magic != MAGIC
        or known != list(key)
        or len(argv) != of_argv
        or of_tool != tool
        or as_text(identities(paths, os.stat)) != numbers
    ):
        raise ValueError("not known")
    return argv, image, manifest
