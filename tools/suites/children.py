"""Starts guests for the tests of a guest: what a test starts as a process of its own runs as a program of its own."""

from __future__ import annotations

import base64
import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tests.integration.harness import Command, Guest, Outcome, TimeLimitError, run, without_notices

SECONDS = 120


class Server(socketserver.ThreadingTCPServer):
    """On the host's loopback address, which guests reach as their gateway."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, guest: Guest, program: str, add: Sequence[str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.guest = guest
        self.program = program
        self.add = add

    def answer(self, question: dict[str, Any]) -> Outcome:
        command = Command(
            [self.program, *question["args"]],
            stdin=base64.b64decode(question["stdin"]),
            env=question["env"],
            add=self.add,
            memory="1G",
        )
        argv = self.guest.argv(command)
        env = self.guest.environment()
        return run(argv, stdin=command.stdin, env=env, timeout=SECONDS, merge=question["merge"])


class Handler(socketserver.StreamRequestHandler):
    """One child."""

    server: Server

    def handle(self) -> None:
        try:
            outcome = self.server.answer(json.loads(self.rfile.readline()))
        except TimeLimitError as error:
            outcome = Outcome(124, b"", str(error).encode())
        out, err = (without_notices(data) for data in (outcome.stdout, outcome.stderr))
        answer = {
            "status": outcome.status,
            "out": base64.b64encode(out).decode(),
            "err": base64.b64encode(err).decode(),
        }
        # The test may have ended meanwhile.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(json.dumps(answer).encode() + b"\n")


@contextlib.contextmanager
def serving(guest: Guest, program: str, add: Sequence[str]) -> Iterator[int]:
    """The port on which children are started."""
    with Server(guest, program, add) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
