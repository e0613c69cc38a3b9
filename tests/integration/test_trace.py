"""`compat trace` and `compat diff` on programs that run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from compat.diff.align import compare
from compat.diff.strace import read_trace
from compat.profile import read_profile

from tests.integration.harness import ENVIRONMENT, Guest, Outcome, compat_command, kill_group, require, run

SCHEMA = Path(__file__).parents[2] / "compat" / "schema"
SOURCE = Path(__file__).parent / "programs" / "traced.c"
KILLED = 128 + signal.SIGKILL


@pytest.fixture
def kvm(guest: Guest) -> Guest:
    if guest.platform == "qemu":
        pytest.skip("tracing needs compat's own monitor")
    return guest


@pytest.fixture(scope="session")
def traced(programs: Path) -> Path:
    program = programs / "traced"
    subprocess.run(["gcc", "-O1", "-pthread", SOURCE, "-o", program], check=True)
    return program


def compat(guest: Guest, *words: str | Path, stdin: bytes = b"") -> Outcome:
    argv = [*compat_command(), *map(str, words)]
    return run(argv, stdin=stdin, env=guest.environment(), timeout=180)


def test_the_guest_s_trace_is_what_strace_sees_of_linux(kvm: Guest, traced: Path, tmp_path: Path) -> None:
    strace = require("/usr/bin/strace", "strace")
    theirs, ours = tmp_path / "native", tmp_path / "guest"
    native = run([strace, "-f", "-o", str(theirs), str(traced)], env=ENVIRONMENT, cwd="/", timeout=60)
    guest = compat(kvm, "trace", "-o", ours, "--cwd", "/", traced)
    assert (native.status, guest.status) == (KILLED, KILLED)
    assert native.stdout == guest.stdout == b"0\n"
    assert guest.stderr == b""
    assert read_profile(ours)["umask"] == 1
    traces = [read_trace(path.read_text().splitlines()) for path in (theirs, ours)]
    assert [(trace.end, trace.strange, len(trace.threads)) for trace in traces] == [("SIGKILL", 0, 2)] * 2
    assert [(one.kind, one.native, one.guest) for one in compare(*traces)] == []
    shown = ours.read_text()
    begun = rf'1 execve\("{traced}", \["{str(traced)[:32]}(?:"\.\.\.|")\], 0x[0-9a-f]+ /\* \d+ vars \*/\) = 0\n'
    assert re.match(begun, shown)
    for line in (
        'writev(5, [{iov_base="ab", iov_len=2}, {iov_base="cde", iov_len=3}], 2) = 5',
        "poll([{fd=4, events=POLLIN}], 1, -1)    = 1 ([{fd=4, revents=POLLIN}])",
        'connect(6, {sa_family=AF_UNIX, sun_path="/nowhere/socket"}, 110) = -1 ENOENT (No such file or directory)',
        "umask(027)                              = 022",
        "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL, si_pid=1, si_uid=0} ---",
        "+++ killed by SIGKILL +++",
    ):
        assert f"1 {line}\n" in shown


def test_json_lines_fit_the_schema(kvm: Guest, traced: Path, tmp_path: Path) -> None:
    output = tmp_path / "calls"
    assert compat(kvm, "trace", "--json", "-e", "%file,writev", "-o", output, traced).status == KILLED
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    schema = json.loads((SCHEMA / "trace.schema.json").read_text())
    for line in lines:
        jsonschema.validate(line, schema)
    calls = [line for line in lines if "call" in line]
    # Nothing else was even recorded.
    assert "writev" in {call["call"] for call in calls} <= {"access", "newfstatat", "openat", "writev", "statfs"}
    assert lines[1]["program"].endswith("/traced")
    assert lines[1]["argv"] == [str(traced)]
    assert lines[-1]["signal"] == "SIGKILL"
    assert read_profile(output)["writev"] == 1


def test_nothing_is_lost_when_the_ring_is_too_small(kvm: Guest) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    words = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=20000"]
    outcome = compat(kvm, "trace", "-c", "-e", "read,write", busybox, "--", *words)
    rows = {line.split()[-1]: line.split() for line in outcome.stderr.decode().splitlines() if line.strip()}
    assert outcome.status == 0
    assert int(rows["read"][3]) == 20000
    assert int(rows["write"][3]) >= 20000


def test_several_cpus_write_one_trace(kvm: Guest, traced: Path, tmp_path: Path) -> None:
    output = tmp_path / "trace"
    assert compat(kvm, "trace", "--cpus", "2", "-o", output, traced).status == KILLED
    trace = read_trace(output.read_text().splitlines())
    assert (trace.end, trace.strange, len(trace.threads)) == ("SIGKILL", 0, 2)
    assert [call.name for call in trace.threads[2]].count("getppid") == 1


def test_filters_summaries_and_the_exit_status(kvm: Guest) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    outcome = compat(kvm, "trace", "--missing-files", "--traps", busybox, "--", "cat", "/not/there")
    assert outcome.status == 1
    assert b" /not/there\n" in outcome.stderr
    assert b" were jumps\n" in outcome.stderr
    assert compat(kvm, "trace", "-e", "nothing", busybox).status == 125
    full = compat(kvm, "trace", "-o", "/dev/full", busybox, "--", "true")
    assert (full.status, full.stderr) == (125, b"compat: cannot write the trace: No space left on device\n")
    refused = compat(kvm, "trace", "--platform", "qemu", busybox)
    assert (refused.status, b"tracing needs" in refused.stderr) == (125, True)


def test_a_running_instance_is_traced_and_left_alone_again(kvm: Guest, tmp_path: Path) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    environment = {**kvm.environment(), "XDG_RUNTIME_DIR": str(tmp_path)}
    with subprocess.Popen(
        [*compat_command(), "run", busybox, "--", "cat"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as instance:
        try:
            assert instance.stdin is not None
            assert instance.stdout is not None

            def echo(text: bytes) -> None:
                assert instance.stdin is not None
                assert instance.stdout is not None
                instance.stdin.write(text)
                instance.stdin.flush()
                assert instance.stdout.readline() == text

            echo(b"before\n")
            for text in (b"first\n", b"second\n"):
                trace_once(instance.pid, environment, text, echo)
                echo(b"between\n")
            instance.stdin.close()
            assert instance.wait(timeout=60) == 0
        finally:
            kill_group(instance)


def trace_once(pid: int, environment: dict[str, str], text: bytes, echo: Callable[[bytes], None]) -> None:
    argv = [*compat_command(), "trace", "--attach", str(pid), "-e", "write"]
    lines: list[bytes] = []
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, start_new_session=True) as tracer:
        assert tracer.stderr is not None
        reader = threading.Thread(target=lambda: lines.extend(tracer.stderr or ()))
        try:
            assert b"is traced until" in tracer.stderr.readline()
            reader.start()
            expected = f'write(1, "{text.decode().strip()}\\n", {len(text)})'.encode()
            limit = time.monotonic() + 60
            # The guest may look at the order a little later than at its input.
            while not any(line.startswith(expected) for line in list(lines)):
                assert time.monotonic() < limit, lines
                echo(text)
            tracer.send_signal(signal.SIGINT)
            assert tracer.wait(timeout=60) == 0
        finally:
            kill_group(tracer)
            reader.join()
    assert all(line.startswith(b"write(1, ") for line in lines)


def test_diff_tells_where_the_guest_goes_another_way(kvm: Guest, traced: Path, tmp_path: Path) -> None:
    require("/usr/bin/strace", "strace")
    equal = compat(kvm, "diff", traced)
    assert (equal.status, equal.stderr) == (0, b"")
    assert b"no divergence" in equal.stdout
    busybox = require("/bin/busybox", "busybox-static")
    there = tmp_path / "there"
    there.write_text("content")
    differs = compat(kvm, "diff", "--json", busybox, "--", "cat", there)
    document = json.loads(differs.stdout)
    jsonschema.validate(document, json.loads((SCHEMA / "diff.schema.json").read_text()))
    assert (differs.status, document["equal"], document["same_stdout"]) == (1, False, False)
    assert document["status"] == {"native": 0, "guest": 1}
    first = document["divergences"][0]
    assert (first["kind"], first["guest"]["result"]) == ("result", "-1 ENOENT (No such file or directory)")
    assert str(there) in first["native"]["text"]
    assert compat(kvm, "diff", "--add-found", busybox, "--", "cat", there).status == 0
    assert compat(kvm, "diff", "/nowhere").status == 2
