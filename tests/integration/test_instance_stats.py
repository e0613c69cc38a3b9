"""A running instance tells its figures on its control socket."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.integration import hung
from tests.integration.harness import Command, Guest, kill_group, require

SCHEMA = Path(__file__).parents[2] / "compat" / "schema" / "instance-stats.schema.json"


def ask(path: Path, command: str) -> dict[str, Any]:
    """One question, one answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(json.dumps({"command": command}).encode() + b"\n")
        with connection.makefile() as lines:
            answer: dict[str, Any] = json.loads(lines.readline())
            return answer


def test_the_guest_tells_its_part(guest: Guest, tmp_path: Path) -> None:
    if guest.platform == "qemu":
        pytest.skip("QEMU has no control socket")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    busybox = require("/bin/busybox", "busybox-static")
    with subprocess.Popen(
        guest.argv(Command([busybox, "cat"]), ["-p", f"127.0.0.1:{port}:7", "-p", "127.0.0.1:0:53/udp"]),
        env={**guest.environment(), "XDG_RUNTIME_DIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stderr is not None
            assert process.stdout is not None
            process.stdin.write(b"hello\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"hello\n"
            path = tmp_path / "compat" / f"{process.pid}.sock"
            # More often than its port has room for at once.
            for _ in range(50):
                stats = ask(path, "stats")
                jsonschema.validate(stats, json.loads(SCHEMA.read_text()))
                assert stats["guest"] is not None
            assert stats["bytes"]["stdin"] == stats["bytes"]["stdout"] == len(b"hello\n")
            assert 0 < stats["guest"]["uptime_ns"] < stats["wall_us"] * 1000
            assert 0 < stats["guest"]["memory"]["free"] < stats["guest"]["memory"]["total"]
            assert stats["guest"]["threads"] == 1
            assert [one["name"] for one in stats["guest"]["net"]["interfaces"]] == ["lo", "eth0"]
            info = ask(path, "info")
            assert (info["pid"], info["interface"]) == (process.pid, None)
            published, datagrams = info["ports"]
            assert published == f"127.0.0.1:{port}:7/tcp"
            assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*:53/udp", datagrams)
            told = hung.describe(process.pid, {"XDG_RUNTIME_DIR": str(tmp_path)})
            assert "vcpu0" in told
            assert '"guest": {' in told
            process.stdin.close()
            assert process.wait(timeout=20) == 0
            assert not path.exists()
            said = process.stderr.read().decode()
            assert re.search(r"compat: CPU 0: \w+, 0 in its queue", said)
            assert re.search(r"compat: thread 1 \(busybox\) of process 1: sleeps, \d+ ms of .*, read\(0x0, ", said)
        finally:
            kill_group(process)
