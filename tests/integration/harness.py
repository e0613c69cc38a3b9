"""Runs a command natively or in the guest, with a clean environment, a time limit and nothing left behind."""

from __future__ import annotations

import contextlib
import difflib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from compat.program import image_version

from tests.integration import hung

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "TZ": "UTC"}
# The last one is where a running instance has its control socket.
PASSED_ON = ("XDG_CACHE_HOME", "COMPAT_NATIVE_DIR", "XDG_RUNTIME_DIR")
COMPARED_LINES = 30
# For whoever looks at how the suite does on a machine with several.
CPUS = int(os.environ.get("COMPAT_TEST_CPUS", "1"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left: status as a shell tells it (128 + N for signal N) and its output."""

    status: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run in either place."""

    argv: Sequence[str]
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    add: Sequence[str] = ()
    memory: str | None = None
    cpus: int | None = None
    cwd: str = "/"
    timeout: float = 60


class TimeLimitError(AssertionError):
    """The command did not end in time."""


def hear_signals() -> None:
    """What a background job or nohup(1) ignores, its programs would ignore as well, natively and not in the guest.

    A handler, even one that does nothing, is none any more in a program that is started.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str],
    cwd: str = "/",
    timeout: float,
    merge: bool = False,
) -> Outcome:
    """Runs in a process group of its own, which is gone afterwards. `merge`: standard error goes to standard output."""
    with contextlib.ExitStack() as started:
        with signals_held():
            process = started.enter_context(
                subprocess.Popen(
                    list(argv),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT if merge else subprocess.PIPE,
                    env=dict(env),
                    cwd=cwd,
                    start_new_session=True,
                )
            )
            started.callback(kill_group, process)
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            told = hung.describe(process.pid, env)
            kill_group(process)
            stdout, stderr = process.communicate()
            what = f"no end within {timeout:.0f} s: {shlex.join(argv)}\n{told}"
            raise TimeLimitError(f"{what}\nstdout: {tail(stdout)}\nstderr: {tail(stderr or b'')}") from None
    return Outcome(shell_status(process.returncode), stdout, stderr or b"")


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Also ends what the command started and left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def unwind_on_sigterm() -> None:
    """SIGTERM ends this program as Ctrl-C does: by way of everything that ends what it has started."""
    hear_signals()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """SIGTERM waits until what is being started is known to those who end it."""
    came: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
    for number in came:
        signal.raise_signal(number)


def shell_status(returncode: int) -> int:
    """Popen gives -N for signal N."""
    return returncode if returncode >= 0 else 128 - returncode


def tail(data: bytes) -> str:
    """The last lines, readable."""
    return "\n".join(data.decode(errors="backslashreplace").splitlines()[-20:])


@dataclass(frozen=True, slots=True)
class Guest:
    """How `compat run` is started in this session."""

    platform: str
    cache: Path
    slowdown: float

    def argv(self, command: Command, extra: Sequence[str] = ()) -> list[str]:
        """The `compat run` command line."""
        argv = [*compat_command(), "run", "--platform", self.platform, "--cwd", command.cwd, *extra]
        if os.environ.get("COMPAT_TEST_MINIMAL") == "1" and "--minimal" not in extra and not is_image(command.argv[0]):
            argv.append("--minimal")
        if command.memory is not None:
            argv += ["-m", command.memory]
        cpus = command.cpus or CPUS
        if cpus > 1:
            argv += ["--cpus", str(cpus)]
        for key, value in {**ENVIRONMENT, **command.env}.items():
            argv += ["-e", f"{key}={value}"]
        for item in command.add:
            argv += ["--add", item]
        return [*argv, command.argv[0], "--", *command.argv[1:]]

    def environment(self) -> dict[str, str]:
        """The environment of the tool itself."""
        kept = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        return {**ENVIRONMENT, "XDG_CACHE_HOME": str(self.cache), **kept}

    def run(self, command: Command, extra: Sequence[str] = ()) -> Outcome:
        """Runs it in the guest. The notice about QEMU is not part of the program's output."""
        # Wrapping a large program the first time takes a while, before the program's own limit begins.
        limit = command.timeout * self.slowdown + 60
        outcome = run(self.argv(command, extra), stdin=command.stdin, env=self.environment(), timeout=limit)
        lines = outcome.stderr.splitlines(keepends=True)
        if self.platform == "qemu" and lines and lines[0].startswith(b"compat: running on QEMU"):
            return Outcome(outcome.status, outcome.stdout, b"".join(lines[1:]))
        return outcome


def is_image(path: str) -> bool:
    """Whether it was wrapped before."""
    return image_version(path) is not None


def cache_folder() -> Path:
    """Builds and images that are good for the next session too: everything in it is keyed by content."""
    given = os.environ.get("COMPAT_TEST_CACHE")
    path = Path(given) if given else Path(tempfile.gettempdir()) / f"compat-tests-{os.getuid()}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        pytest.exit(f"{path} belongs to somebody else; set COMPAT_TEST_CACHE")
    return path


def compat_command() -> list[str]:
    """`compat` as it is installed for the interpreter that runs the tests."""
    return [str(Path(sys.executable).with_name("compat"))]


def run_native(command: Command) -> Outcome:
    """Runs it on this machine."""
    env = {**ENVIRONMENT, **command.env}
    return run(command.argv, stdin=command.stdin, env=env, cwd=command.cwd, timeout=command.timeout)


def assert_same(native: Outcome, guest: Outcome, *, stderr: bool = True) -> None:
    """Fails with a diff of what is not the same."""
    problems = []
    if native.status != guest.status:
        problems.append(f"exit status: native {native.status}, guest {guest.status}")
    if native.stdout != guest.stdout:
        problems.append(difference("stdout", native.stdout, guest.stdout))
    if stderr and native.stderr != guest.stderr:
        problems.append(difference("stderr", native.stderr, guest.stderr))
    elif problems:
        problems.append(f"guest's stderr:\n{tail(guest.stderr)}")
    if problems:
        raise AssertionError("\n".join(problems))


def difference(name: str, native: bytes, guest: bytes) -> str:
    """A unified diff, or the first difference when it is not text."""
    try:
        ours, theirs = guest.decode().splitlines(), native.decode().splitlines()
    except UnicodeDecodeError:
        at = next(
            (i for i, (a, b) in enumerate(zip(native, guest, strict=False)) if a != b), min(len(native), len(guest))
        )
        return f"{name}: {len(native)} bytes native, {len(guest)} in the guest, first difference at {at}"
    lines = list(difflib.unified_diff(theirs, ours, "native", "guest", lineterm=""))
    more = [f"... {len(lines) - COMPARED_LINES} more lines"] if len(lines) > COMPARED_LINES else []
    return "\n".join([f"{name} differs:", *lines[:COMPARED_LINES], *more])


@dataclass(frozen=True, slots=True)
class Same:
    """Runs a command natively and in the guest and fails when they differ."""

    guest: Guest
    # For commands that do not say.
    cpus: int | None = None

    def __call__(
        self,
        command: Command,
        *,
        status: int = 0,
        stderr: bool = True,
        edit: Callable[[bytes], bytes] | None = None,
        notices: Sequence[str] = (),
    ) -> Outcome:
        """`status` is what the native run must give; `edit` takes out of stdout what may rightly differ.

        `notices` names the calls that the program tries, does without, and that compat reports as not implemented.
        """
        command = replace(command, cpus=command.cpus or self.cpus)
        native = run_native(command)
        if native.status != status:
            output = f"{tail(native.stdout)}\n{tail(native.stderr)}"
            raise AssertionError(f"native status {native.status}, not {status}:\n{output}")
        guest = self.guest.run(command)
        guest = replace(guest, stderr=without_notices(guest.stderr, notices))
        if edit is not None:
            native, guest = replace(native, stdout=edit(native.stdout)), replace(guest, stdout=edit(guest.stdout))
        assert_same(native, guest, stderr=stderr)
        return guest


NOTICE = "compat: the program called "


def without_notices(stderr: bytes, calls: Sequence[str] | None = None) -> bytes:
    """Leaves out compat's own lines about these calls, or about all."""
    named = [f"{NOTICE}{call}(2)," for call in calls] if calls is not None else [NOTICE]
    expected = tuple(line.encode() for line in named)
    return b"".join(line for line in stderr.splitlines(keepends=True) if not line.startswith(expected))


def sorted_lines(text: bytes) -> bytes:
    """For output in directory order, which is nobody's promise."""
    return b"".join(sorted(text.splitlines(keepends=True)))


def require(path: str, package: str) -> str:
    """A program of a Debian package; a test without it fails unless COMPAT_ALLOW_MISSING=1."""
    if not os.access(path, os.X_OK):
        missing = f"{path} is missing: apt-get install {package}"
        if os.environ.get("COMPAT_ALLOW_MISSING") == "1":
            pytest.skip(missing)
        pytest.fail(missing)
    return path


def kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """Makes a folder once; one that was left unfinished is made again."""
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        (folder / "complete").touch()
    return folder


def npm_package(cache: Path, package: str) -> Path:
    """`node_modules` with a package from npm, kept between sessions."""
    npm = require(shutil.which("npm") or "/usr/bin/npm", "npm")

    def make(folder: Path) -> None:
        folder.mkdir()
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        subprocess.run([npm, "install", *options, package], check=True, timeout=120, capture_output=True)

    return kept(cache / f"npm-{package}", make) / "node_modules"
