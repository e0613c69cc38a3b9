"""A small client of redis' protocol, for pipelines and for what redis-cli cannot send."""

from __future__ import annotations

import socket
from typing import Any, Self

from tests.integration.servers.place import Endpoint


class Redis:
    def __init__(self, endpoint: Endpoint) -> None:
        self.socket = socket.create_connection(endpoint.address, timeout=30)
        self.lines = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.lines.close()
        self.socket.close()

    def send(self, *words: bytes | str) -> None:
        self.socket.sendall(encode(*words))

    def read(self) -> Any:
        """One answer; an error is its text."""
        line = self.lines.readline()
        kind, rest = line[:1], line[1:-2]
        if kind in b"+-":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.lines.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise AssertionError(f"no answer of redis: {line!r}")

    def ask(self, *words: bytes | str) -> Any:
        self.send(*words)
        return self.read()


def encode(*words: bytes | str) -> bytes:
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
