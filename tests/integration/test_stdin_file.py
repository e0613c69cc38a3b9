"""Standard input that is a file: read at any offset, and left where the program was, as natively."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.harness import ENVIRONMENT, Command, Guest, require

LINES = "".join(f"line {number}\n" for number in range(30_000)).encode()
PROGRAM = """
import os, select, stat, sys
found = os.fstat(0)
print(os.lseek(0, 0, os.SEEK_CUR), found.st_size, found.st_nlink, oct(found.st_mode), found.st_mtime_ns)
print(os.pread(0, 10, 100), os.pread(0, 10, found.st_size - 4), os.pread(0, 10, 1 << 40))
print(os.lseek(0, -8, os.SEEK_END), os.read(0, 100), os.read(0, 100))
print(os.lseek(0, 5, os.SEEK_SET), os.read(0, 4), os.lseek(0, 0, os.SEEK_CUR), len(os.read(0, 200_000)))
print(select.select([0], [], [], 0)[0], os.path.samestat(os.fstat(0), os.stat("/proc/self/fd/0")))
for call in (lambda: os.lseek(0, -1, os.SEEK_SET), lambda: os.write(0, b"x"), lambda: select.epoll().register(0)):
    try:
        print(call())
    except OSError as error:
        print(error.errno)
os.lseek(0, 0, os.SEEK_SET)
child = os.fork()
if child == 0:
    print("child:", os.read(0, 7), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(sum(len(os.read(0, 1000)) for _ in range(50)), os.lseek(0, -3, os.SEEK_CUR))
target = os.open("/tmp/compat-copy", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
print(os.sendfile(target, 0, 10, 1000), os.pread(target, 2000, 0) == os.pread(0, 1000, 10), os.lseek(0, 0, os.SEEK_CUR))
os.unlink("/tmp/compat-copy")
"""


def told(argv: Sequence[str], env: dict[str, str], path: Path, start: int) -> tuple[int, bytes, bytes, int]:
    """Status, output, and where the file is read on afterwards."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        done = subprocess.run(argv, stdin=file, env=env, capture_output=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr, file.tell()


def both(guest: Guest, command: Command, path: Path, start: int = 0) -> tuple[int, bytes, bytes, int]:
    native = told(command.argv, {**ENVIRONMENT, **command.env}, path, start)
    assert told(guest.argv(command), guest.environment(), path, start) == native
    return native


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "lines"
    path.write_bytes(LINES)
    return path


@pytest.fixture(autouse=True)
def monitor(guest: Guest) -> None:
    if guest.platform != "kvm":
        pytest.skip("QEMU has no such thing: there bytes flow as through a pipe")


def test_any_offset(guest: Guest, lines: Path, tmp_path: Path) -> None:
    python = require("/usr/bin/python3.11", "python3.11")
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    command = Command([python, str(script)], add=[str(script)])
    status, _, _, position = both(guest, command, lines, start=14)
    assert (status, position) == (0, 50_004)


@pytest.mark.parametrize(
    ("argv", "position"),
    [
        (["/usr/bin/head", "-n", "2"], 14),
        (["/bin/sh", "-c", "read a; read b; echo $a $b"], 14),
        (["/usr/bin/wc", "-l"], len(LINES)),
        (["/usr/bin/tail", "-n", "1"], len(LINES)),
        (["/bin/dd", "bs=100000", "count=1", "status=none"], 100_000),
        (["/bin/sh", "-c", "exec 0<&-; echo nothing"], 0),
    ],
)
def test_others_read_on(guest: Guest, lines: Path, argv: list[str], position: int) -> None:
    assert both(guest, Command(argv), lines)[3] == position


def test_file_that_grows(guest: Guest, lines: Path) -> None:
    """What another process appends meanwhile is seen."""
    command = Command(
        ["/bin/sh", "-c", "cat >/dev/null; echo ready; while ! read a; do :; done; echo $a"], add=["/bin/cat"]
    )
    env = guest.environment()
    with lines.open("rb") as file:
        process = subprocess.Popen(guest.argv(command), stdin=file, env=env, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            with lines.open("ab") as more:
                more.write(b"more\n")
            assert process.stdout.readline() == b"more\n"
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.communicate()
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == len(LINES) + 5
