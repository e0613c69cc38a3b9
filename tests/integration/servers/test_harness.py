"""The helpers of these tests themselves: nothing is left behind, and failures tell what the server said."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.harness import TimeLimitError, hear_signals, require, run
from tests.integration.servers.place import NativePlace, Setup
from tests.integration.servers.server import running

SHELL = "/bin/sh"
RUNNER = """
import sys
from tests.integration.harness import run, unwind_on_sigterm
unwind_on_sigterm()
note = sys.argv[1]
run(["/bin/sh", "-c", f"echo $$ > {note}.part; mv {note}.part {note}; sleep 100"], env={}, timeout=90)
"""


def place(folder: Path) -> NativePlace:
    made = NativePlace(folder / "conf", str(folder))
    made.port()
    return made


def runs(pid: int) -> bool:
    """Whether it is there and no zombie that nobody has collected."""
    try:
        return re.search(r"^State:\s*[ZX]", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE) is None
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_failing_check_leaves_no_process(tmp_path: Path) -> None:
    where, pids = place(tmp_path), []
    python = require("/usr/bin/python3.11", "python3.11")
    setup = Setup([SHELL, "-c", f"sleep 100 & echo pid $! and $$; exec {python} -m http.server {where.port()}"])

    def fail() -> None:
        with running(where, setup) as server:
            pids.extend(int(number) for number in re.findall(rb"\d+", server.output().splitlines()[0]))
            raise AssertionError("on purpose")

    with pytest.raises(AssertionError, match="on purpose") as failure:
        fail()
    assert "pid" in "".join(failure.value.__notes__)
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(map(runs, pids)):
        assert time.monotonic() < deadline
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(where.endpoint().address)


def test_a_server_that_ends_is_told(tmp_path: Path) -> None:
    words = pytest.raises(AssertionError, match="ended with status 3")
    with words as failure, running(place(tmp_path), Setup([SHELL, "-c", "echo no room; exit 3"])):
        pass
    assert "no room" in "".join(failure.value.__notes__)


def test_a_server_that_does_not_end_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.integration.servers.server.STOP_SECONDS", 0.2)
    setup = Setup([SHELL, "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"])
    with running(place(tmp_path), setup, lambda _endpoint: None) as server:
        while not server.output():
            pass
        with pytest.raises(AssertionError, match="does not end by signal 15"):
            server.stop()


def test_a_runner_that_is_told_to_end_leaves_no_process(tmp_path: Path) -> None:
    note, root = tmp_path / "pid", Path(__file__).resolve().parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen([sys.executable, "-c", RUNNER, str(note)], env=environment) as runner:
        deadline = time.monotonic() + 30
        while not note.exists():
            assert time.monotonic() < deadline and runner.poll() is None
            time.sleep(0.02)
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(30) == 128 + signal.SIGTERM
    deadline = time.monotonic() + 30
    while runs(int(note.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_a_background_job_ignores_programs_do_not() -> None:
    """Else they would live on natively where they end in the guest."""
    code = "import os, signal; os.kill(os.getpid(), signal.SIGQUIT); print('lives on')"
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        hear_signals()
        outcome = run([sys.executable, "-c", code], env={}, timeout=60)
    finally:
        signal.signal(signal.SIGQUIT, before)
    assert (outcome.status, outcome.stdout) == (128 + signal.SIGQUIT, b"")


def test_what_does_not_end_is_told_of() -> None:
    told = r"no end within 1 s: sleep 60\nprocess \d+: sleep 60 \n  \d+ sleep \(\w+\) in "
    with pytest.raises(TimeLimitError, match=told):
        run(["sleep", "60"], env={"PATH": "/usr/bin:/bin"}, timeout=1)
