"""Sizes as people write them."""

from __future__ import annotations

import re

from compat.errors import CompatError

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_size(text: str) -> int:
    """`512M`, `2G`, `1048576`: bytes."""
    match = re.fullmatch(r"(\d{1,18})([kmgt]?)(i?b)?", text.strip().lower())
    if match is None:
        raise CompatError(f"{text!r} is not a size; write for example 512M or 2G")
    return int(match[1]) * _UNITS[match[2]]


def format_size(size: int) -> str:
    """For people: `1.4 MiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"
