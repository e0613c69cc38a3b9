"""iperf3 as the server: streams in both directions, several at once, and datagrams."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from tests.integration.harness import ENVIRONMENT, require
from tests.integration.servers.conftest import Both
from tests.integration.servers.place import Endpoint, Place, Setup

IPERF3 = "/usr/bin/iperf3"
ATTEMPTS = 50


def server(place: Place) -> Setup:
    return Setup([require(IPERF3, "iperf3"), "-s", "-p", str(place.port(protocol="tcp+udp"))])


def client(endpoint: Endpoint, *options: str) -> Any:
    argv = [IPERF3, "-c", endpoint.host, "-p", str(endpoint.port), "-J", *options]
    for _ in range(ATTEMPTS):
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=ENVIRONMENT)
        document = json.loads(done.stdout)
        # The server is still putting the test before away.
        if "busy" not in document.get("error", ""):
            break
        time.sleep(0.1)
    assert "error" not in document, document["error"]
    return document["end"]


def ready(endpoint: Endpoint) -> None:
    """A connection that says nothing would count as a client, and others would have to wait."""
    client(endpoint, "-n", "1K")


def test_streams(both: Both) -> None:
    def check(endpoint: Endpoint) -> None:
        for options in ([], ["-R"], ["-P", "4"]):
            end = client(endpoint, "-n", "64M", *options)
            assert end["sum_received"]["bytes"] > 16 << 20
        # The test ends with the first direction that has sent all.
        end = client(endpoint, "-n", "64M", "--bidir")
        received = [end[name]["bytes"] for name in ("sum_received", "sum_received_bidir_reverse")]
        assert min(received) > 0 and max(received) > 16 << 20

    both(server, check, ready=ready)


def test_datagrams(both: Both) -> None:
    def check(endpoint: Endpoint) -> None:
        for options in ([], ["-R"]):
            end = client(endpoint, "-u", "-b", "20M", "-t", "1", "-l", "1400", *options)
            assert end["sum"]["packets"] > 1000
            assert end["sum"]["lost_percent"] < 20

    both(server, check, ready=ready)
