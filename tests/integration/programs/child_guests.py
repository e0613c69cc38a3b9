"""In place of `subprocess.Popen` in a guest: an interpreter that a test starts becomes a guest of its own.

A server on the host starts it (tools/suites/children.py). The child shares no file and no descriptor with the test, and
runs when the test first waits for it. What needs more than that fails as it does without: with ENOSYS.
"""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import socket
import subprocess
import sys

KNOWN = {"stdin", "stdout", "stderr", "env", "cwd", "text", "universal_newlines", "encoding", "bufsize", "close_fds"}
STREAMS = {None, subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL}
# Signals that a shell's status stands for, as compat's does.
SIGNALLED = 128


def unsupported(what):
    return OSError(errno.ENOSYS, f"{os.strerror(errno.ENOSYS)}: {what}")


class Child:
    """As much of Popen as the tests of the interpreter use."""

    server = ("", 0)

    def __init__(self, args, **options):
        self.args = args if isinstance(args, str) else list(args)
        self.returncode = None
        self.options = {name: value for name, value in options.items() if value}
        if self.args[0] != sys.executable:
            raise unsupported("a program")
        streams = {options.get(name) for name in ("stdin", "stdout", "stderr")}
        if any(map(os.path.exists, self.args[1:])) or self.options.keys() - KNOWN or streams - STREAMS:
            raise unsupported("a child that shares files or descriptors")
        self.text = options.get("text") or options.get("universal_newlines") or options.get("encoding")
        self.stdin = io.BytesIO() if options.get("stdin") == subprocess.PIPE else None
        self.stdout = Output(self, "out") if options.get("stdout") == subprocess.PIPE else None
        self.stderr = Output(self, "err") if options.get("stderr") == subprocess.PIPE else None
        self.answer = None

    @property
    def pid(self):
        raise unsupported("the number of a child")

    def run(self, given=b""):
        """Lets the child run to its end, once."""
        if self.answer is not None:
            return self.answer
        if isinstance(given, str):
            given = given.encode()
        if self.stdin is not None and not self.stdin.closed:
            given = self.stdin.getvalue() + (given or b"")
        question = {
            "args": list(self.args[1:]),
            "stdin": base64.b64encode(given or b"").decode(),
            "env": dict(self.options.get("env") or os.environ),
            "merge": self.options.get("stderr") == subprocess.STDOUT,
        }
        with socket.create_connection(self.server) as connection:
            connection.sendall(json.dumps(question).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline())
        self.answer = {"out": base64.b64decode(answer["out"]), "err": base64.b64decode(answer["err"])}
        status = answer["status"]
        self.returncode = SIGNALLED - status if status > SIGNALLED else status
        return self.answer

    def shown(self, data):
        return data.decode().replace("\r\n", "\n") if self.text else data

    def communicate(self, input=None, timeout=None):  # noqa: A002
        answer = self.run(input)
        out = self.shown(answer["out"]) if self.stdout is not None else None
        err = self.shown(answer["err"]) if self.stderr is not None else None
        return out, err

    def wait(self, timeout=None):
        self.run()
        return self.returncode

    def poll(self):
        return self.wait()

    def send_signal(self, number):
        raise unsupported("a signal to a child")

    def terminate(self):
        if self.answer is None:
            raise unsupported("a signal to a child")

    kill = terminate

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.wait()


class Output(io.BytesIO):
    """What the child wrote, which is there when it is first asked for."""

    def __init__(self, child, name):
        super().__init__()
        self.child = child
        self.name_of_answer = name
        self.filled = False

    def fill(self):
        if not self.filled:
            self.filled = True
            self.write(self.child.run()[self.name_of_answer])
            self.seek(0)

    def read(self, size=-1):
        self.fill()
        return super().read(size)

    def readline(self, size=-1):
        self.fill()
        return super().readline(size)

    def __iter__(self):
        self.fill()
        return super().__iter__()


def install(server):
    host, port = server.rsplit(":", 1)
    Child.server = (host, int(port))
    subprocess.Popen = Child
