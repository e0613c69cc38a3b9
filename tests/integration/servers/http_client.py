"""One HTTP request at a time, and what of the answer must be the same everywhere."""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from tests.integration.servers.place import Endpoint

# Differ from run to run, or name the port.
VARYING = ("date", "last-modified", "etag", "location", "content-security-policy", "alt-svc")
TIMEOUT = 30


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name.lower())

    def summary(self) -> tuple[int, tuple[tuple[str, str], ...], int, str]:
        """For comparison with another server of the same kind."""
        headers = tuple((name, value) for name, value in self.headers if name not in VARYING)
        return self.status, headers, len(self.body), self.digest


class Client:
    """A connection that is kept open."""

    def __init__(self, endpoint: Endpoint, name: str = "main", context: ssl.SSLContext | None = None) -> None:
        port = endpoint.ports[name]
        if context is None:
            self.connection = http.client.HTTPConnection(endpoint.host, port, timeout=TIMEOUT)
        else:
            self.connection = http.client.HTTPSConnection(endpoint.host, port, timeout=TIMEOUT, context=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.connection.close()

    def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A body that is no bytes is sent in chunks."""
        chunked = body is not None and not isinstance(body, bytes)
        self.connection.request(method, path, body=body, headers=dict(headers or {}), encode_chunked=chunked)
        response = self.connection.getresponse()
        content = response.read()
        told = tuple(sorted((name.lower(), value) for name, value in response.getheaders()))
        return Answer(response.status, told, content)


def get(endpoint: Endpoint, path: str = "/", **more: object) -> Answer:
    """On a connection of its own."""
    with Client(endpoint) as client:
        return client.ask(path, **more)  # type: ignore[arg-type]
