"""What a static library exports, by the index that `ar` puts first."""

from __future__ import annotations

from pathlib import Path

MAGIC = b"!<arch>\n"
_HEADER = 60


def exported(archive: Path) -> frozenset[str]:
    """Names of the global symbols. ValueError: no archive, or one without an index."""
    with archive.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("not an archive")
        header = file.read(_HEADER)
        if header[:16].rstrip() != b"/":
            raise ValueError("the archive has no index")
        index = file.read(int(header[48:58]))
    count = int.from_bytes(index[:4], "big")
    names = index[4 + 4 * count :].split(b"\0")[:count]
    return frozenset(name.decode() for name in names)
