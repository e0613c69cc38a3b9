"""A trace in strace's words."""

from __future__ import annotations

import io
import struct

import pytest

from compat.errors import InternalError
from compat.trace.session import decode
from compat.trace.text import StraceText, Style
from tests.unit.trace.stream import ended, enter, leave, signal, started, started_with, stream

PATH = 0x7000_0000
BUFFER = 0x7000_1000


def text(*parts: bytes, style: Style | None = None) -> list[str]:
    out = io.StringIO()
    decode(io.BytesIO(stream(parts)), [StraceText(out, style or Style())])
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def call(
    name: str, args: list[int], result: int, before: dict[int, bytes] | None = None, **after: dict[int, bytes]
) -> str:
    lines = text(enter(name, *args, memory=before), leave(name, result, memory=after.get("after")))
    assert len(lines) == 1
    return lines[0]


AT_FDCWD = -100
STAT = (1, 2, 1, 0o104755, 0, 0, 0, 0, 17, 4096, 8)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            call("openat", [AT_FDCWD, PATH, 0o2000000, 0o644], 3, {PATH: b"/etc/passwd\0"}),
            'openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3',
        ),
        (
            call("openat", [AT_FDCWD, PATH, 0o1101, 0o644], -2, {PATH: b'a"b\n\1\x37\0'}),
            r'openat(AT_FDCWD, "a\"b\n\0017", O_WRONLY|O_CREAT|O_TRUNC, 0644) = -1 ENOENT (No such file or directory)',
        ),
        (
            call("openat", [AT_FDCWD, PATH, 0, 0], -14),
            "openat(AT_FDCWD, 0x70000000, O_RDONLY) = -1 EFAULT (Bad address)",
        ),
        (call("read", [3, BUFFER, 100], 3, after={BUFFER: b"abc"}), 'read(3, "abc", 100) = 3'),
        (
            call("read", [3, BUFFER, 100], -11),
            "read(3, 0x70001000, 100) = -1 EAGAIN (Resource temporarily unavailable)",
        ),
        (call("write", [1, BUFFER, 40], 40, {BUFFER: b"x" * 32}), f'write(1, "{"x" * 32}"..., 40) = 40'),
        (
            call("mmap", [0, 8192, 3, 0x22, -1, 0], 0x7F0000001000),
            "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000001000",
        ),
        (call("umask", [0o22], 0o777), "umask(022) = 0777"),
        (call("fcntl", [3, 3, 0], 0x8002), "fcntl(3, F_GETFL) = 0x8002 (flags O_RDWR|O_LARGEFILE)"),
        (call("fcntl", [3, 2, 1], 0), "fcntl(3, F_SETFD, FD_CLOEXEC) = 0"),
        (call("close", [3], -512), "close(3) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)"),
        (
            call("connect", [3, BUFFER, 16], 0, {BUFFER: struct.pack("<H", 2) + b"\0\x50\x7f\0\0\1" + bytes(8)}),
            'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
        ),
        (
            call(
                "poll",
                [BUFFER, 1, 50],
                1,
                {BUFFER: struct.pack("<ihh", 5, 1, 0)},
                after={BUFFER: struct.pack("<ihh", 5, 1, 1)},
            ),
            "poll([{fd=5, events=POLLIN}], 1, 50) = 1 ([{fd=5, revents=POLLIN}])",
        ),
        (
            call("epoll_wait", [4, BUFFER, 8, -1], 1, after={BUFFER: struct.pack("<IQ", 1, 5)}),
            "epoll_wait(4, [{events=EPOLLIN, data={u32=5, u64=5}}], 8, -1) = 1",
        ),
        (
            call("writev", [1, BUFFER, 1], 2, {BUFFER: struct.pack("<QQ", PATH, 2), PATH: b"hi"}),
            'writev(1, [{iov_base="hi", iov_len=2}], 1) = 2',
        ),
        (
            call("rt_sigprocmask", [0, BUFFER, 0, 8], 0, {BUFFER: struct.pack("<Q", 1 << 1 | 1 << 14)}),
            "rt_sigprocmask(SIG_BLOCK, [INT TERM], NULL, 8) = 0",
        ),
        (
            call(
                "getsockname",
                [3, BUFFER, PATH],
                0,
                {PATH: struct.pack("<i", 128)},
                after={BUFFER: b"\1\0", PATH: struct.pack("<i", 2)},
            ),
            "getsockname(3, {sa_family=AF_UNIX}, [128 => 2]) = 0",
        ),
        (
            call("mremap", [0x70000000, 4096, 8192, 1, 5], 0x70001000),
            "mremap(0x70000000, 4096, 8192, MREMAP_MAYMOVE) = 0x70001000",
        ),
        (call("mknod", [PATH, 0o10600, 0], 0, {PATH: b"f\0"}), 'mknod("f", S_IFIFO|0600) = 0'),
        (
            call("stat", [PATH, BUFFER], 0, {PATH: b"f\0"}, after={BUFFER: struct.pack("<QQQIIIIQqqq", *STAT)}),
            'stat("f", {st_mode=S_IFREG|S_ISUID|0755, st_size=17, ...}) = 0',
        ),
        (
            call(
                "sendfile",
                [1, 3, BUFFER, 10],
                10,
                {BUFFER: struct.pack("<q", 5)},
                after={BUFFER: struct.pack("<q", 15)},
            ),
            "sendfile(1, 3, [5] => [15], 10) = 10",
        ),
        (call("fcntl", [3, 1034, 0], 3), "fcntl(3, F_GET_SEALS) = 0x3 (seals F_SEAL_SEAL|F_SEAL_SHRINK)"),
        (call("kill", [1, 65], -22), "kill(1, 65) = -1 EINVAL (Invalid argument)"),
        (call("futex", [0x7000_0000, 129, 1], 0), "futex(0x70000000, FUTEX_WAKE_PRIVATE, 1) = 0"),
    ],
)
def test_calls_look_as_under_strace(shown: str, expected: str) -> None:
    assert shown == expected


