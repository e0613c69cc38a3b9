"""etcd as a single node, asked by etcdctl."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace

import pytest

from tests.integration.harness import ENVIRONMENT, require
from tests.integration.servers.conftest import Both
from tests.integration.servers.http_client import get
from tests.integration.servers.place import Endpoint, Place, Setup

# Elsewhere it sends itself the signal again, which process 1 cannot.
INIT_STATUS = 0


def etcd(place: Place) -> Setup:
    program = require("/usr/bin/etcd", "etcd-server")
    client, peer = (f"http://127.0.0.1:{place.port(name)}" for name in ("main", "peer"))
    options = ["--name", "one", "--data-dir", f"{place.state}/etcd", "--initial-cluster", f"one={peer}"]
    options += ["--listen-client-urls", client.replace("127.0.0.1", "0.0.0.0"), "--advertise-client-urls", client]
    return Setup([program, *options, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer], memory="1G")


def healthy(endpoint: Endpoint) -> None:
    assert json.loads(get(endpoint, "/health").body) == {"health": "true"}


def control(endpoint: Endpoint, *words: str, stdin: str = "") -> str:
    argv = [require("/usr/bin/etcdctl", "etcd-client"), "--endpoints", endpoint.url(""), *words]
    env = {**ENVIRONMENT, "ETCDCTL_API": "3"}
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=True, timeout=60, env=env).stdout


@pytest.mark.parametrize("cpus", [1, 2])
def test_keys_leases_and_watches(cpus: int, both: Both) -> None:
    def check(endpoint: Endpoint) -> list[str]:
        told = [control(endpoint, "put", f"/key/{number}", f"value {number}") for number in range(5)]
        told.append(control(endpoint, "get", "--prefix", "/key/"))
        told.append(control(endpoint, "txn", stdin='value("/key/1") = "value 1"\n\nput /key/1 changed\n\n\n\n'))
        told.append(control(endpoint, "get", "--print-value-only", "/key/1"))
        told.append(control(endpoint, "del", "--prefix", "/key/"))
        assert told[5].split("\n")[1] == "value 0"
        lease = control(endpoint, "lease", "grant", "100").split()[1]
        control(endpoint, "put", "--lease", lease, "leased", "x")
        control(endpoint, "lease", "revoke", lease)
        assert control(endpoint, "get", "leased") == ""
        large = "x" * (1 << 20)
        control(endpoint, "put", "large", stdin=large)
        assert control(endpoint, "get", "--print-value-only", "large").strip() == large
        return told

    both(lambda place: replace(etcd(place), cpus=cpus), check, ready=healthy, status_of_init=INIT_STATUS)


def test_watching(both: Both) -> None:
    def check(endpoint: Endpoint) -> list[str]:
        argv = [require("/usr/bin/etcdctl", "etcd-client"), "--endpoints", endpoint.url(""), "watch", "--prefix", "w"]
        env = {**ENVIRONMENT, "ETCDCTL_API": "3"}
        # From the first revision on: nothing is missed, whenever the watch begins.
        with subprocess.Popen([*argv, "--rev", "1"], stdout=subprocess.PIPE, text=True, env=env) as watch:
            assert watch.stdout is not None
            try:
                for number in range(20):
                    control(endpoint, "put", f"w{number:02}", f"v{number}")
                return [watch.stdout.readline().strip() for _ in range(60)]
            finally:
                watch.kill()

    both(etcd, check, ready=healthy, status_of_init=INIT_STATUS)
