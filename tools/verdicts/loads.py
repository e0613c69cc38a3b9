"""The loads of `loads.toml`, and the files that they find."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

# What some loads start: it must not fail for want of these.
STARTED = [f"/usr/bin/{name}" for name in ("cat", "dash", "echo", "env", "gzip", "printenv", "true")] + ["/bin/sh"]
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
# Where a guest has the files.
DATA = "/data"
_WORDS = "apple banana cherry damson elderberry fig grape".split()
_FILES = {
    "words": "".join(f"{word}\n" for word in _WORDS),
    "data.csv": "".join(f"{word},{len(word)}\n" for word in _WORDS),
    "Makefile": "all:\n\techo made\n",
    "one.c": "int one(void) { return 1; }\n",
    "empty.s": ".text\n",
}


def read_loads() -> list[dict[str, Any]]:
    loads: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("loads.toml").read_text())["load"]
    return loads


def write_files(directory: Path) -> None:
    for name, text in _FILES.items():
        (directory / name).write_text(text)
