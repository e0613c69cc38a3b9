"""Images whose kernel holds only what the program needs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from compat import native
from compat.image import read_kernel
from compat.profile import read_profile

from tests.integration.harness import Command, Guest, Outcome, assert_same, compat_command, require, run, run_native

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "tools" / "bench" / "hello.c"
# What a hello world of glibc does, statically linked; its own trace is not needed for that.
TRACE = "".join(
    f"{name}() = 0\n"
    for name in "brk arch_prctl set_tid_address set_robust_list rseq prlimit64 readlinkat readlink getrandom mprotect "
    "newfstatat fstat write exit_group".split()
)
# The part of the whole kernel that is loaded.
LIMIT = 0.35
REDIS_LIMIT = 0.70
TINY = 32

PROBE = """
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    for (int i = 0; i < 2; i++)
        printf("getpid: %ld\\n", syscall(SYS_getpid) > 0 ? 0L : (long)errno);
    printf("socket: %d\\n", socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : errno);
    return 0;
}
"""


@pytest.fixture(scope="module")
def static_program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    folder = tmp_path_factory.mktemp("programs")

    def build(name: str, text: str) -> Path:
        (folder / f"{name}.c").write_text(text)
        subprocess.run(["gcc", "-O1", "-static", folder / f"{name}.c", "-o", folder / name], check=True)
        return folder / name

    return build


def wrap(guest: Guest, program: Path | str, image: Path, *options: str | Path) -> Outcome:
    argv = [*compat_command(), "wrap", str(program), "-o", str(image), *map(str, options)]
    outcome = run(argv, env=guest.environment(), cwd=str(ROOT), timeout=120)
    assert outcome.status == 0, outcome
    return outcome


def trace(folder: Path, text: str = TRACE) -> Path:
    (folder / "trace").write_text(text)
    return folder / "trace"


def kernel_size(image: Path) -> int:
    """Of what is loaded before the configuration."""
    return sum(segment.filesz for segment in read_kernel(image).segments[:3])


def functions(image: Path) -> set[str]:
    """The symbols that mean something. Of functions that came out equal the compiler keeps one, under the name of
    either: so neither those of a few bytes count, nor a crate that is named inside another's symbol.
    """
    listing = subprocess.run(["nm", "-S", "-C", image], capture_output=True, text=True, check=True).stdout
    rows = (line.split(maxsplit=3) for line in listing.splitlines())
    return {row[3].lstrip("<&") for row in rows if len(row) == 4 and int(row[1], 16) > TINY}


def test_hello_runs_on_a_part_of_the_kernel(guest: Guest, static_program: Callable, tmp_path: Path) -> None:
    hello, image = static_program("hello", HELLO.read_text()), tmp_path / "hello.img"
    outcome = wrap(guest, hello, image, "--profile", trace(tmp_path), "--margin", "none", "--symbols")
    assert b" of " in outcome.stdout
    assert guest.run(Command([str(image)])) == Outcome(0, b"hello\n", b"")
    assert kernel_size(image) <= LIMIT * kernel_size(native.native_file(native.KERNEL))


def test_the_analysis_is_enough_to_run(guest: Guest, static_program: Callable, tmp_path: Path) -> None:
    hello = static_program("hello", HELLO.read_text())
    images = [tmp_path / "one.img", tmp_path / "two.img"]
    for image in images:
        said = wrap(guest, hello, image, "--symbols").stdout.decode()
    assert kernel_size(images[0]) <= LIMIT * kernel_size(native.native_file(native.KERNEL))
    calls, of = map(int, re.findall(r"kernel: (\d+) of (\d+) calls", said)[0])
    assert calls < of / 3, said
    assert not {name for name in functions(images[0]) if name.startswith(("smoltcp::", "net::", "compat.sys.socket"))}
    assert images[0].read_bytes() == images[1].read_bytes()
    assert guest.run(Command([str(images[0])])) == Outcome(0, b"hello\n", b"")


def test_nothing_of_what_is_left_out_is_there(guest: Guest, static_program: Callable, tmp_path: Path) -> None:
    hello, image = static_program("hello", HELLO.read_text()), tmp_path / "hello.img"
    # A ring makes sockets, too.
    wrap(guest, hello, image, "--all", "--exclude", "@sockets", "--exclude", "io_uring_enter", "--symbols")
    names = functions(image)
    assert "compat.sys.epoll_wait" in names
    of_sockets = {name for name in names if name.startswith(("smoltcp::", "net::", "compat.sys.socket"))}
    # Seccomp's filters are of the same kind as those of packet sockets.
    assert not {name for name in of_sockets if not name.startswith("net::bpf::")}
    # Without --all the way out over a card stays out unless it is asked for.
    for options in (("--all", "--net", "user"), ("--include", "@sockets")):
        wrap(guest, hello, image, *options, "--symbols")
        names = functions(image)
        assert any(name.startswith("net::forward::") for name in names)
        card = ("smoltcp::", "net::stack::state::", "net::stack::uplink::")
        assert not {name for name in names if name.startswith(card)}
        assert guest.run(Command([str(image)])) == Outcome(0, b"hello\n", b"")
    wrap(guest, hello, image, "--include", "@sockets", "--net", "all", "--symbols")
    assert any(name.startswith("smoltcp::") for name in functions(image))


def test_redis_runs_on_a_part_of_the_kernel(guest: Guest, tmp_path: Path) -> None:
    redis, image = require("/usr/bin/redis-server", "redis-server"), tmp_path / "redis.img"
    wrap(guest, redis, image, "--symbols")
    assert kernel_size(image) <= REDIS_LIMIT * kernel_size(native.native_file(native.KERNEL))


def test_a_call_that_is_left_out_says_so_once(guest: Guest, static_program: Callable, tmp_path: Path) -> None:
    probe, image = static_program("probe", PROBE), tmp_path / "probe.img"
    wrap(guest, probe, image, "--profile", trace(tmp_path), "--margin", "none")
    outcome = guest.run(Command([str(image)]))
    assert outcome.stdout == b"getpid: 38\ngetpid: 38\nsocket: 38\n"
    said = [line for line in outcome.stderr.splitlines() if b"left out" in line]
    assert said == [
        b"compat: getpid was left out of this image; add it with compat wrap --include getpid",
        b"compat: socket was left out of this image; add it with compat wrap --include socket",
    ]


def test_a_report_of_the_image_says_what_was_left_out(guest: Guest, static_program: Callable, tmp_path: Path) -> None:
    probe, image = static_program("probe", PROBE), tmp_path / "probe.img"
    wrap(guest, probe, image, "--profile", trace(tmp_path), "--margin", "none", "--include", "getpid")
    done = run([*compat_command(), "report", "--json", str(image)], env=guest.environment(), timeout=120)
    levels = {call["name"]: call["level"] for call in json.loads(done.stdout)["programs"][0]["calls"]}
    assert (levels["socket"], levels["getpid"], levels["write"]) == ("missing", "full", "full")


def test_what_the_message_says_helps(guest: Guest, static_program: Callable, tmp_path: Path) -> None:
    probe, image = static_program("probe", PROBE), tmp_path / "probe.img"
    options = ["--profile", trace(tmp_path), "--margin", "none", "--include", "getpid", "--include", "socket"]
    wrap(guest, probe, image, *options)
    assert guest.run(Command([str(image)])) == Outcome(0, b"getpid: 0\ngetpid: 0\nsocket: 0\n", b"")


def test_equal_requests_give_equal_images(guest: Guest, tmp_path: Path) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    images = []
    for name in ("one", "two"):
        other = Guest(guest.platform, tmp_path / name, guest.slowdown)
        images.append(tmp_path / f"{name}.img")
        wrap(other, busybox, images[-1], "--profile", trace(tmp_path), "--include", "@files")
    assert images[0].read_bytes() == images[1].read_bytes()


def test_a_real_trace_is_enough_to_run(guest: Guest, tmp_path: Path) -> None:
    strace = require("/usr/bin/strace", "strace")
    busybox = require("/bin/busybox", "busybox-static")
    argv = [strace, "-f", "-o", str(tmp_path / "trace"), busybox, "ls", "/proc/self/fd"]
    assert run(argv, env=guest.environment(), timeout=60).status == 0
    assert "getdents64" in read_profile(tmp_path / "trace")
    wrap(guest, busybox, tmp_path / "ls.img", "--profile", tmp_path / "trace", "--margin", "none")
    outcome = guest.run(Command([str(tmp_path / "ls.img"), "ls", "/proc/self/fd"]))
    assert (outcome.status, outcome.stderr) == (0, b"")
    assert outcome.stdout.split()[:3] == [b"0", b"1", b"2"]


COMMANDS = {
    "busybox-static": Command(["/bin/busybox", "echo", "minimal"]),
    "sqlite3": Command(["/usr/bin/sqlite3", ":memory:", "select sqlite_version(), 6*7"]),
    "jq": Command(["/usr/bin/jq", "-c", ".[] | length"], stdin=b'["a", "bc"]'),
}


@pytest.mark.parametrize("package", COMMANDS)
def test_run_with_a_minimal_kernel(package: str, guest: Guest) -> None:
    command = COMMANDS[package]
    require(command.argv[0], package)
    assert_same(run_native(command), guest.run(command, ["--minimal"]))


FORKS = """
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    int status;
    if (fork() == 0) _exit(3);
    wait(&status);
    printf("%d\\n", WEXITSTATUS(status));
    return 0;
}
"""


def test_only_who_starts_processes_can(
    guest: Guest, static_program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    image = tmp_path / "image"
    wrap(guest, static_program("hello", HELLO.read_text()), image, "--symbols")
    assert not {name for name in functions(image) if "task::fork" in name or "mm::fork::put" in name}
    forks = static_program("forks", FORKS)
    told = wrap(guest, forks, image, "--symbols").stdout.decode()
    assert "processes" in told
    assert {name for name in functions(image) if "task::fork" in name}
    assert_same(run_native(Command([str(forks)])), guest.run(Command([str(image)])))
    wrap(guest, forks, image, "--exclude", "fork")
    left_out = guest.run(Command([str(image)]))
    assert "starting processes was left out of this image; add it with compat wrap --include fork" in (
        left_out.stderr.decode()
    )
