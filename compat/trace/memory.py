"""Pieces of the program's memory that came with a record."""

from __future__ import annotations

import struct
from collections.abc import Iterable


class Memory:
    """What is known of the memory at one moment."""

    def __init__(self, snippets: Iterable[tuple[int, bytes]] = ()) -> None:
        self._snippets = list(snippets)

    def read(self, address: int, length: int) -> bytes | None:
        """All of it or None."""
        data = self.piece(address, length)
        return data if len(data) == length else None

    def piece(self, address: int, length: int) -> bytes:
        """As much of it as is known."""
        best = b""
        for start, data in self._snippets:
            if start <= address < start + len(data):
                found = data[address - start : address - start + length]
                best = max(best, found, key=len)
        return best

    def string(self, address: int) -> bytes | None:
        """A string with its NUL, or without it what is known of a longer one; None: nothing."""
        data = self.piece(address, 1 << 16)
        if not data:
            return None
        end = data.find(b"\0")
        return data if end < 0 else data[: end + 1]

    def unpack(self, layout: str, address: int) -> tuple[int, ...] | None:
        """Numbers in `struct`'s notation."""
        data = self.read(address, struct.calcsize("<" + layout))
        return None if data is None else struct.unpack("<" + layout, data)
