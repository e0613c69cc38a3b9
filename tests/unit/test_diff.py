"""What counts as a divergence."""

from __future__ import annotations

from compat.diff.align import Divergence, compare
from compat.diff.strace import parse_call, read_trace

START = '1 execve("/bin/x", ["x"], 0x7ffd00000000 /* 5 vars */) = 0\n'


def divergences(native: str, guest: str) -> list[Divergence]:
    return list(compare(read_trace((START + native).splitlines()), read_trace(guest.splitlines())))


def test_calls_are_taken_apart() -> None:
    call = parse_call(1, r'openat(AT_FDCWD, "a,\"b)", O_RDONLY|O_CLOEXEC) = -1 ENOENT (No such file or directory)')
    assert call is not None
    assert call.args == ["AT_FDCWD", r'"a,\"b)"', "O_RDONLY|O_CLOEXEC"]
    assert call.result == "-1 ENOENT (No such file or directory)"
    call = parse_call(1, 'writev(1, [{iov_base="x", iov_len=1}, {iov_base="=) = ", iov_len=5}], 2) = 6')
    assert call is not None
    assert (len(call.args), call.result) == (3, "6")
    assert parse_call(1, "strace: Process 5 attached") is None


def test_halves_come_together() -> None:
    trace = read_trace(
        ["1 read(0,  <unfinished ...>", "2 getpid() = 1", '1 <... read resumed>"a", 5) = 1', "1 +++ exited with 7 +++"]
    )
    assert [(call.name, call.args) for call in trace.threads[1]] == [("read", ["0", '"a"', "5"])]
    assert (list(trace.threads), trace.end) == ([1, 2], "7")


def test_lines_that_are_none_of_strace_s_are_counted() -> None:
    trace = read_trace(["7 ---", "7 --- ", "7 --- SIGUSR1 {si_signo=SIGUSR1} ---", "what?"])
    assert trace.strange == 3
    assert [call.args for call in trace.threads[7]] == [["SIGUSR1"]]


def test_what_must_differ_does_not_count() -> None:
    native = """\
7 brk(NULL)                               = 0x55d0c8a5e000
7 brk(0x55d0c8a7f000)                     = 0x55d0c8a7f000
7 getpid() = 4711
7 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f2b6a0d1000
7 openat(AT_FDCWD, "/proc/self/maps", O_RDONLY|O_CLOEXEC) = 3
7 read(3, "55d0c8000000-"..., 4096) = 4000
7 read(3, "", 4096) = 0
7 close(3) = 0
7 openat(AT_FDCWD, "/sys/fs/cgroup/x", O_RDONLY) = 3
7 close(3) = 0
7 openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 3
7 mkdir("/tmp/x-Qw1xYz", 0700) = 0
7 rmdir("/tmp/x-Qw1xYz") = 0
7 --- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---
7 rt_sigreturn({mask=[]}) = 4711
7 exit_group(0) = ?
7 +++ exited with 0 +++
"""
    guest = """\
1 brk(NULL) = 0x5632a0000000
1 getpid() = 1
1 mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
1 openat(AT_FDCWD, "/proc/self/maps", O_RDONLY|O_CLOEXEC) = 3
1 read(3, "5632a00", 4096) = 7
1 close(3) = 0
1 openat(AT_FDCWD, "/a", O_RDONLY|O_DIRECTORY|O_CLOEXEC) = 3
1 mkdir("/tmp/x-aB3dE9", 0700) = 0
1 rmdir("/tmp/x-aB3dE9") = 0
1 rt_sigreturn() = 0
1 exit_group(0) = ?
"""
    assert divergences(native.replace("7 ", "1 "), guest) == []


def test_results_arguments_and_steps_count() -> None:
    found = divergences(
        '1 access("/a", R_OK) = 0\n1 lseek(3, 0, SEEK_SET) = 0\n1 getuid() = 0\n1 close(3) = 0\n',
        '1 access("/a", R_OK) = -1 ENOENT (No such file or directory)\n1 lseek(3, 5, SEEK_SET) = 0\n1 close(3) = 0\n',
    )
    assert [(one.kind, one.native.name if one.native else None) for one in found] == [
        ("result", "access"),
        ("arguments", "lseek"),
        ("only natively", "getuid"),
    ]
    assert [call.name for call in found[1].context] == ["access"]


def test_long_traces_are_compared_in_windows() -> None:
    lines = [f"1 lseek({n % 7}, {n}, SEEK_SET) = {n}" for n in range(9000)]
    native = "\n".join(lines)
    lines[8000:8000] = ['1 chdir("/x") = 0']
    lines[100] = "1 lseek(2, 100, SEEK_SET) = 5"
    found = divergences(native, "\n".join(lines))
    assert [one.kind for one in found] == ["result", "only in the guest"]


def test_threads_are_compared_by_their_order_and_without_luck() -> None:
    native = "1 getuid() = 0\n50 futex(0x7f0000000000, FUTEX_WAKE_PRIVATE, 1) = 0\n50 getgid() = 0\n"
    guest = "1 getuid() = 0\n2 getgid() = 5\n"
    assert [(one.kind, one.thread) for one in divergences(native, guest)] == [("result", 1)]
