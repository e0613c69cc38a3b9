"""Traces: what counts as a call, and what is no trace."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from compat.errors import CompatError
from compat.profile import read_profile

STRACE = """\
9519  execve("/bin/x", ["/bin/x"], 0x7ffe /* 39 vars */) = 0
9519  brk(NULL)                         = 0x36ca8000
9519  read(3, "exec(", 5 <unfinished ...>
9520  futex(0x7f, FUTEX_WAIT, 2, NULL <unfinished ...>
9519  <... read resumed>)               = 5
9519  execve("/bin/y", ["y"], 0x7ffe /* 39 vars */) = -1 ENOENT (No such file or directory)
9519  --- SIGCHLD {si_signo=SIGCHLD} ---
9520  +++ exited with 0 +++
"""


def profile(tmp_path: Path, text: str) -> dict[str, int]:
    (tmp_path / "trace").write_text(text)
    return dict(read_profile(tmp_path / "trace"))


def test_strace_with_process_numbers(tmp_path: Path) -> None:
    assert profile(tmp_path, STRACE) == {"brk": 1, "read": 1, "futex": 1, "execve": 1}


@pytest.mark.parametrize(
    "prefix", ["", "[pid  12] ", "12:13:14 ", "12:13:14.567890 ", "1700000000.123456 ", "12 12:13:14.5 ", "77  "]
)
def test_forms_of_a_line(prefix: str, tmp_path: Path) -> None:
    assert profile(tmp_path, f'{prefix}openat(AT_FDCWD, "/x", O_RDONLY) = -1 ENOENT\n{prefix}--- SIGINT ---\n') == {
        "openat": 1
    }


def test_json_lines(tmp_path: Path) -> None:
    text = '{"call": "read", "result": 1}\n{"event": "exit"}\n{"call": "read"}\n{"call": "mmap"}\n'
    assert profile(tmp_path, text) == {"read": 2, "mmap": 1}


@pytest.mark.parametrize("text", ["", "\n\n", "hello\nworld\n", '{"event": 1}\n', "read(0) = 1\n{broken\n", "[1]\n"])
def test_what_is_no_trace(text: str, tmp_path: Path) -> None:
    with pytest.raises(CompatError, match="is no trace"):
        profile(tmp_path, text)


def test_prose_with_a_few_calls_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(CompatError, match="lines are not understood"):
        profile(tmp_path, "Usage\n=====\nplease call\nread(fd)\n")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CompatError, match="no such file"):
        read_profile(tmp_path / "nothing")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(b'write(1, "\xff\xfe", 2) = 2\n')
    assert read_profile(tmp_path / "trace") == {"write": 1}


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_what_strace_writes_here(static_hello: Path, tmp_path: Path) -> None:
    subprocess.run(["strace", "-f", "-tt", "-o", tmp_path / "trace", static_hello], check=True, capture_output=True)
    calls = read_profile(tmp_path / "trace")
    assert calls["write"] == calls["exit_group"] == 1
    assert "execve" not in calls
