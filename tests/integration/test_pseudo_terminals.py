"""Programs that make terminals for others: script(1), Python's `pty`, and a shell with jobs on one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.integration.harness import Command, require

Same = Callable[..., object]
TOOLS = ("/bin/sh", "/bin/cat", "/bin/stty", "/usr/bin/tty")
# What is typed, and what is waited for before that.
JOBS = """
import os, pty, sys

TYPED = [
    ("1> ", "cat\\n"), ("cat\\r\\n", "word\\n"), ("word\\r\\nword\\r\\n", "\\x1a"), ("Stopped", ""), ("2> ", "jobs\\n"),
    ("Stopped", ""), ("3> ", "fg\\n"), ("cat\\r\\n", "again\\n"), ("again\\r\\nagain\\r\\n", "\\x03"),
    ("4> ", "echo $?\\n"),
    ("130\\r\\n", ""), ("5> ", "cat &\\n"), ("6> ", "kill %1; wait\\n"), ("7> ", "stty size < /dev/tty\\n"),
    ("0 0\\r\\n", "exit 4\\n"),
]
pid, master = pty.fork()
if pid == 0:
    os.environ["PS1"] = "\\\\#> "
    os.execv("/bin/bash", ["bash", "--norc", "--noediting", "-i"])
seen = ""
for awaited, typed in TYPED:
    while awaited not in seen:
        seen += os.read(master, 4096).decode()
    seen = seen.partition(awaited)[2]
    print(repr(awaited), flush=True)
    os.write(master, typed.encode())
try:
    while os.read(master, 4096):
        pass
except OSError as error:
    print(error.errno)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def without_numbers(told: bytes) -> bytes:
    """Which pseudo-terminal is free depends on the machine."""
    return re.sub(rb"/dev/pts/\d+", b"/dev/pts/N", told)


def test_script(same: Same) -> None:
    script = require("/usr/bin/script", "bsdutils")
    what = (
        "tty; stty rows 33 cols 99; stty size; stty -a | cat | head -c 20; echo; echo to the terminal >/dev/tty; exit 3"
    )
    command = Command([script, "-qec", what, "/dev/null"], add=[*TOOLS, "/usr/bin/head"], env={"SHELL": "/bin/sh"})
    same(command, status=3, edit=without_numbers)


def test_python(same: Same, tmp_path: Path) -> None:
    python = require("/usr/bin/python3.11", "python3.11")
    script = tmp_path / "spawn.py"
    script.write_text("""
import os, pty, sys
inside = "print('inside', open('/dev/tty').isatty()); exit(5)"
print(os.waitstatus_to_exitcode(pty.spawn([sys.executable, "-c", inside])))
master, slave = os.openpty()
print(os.ttyname(slave).startswith("/dev/pts/"), os.isatty(master))
os.write(master, b"line\\n")
print(os.read(slave, 100), os.read(master, 100))
""")
    same(Command([python, str(script)], add=[str(script), python]))


def test_jobs(same_on_cpus: Same, tmp_path: Path) -> None:
    python, bash = require("/usr/bin/python3.11", "python3.11"), require("/bin/bash", "bash")
    script = tmp_path / "jobs.py"
    script.write_text(JOBS)
    same_on_cpus(Command([python, str(script)], add=[str(script), bash, *TOOLS]))