def test_interrupted_calls_are_told_in_two_halves() -> None:
    lines = text(
        enter("read", 0, BUFFER, 10, tid=1),
        enter("getpid", tid=2),
        leave("getpid", 1, tid=2),
        leave("read", 2, tid=1, memory={BUFFER: b"ok"}),
        ended(0, tid=2, whole=False),
    )
    assert lines == [
        "read(0, <unfinished ...>",
        "[pid 2] getpid() = 1",
        '[pid 1] <... read resumed>"ok", 10) = 2',
        "[pid 2] +++ exited with 0 +++",
    ]


def test_the_end_and_signals() -> None:
    style = Style(always_number=True)
    lines = text(signal(15), enter("exit_group", 3), ended(3 << 8), style=style)
    assert lines == [
        "1 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=7, si_uid=0} ---",
        "1 exit_group(3) = ?",
        "1 +++ exited with 3 +++",
    ]
    assert text(ended(9)) == ["+++ killed by SIGKILL +++"]
    assert text(signal(15), style=Style(signals=False)) == []


def test_the_start_is_shown_as_the_execve_that_it_was() -> None:
    style = Style(start=True, string=4)
    begun = started_with("/bin/date", ["date", "+%s seconds"], ["A=1", "B="])
    assert text(begun, style=style) == ['execve("/bin/date", ["date", "+%s "...], 0x1000 /* 2 vars */) = 0']
    assert text(started_with("/bin/x", ["x"], ["A=1"]), style=style)[0].endswith("/* 1 var */) = 0")
    assert text(started_with("/bin/x", ["x"], []), style=style)[0].endswith("/* 0 vars */) = 0")
    # Who joins later, or does not ask for it, is not told.
    assert text(begun) == []
    assert text(started("/bin/date"), style=style) == []


def test_what_never_returned_is_shown() -> None:
    assert text(enter("pause")) == ["pause( <unfinished ...>"]


def test_halves_without_a_beginning_are_left_out() -> None:
    assert text(leave("read", 0), enter("close", 3), leave("read", 0)) == []


def test_a_stream_that_is_cut_off_ends() -> None:
    whole = stream([enter("close", 3), leave("close", 0)])
    for length in range(len(whole)):
        text(whole[:length])


def test_a_broken_stream_is_an_error() -> None:
    long_snippet = bytearray(enter("write", 1, BUFFER, 3, memory={BUFFER: b"abc"}))
    long_snippet[-16:-12] = b"\xff\xff\0\0"
    for bad in (bytes(24), b"\xff" * 40, bytes(long_snippet)):
        with pytest.raises(InternalError, match="broken"):
            text(bad, bad)
