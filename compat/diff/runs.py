"""The two runs: here under strace, and in the guest under trace."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compat.diff.normal import OPENS, OWN_FILES
from compat.diff.strace import Trace, read_trace
from compat.errors import CompatError
from compat.launch import RunRequest
from compat.program import Program
from compat.wrap import DEFAULT_ENV
from compat.wrap_request import Addition

# Enough to see which data differ.
STRING = 64
# The guest's RLIMIT_NOFILE.
DESCRIPTORS = 1024
LOOKS = OPENS | {"stat", "lstat", "newfstatat", "statx", "access", "faccessat2"}


@dataclass
class Run:
    trace: Trace
    status: int
    stdout: bytes
    stderr: bytes


class _Capture:
    """A pipe for the program's output, read meanwhile."""

    def __init__(self) -> None:
        self.data = b""
        self._reader, self.writer = os.pipe()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with os.fdopen(self._reader, "rb") as file:
            self.data = file.read()

    def finish(self) -> bytes:
        os.close(self.writer)
        self._thread.join()
        return self.data


@contextlib.contextmanager
def _streams(stdin: Path | None) -> Iterator[tuple[BinaryIO, _Capture, _Capture]]:
    path = stdin or Path(os.devnull)
    try:
        file = path.open("rb")
    except OSError as error:
        raise CompatError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield file, _Capture(), _Capture()


def run_natively(program: Program, request: RunRequest, stdin: Path | None) -> Run:
    """Here, with the environment that the guest has."""
    strace = shutil.which("strace")
    if strace is None:
        raise CompatError("strace is not installed: compat diff compares with what it sees", "apt install strace")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    environment = dict(pair.partition("=")[::2] for pair in (*DEFAULT_ENV, *request.env))
    with tempfile.TemporaryDirectory(prefix="compat-diff-") as directory, _streams(stdin) as (given, out, err):
        output = Path(directory) / "trace"
        command = [strace, "-f", "-o", str(output), "-s", str(STRING), "-E", "LD_PRELOAD", "--", program.exe]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(DESCRIPTORS, before[1]), before[1]))
        try:
            done = subprocess.run(
                [*command, *(request.args or ())],
                stdin=given,
                stdout=out.writer,
                stderr=err.writer,
                env=environment,
                cwd=request.cwd,
                check=False,
            )
        except OSError as error:
            raise CompatError(f"cannot run strace: {error.strerror}") from error
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            stdout, stderr = out.finish(), err.finish()
        with output.open(encoding="utf-8", errors="replace") as lines:
            trace = read_trace(lines)
    if not trace.threads:
        text = stderr.decode(errors="replace").strip()
        raise CompatError(f"strace traced nothing: {text}", "it needs ptrace, which some containers forbid")
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return Run(trace, status, stdout, stderr)


def found_files(trace: Trace) -> list[Addition]:
    """What the program opened or looked at and found, but for what each machine has of its own."""
    paths: set[str] = set()
    for calls in trace.threads.values():
        folders: dict[str, str] = {}
        for call in calls:
            if call.name not in LOOKS or call.result is None or call.result.startswith("-1 "):
                continue
            name = next((argument[1:-1] for argument in call.args if argument.startswith('"')), "")
            path = os.path.join(folders.get(call.args[0], ""), name)
            if call.name in OPENS and call.result.isdecimal():
                folders[call.result] = path
            paths.add(path)
    found = (path for path in sorted(paths) if not OWN_FILES.fullmatch(path))
    return [Addition(path, path) for path in found if path.startswith("/") and os.path.isfile(path)]


def run_in_guest(request: RunRequest, stdin: Path | None) -> Run:
    from compat.trace.session import run_traced
    from compat.trace.text import StraceText, Style

    text = io.StringIO()
    writer = StraceText(text, Style(string=STRING, always_number=True))
    with _streams(stdin) as (given, out, err):
        try:
            status = run_traced(request, f"{STRING} all", [writer], streams=(given, out.writer, err.writer))
        finally:
            stdout, stderr = out.finish(), err.finish()
    return Run(read_trace(text.getvalue().splitlines()), status, stdout, stderr)
