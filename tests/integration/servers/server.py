"""Starts a server, waits until it answers, and ends it; nothing is left however the test goes."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from tests.integration.harness import kill_group, shell_status, tail
from tests.integration.servers.place import Endpoint, Place, Setup

# Tomcat takes more than 20 s, natively too, where forty others want the same two CPUs (tools/soak).
READY_SECONDS = 60
# Making the image of a server that has not been wrapped yet.
WRAP_SECONDS = 60
STOP_SECONDS = 10
PAUSE = 0.02

Ready = Callable[[Endpoint], Any]


def tcp_ready(endpoint: Endpoint) -> None:
    """The default: somebody accepts."""
    socket.create_connection(endpoint.address, timeout=2).close()


@dataclass(slots=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    log: IO[bytes]
    endpoint: Endpoint
    slowdown: float

    def output(self) -> bytes:
        """What it has printed so far, both streams."""
        with open(f"/proc/self/fd/{self.log.fileno()}", "rb") as log:
            return log.read()

    def wait_ready(self, ready: Ready, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with status {shell_status(self.process.returncode)}")
            try:
                ready(self.endpoint)
            except Exception as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"the server does not answer within {seconds:.0f} s: {error!r}") from error
                time.sleep(PAUSE)
            else:
                return

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it as an administrator would, and returns its status."""
        self.process.send_signal(number)
        try:
            return shell_status(self.process.wait(STOP_SECONDS * self.slowdown))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the server does not end by signal {number}") from None


@contextlib.contextmanager
def running(place: Place, setup: Setup, ready: Ready = tcp_ready) -> Iterator[Server]:
    """A server that answers. Its output is told with every failure."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            place.argv(setup),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=place.environment(setup),
            cwd="/",
            start_new_session=True,
        )
        server = Server(process, log, place.endpoint(), place.slowdown)
        try:
            server.wait_ready(ready, READY_SECONDS * place.slowdown + (WRAP_SECONDS if place.name == "guest" else 0))
            yield server
        except BaseException as error:
            error.add_note(f"output of the {place.name} server:\n{tail(server.output())}")
            raise
        finally:
            kill_group(process)
            process.wait()
