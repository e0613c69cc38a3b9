"""mosquitto and its clients: quality of service 0 to 2, retained messages, wills, large payloads."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator

from tests.integration.harness import ENVIRONMENT, require
from tests.integration.servers.conftest import Both
from tests.integration.servers.place import Endpoint, Place, Setup

PUB, SUB = "/usr/bin/mosquitto_pub", "/usr/bin/mosquitto_sub"
LARGE = random.Random(4).randbytes(1 << 20)


def mosquitto(place: Place) -> Setup:
    program = require("/usr/sbin/mosquitto", "mosquitto")
    port = place.port()
    text = f"listener {port} 0.0.0.0\nallow_anonymous true\npersistence false\nuser root\nmax_queued_messages 0\n"
    return Setup([program, "-c", place.write("mosquitto.conf", text)])


@contextlib.contextmanager
def subscriber(endpoint: Endpoint, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Has subscribed when it is given: with -d it tells so."""
    program = require(SUB, "mosquitto-clients")
    argv = ["stdbuf", "-oL", program, "-h", endpoint.host, "-p", str(endpoint.port), "-W", "30", "-d", *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        try:
            while b"SUBACK" not in (line := process.stdout.readline()):
                assert line, "mosquitto_sub ended"
            yield process
        finally:
            process.kill()


def publish(endpoint: Endpoint, *options: str, stdin: bytes = b"") -> None:
    argv = [require(PUB, "mosquitto-clients"), "-h", endpoint.host, "-p", str(endpoint.port), *options]
    subprocess.run(argv, input=stdin, capture_output=True, check=True, timeout=60, env=ENVIRONMENT)


def messages(process: subprocess.Popen[bytes]) -> list[bytes]:
    """What came, without what -d tells besides."""
    output, _ = process.communicate(timeout=60)
    return [line for line in output.splitlines() if not line.startswith((b"Client ", b"Subscribed "))]


def test_every_quality_of_service(both: Both) -> None:
    def check(endpoint: Endpoint) -> None:
        for quality in "012":
            with subscriber(endpoint, "-t", "room/+/sensor", "-q", quality, "-C", "200", "-F", "%t %q %p") as process:
                lines = b"".join(b"%d\n" % number for number in range(200))
                publish(endpoint, "-t", "room/1/sensor", "-q", quality, "-l", stdin=lines)
                expected = [f"room/1/sensor {quality} {number}".encode() for number in range(200)]
                assert messages(process) == expected

    both(mosquitto, check)


def test_retained_large_and_last_messages(both: Both) -> None:
    def check(endpoint: Endpoint) -> None:
        publish(endpoint, "-t", "kept", "-q", "1", "-r", "-m", "still here")
        with subscriber(endpoint, "-t", "kept", "-C", "1", "-F", "%r %p") as process:
            assert messages(process) == [b"1 still here"]
        with subscriber(endpoint, "-t", "large", "-q", "2", "-C", "1", "-F", "%l %x") as process:
            publish(endpoint, "-t", "large", "-q", "2", "-s", stdin=LARGE)
            assert messages(process) == [b"%d %s" % (len(LARGE), LARGE.hex().encode())]
        with subscriber(endpoint, "-t", "wills", "-C", "1") as process:
            will = ["--will-topic", "wills", "--will-payload", "gone"]
            # Killed: the broker finds a closed connection without DISCONNECT.
            with subscriber(endpoint, "-t", "unused", *will):
                pass
            assert messages(process) == [b"gone"]

    both(mosquitto, check)


def test_one_to_many(both: Both) -> None:
    def check(endpoint: Endpoint) -> None:
        with contextlib.ExitStack() as stack:
            many = [stack.enter_context(subscriber(endpoint, "-t", "#", "-C", "20")) for _ in range(30)]
            publish(endpoint, "-t", "a/b", "-l", stdin=b"".join(b"%d\n" % number for number in range(20)))
            for process in many:
                assert messages(process) == [b"%d" % number for number in range(20)]

    both(mosquitto, check)
