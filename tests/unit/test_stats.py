"""`compat stats`: finding instances, asking them, showing what they say."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "compat" / "schema"
ANSWER = {
    "schema_version": 1,
    "memory": {"rss_kib": 2048, "free": 1024, "swapped": 0},
    "uptime_ns": 1_500_000_000,
    "network": {"bytes": {"in": 4096}, "packets": {"in": 1234}},
    "devices": [{"device": "rng", "interrupts": 7}, {"device": "console", "interrupts": 9}],
    "guest": None,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "compat").mkdir()
    return tmp_path / "compat"


class Monitor:
    """Answers as a monitor does, with figures that grow."""

    def __init__(self, path: Path, answer: bytes | None = None) -> None:
        self.questions: list[bytes] = []
        self.answer = answer
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            with connection, connection.makefile("rb") as lines:
                question = lines.readline()
                if not question:
                    return
                self.questions.append(question)
                packets = {"in": 1234 * len(self.questions)}
                told = {**ANSWER, "network": {**ANSWER["network"], "packets": packets}}
                connection.sendall(json.dumps(told).encode() + b"\n" if self.answer is None else self.answer)

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(self.listener.getsockname())
        self.thread.join()
        self.listener.close()


@pytest.fixture
def monitor(folder: Path) -> Iterator[Monitor]:
    made = Monitor(folder / "4242.sock")
    yield made
    made.close()


def stats(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "compat", "stats", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60)


def test_nothing_runs(folder: Path) -> None:
    assert stats().stdout == "No instance is running.\n"
    folder.rmdir()
    assert json.loads(stats("--json").stdout) == {"schema_version": 1, "instances": []}
    done = stats("77")
    assert (done.returncode, "no instance 77" in done.stderr) == (125, True)


def test_an_instance_is_asked(monitor: Monitor) -> None:
    done = stats("--json")
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads((SCHEMAS / "stats.schema.json").read_text()))
    assert document["instances"] == [{**ANSWER, "pid": 4242}]
    assert [json.loads(question) for question in monitor.questions] == [{"command": "stats"}]


def test_figures_for_people(monitor: Monitor) -> None:
    text = stats("4242").stdout
    assert "instance 4242" in text
    rows = {line.rsplit("  ", 1)[0].strip(): line for line in map(str.rstrip, text.splitlines())}
    assert rows["memory rss"].endswith("2.0 MiB")
    assert rows["memory free"].endswith("1.0 KiB")
    assert rows["uptime"].endswith("1.500 s")
    assert list(rows).index("uptime") < list(rows).index("memory rss")
    assert "swapped" not in text
    assert rows["network bytes in"].endswith("4.0 KiB")
    assert rows["network packets in"].endswith("1,234")
    assert rows["rng interrupts"].endswith("7")
    assert rows["console interrupts"].endswith("9")
    assert "schema" not in text
    assert "guest" not in text


def test_stale_and_foreign_files_are_passed_over(folder: Path, monitor: Monitor) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(folder / "17.sock"))
    (folder / "notes.txt").write_text("")
    (folder / "x.sock").write_text("")
    assert [row["pid"] for row in json.loads(stats("--json").stdout)["instances"]] == [4242]


@pytest.mark.parametrize("answer", [b"nonsense\n", b"[1]\n"])
def test_answers_that_are_none(folder: Path, answer: bytes) -> None:
    monitor = Monitor(folder / "1.sock", answer)
    try:
        done = stats()
    finally:
        monitor.close()
    assert (done.returncode, "no answer that this version" in done.stderr) == (125, True)


def test_watching(monitor: Monitor) -> None:
    command = [sys.executable, "-m", "compat", "stats", "--watch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as process:
        deadline = time.monotonic() + 20
        while len(monitor.questions) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 130, errors
    assert "a second" in output
    assert "1,2" in output


def test_watching_for_programs(monitor: Monitor) -> None:
    command = [sys.executable, "-m", "compat", "stats", "--watch", "--json", "4242"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        process.wait(20)
    counts = [line["instances"][0]["network"]["packets"]["in"] for line in lines]
    assert counts == [1234, 2468]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to make a folder of somebody else")
def test_a_folder_of_somebody_else(folder: Path) -> None:
    os.chown(folder, 65534, 65534)
    done = stats()
    assert (done.returncode, "another user" in done.stderr) == (125, True)
