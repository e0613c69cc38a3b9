"""Names of the kernel's constants, for traces: from the crate linux-raw-sys, made from the kernel's headers."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

CRATE = "linux-raw-sys"
FILES = ("general", "errno", "ioctl", "net", "prctl", "system")
_CONSTANT = re.compile(r"^pub const ([A-Z]\w*): \w+ = (-?\d+);", re.MULTILINE)
# Of an enumeration.
_VARIANT = re.compile(r"^([A-Z]\w*) = (-?\d+),", re.MULTILINE)


def find_crate(root: Path) -> Path:
    """The crate's folder, as cargo has it for this tree."""
    words = ["cargo", "metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]
    answer = subprocess.run(words, cwd=root, check=True, stdout=subprocess.PIPE).stdout
    manifests = [package["manifest_path"] for package in json.loads(answer)["packages"] if package["name"] == CRATE]
    return Path(manifests[0]).parent


def read_constants(crate: Path) -> dict[str, int]:
    """All names and values; where two files differ about a name, the first one counts."""
    constants: dict[str, int] = {}
    for name in FILES:
        text = (crate / "src" / "x86_64" / f"{name}.rs").read_text()
        for pattern in (_CONSTANT, _VARIANT):
            for match in pattern.finditer(text):
                constants.setdefault(match[1], int(match[2]))
    return constants


def write_constants(root: Path, destination: Path) -> None:
    """`destination` gets a JSON object, at once."""
    part = destination.with_suffix(".part")
    part.write_text(json.dumps(read_constants(find_crate(root)), sort_keys=True, indent=0) + "\n")
    part.replace(destination)
