"""The second platform: the same image on QEMU without KVM."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.integration.guest_cases import GUEST, build_one
from tests.integration.harness import Command, Guest, Same, compat_command, require, run
from tests.integration.servers.place import Endpoint, GuestPlace, Setup
from tests.integration.servers.resp import Redis
from tests.integration.servers.server import Server, running

CLIENTS = 50


@pytest.fixture(scope="session")
def same_on_qemu(qemu: Guest) -> Same:
    require("/usr/bin/qemu-system-x86_64", "qemu-system-x86")
    return Same(qemu)


def test_streams_and_status(same_on_qemu: Same) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    same_on_qemu(Command([busybox, "echo", "hello", "from", "here"]))
    same_on_qemu(Command([busybox, "cat"], stdin=b"line\n" * 2000))
    same_on_qemu(Command([busybox, "sh", "-c", "echo out; echo err >&2; exit 37"]), status=37)


def test_python(same_on_qemu: Same) -> None:
    python = require("/usr/bin/python3.11", "python3.11")
    same_on_qemu(
        Command([python, "-c", "import json, hashlib; print(json.dumps([1, 2]), hashlib.md5(b'x').hexdigest())"])
    )


def test_notice_and_statistics(qemu: Guest) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    argv = qemu.argv(Command([busybox, "true"]))
    outcome = run(argv, env=qemu.environment(), timeout=60 * qemu.slowdown)
    assert outcome.status == 0 and outcome.stdout == b""
    lines = outcome.stderr.decode().splitlines()
    assert len(lines) == 1 and "QEMU" in lines[0], lines


@pytest.mark.parametrize("value", [0, 1, 125])
def test_a_program_that_writes_to_the_exit_port_has_not_ended_well(value: int, qemu: Guest, programs: Path) -> None:
    """QEMU takes it for the end, but nobody has told a status."""
    program = build_one(GUEST / "exits" / "port.c", programs)
    outcome = qemu.run(Command([str(program), str(value)]))
    assert outcome.status == 70 and b"wrote to a port" in outcome.stderr, outcome


def test_image_boots_on_both_platforms(qemu: Guest, guest: Guest, tmp_path: Path) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    image = tmp_path / "uname.img"
    made = run(
        [*compat_command(), "wrap", busybox, "-o", str(image), "--", "uname", "-s"],
        env=guest.environment(),
        timeout=120,
    )
    assert made.status == 0, made.stderr
    for place in (guest, qemu):
        argv = [*compat_command(), "run", "--platform", place.platform, str(image)]
        outcome = run(argv, env=place.environment(), timeout=60 * place.slowdown)
        assert outcome.status == 0 and outcome.stdout == b"Linux\n", outcome


def machine(server: Server) -> int:
    """The process number of the server's QEMU."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    [found] = [pid for pid in children if Path(f"/proc/{pid}/comm").read_text().startswith("qemu")]
    return int(found)


def test_clients_that_come_at_once(qemu: Guest, tmp_path: Path) -> None:
    """QEMU is stopped while they come, so that none can be taken before the last is there."""
    place = GuestPlace(tmp_path / "redis", qemu)
    program = require("/usr/bin/redis-server", "redis-server")
    options = ["--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]
    setup = Setup([program, "--port", str(place.port()), *options])

    def ready(endpoint: Endpoint) -> None:
        with Redis(endpoint) as client:
            assert client.ask("PING") == "PONG"

    with running(place, setup, ready) as server, contextlib.ExitStack() as stack:
        os.kill(machine(server), signal.SIGSTOP)
        try:
            clients = [stack.enter_context(Redis(server.endpoint)) for _ in range(CLIENTS)]
        finally:
            os.kill(machine(server), signal.SIGCONT)
        for client in clients:
            assert client.ask("PING") == "PONG"
