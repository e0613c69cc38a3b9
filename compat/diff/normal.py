"""What must differ between two machines is made equal here, and only here; the README lists it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from compat.diff.strace import Trace, TracedCall

# Calls whose answers are the machine's own.
OWN_ANSWERS = frozenset(
    "uname sysinfo getrandom clock_gettime gettimeofday time times getrusage getcpu sched_getaffinity statfs fstatfs "
    "prlimit64 getrlimit getpid getppid gettid getpgrp getpgid getsid setsid set_tid_address clock_getres "
    "getdents64 getdents sched_getparam capget rt_sigpending ioprio_get getpriority rt_sigreturn".split()
)
# Calls whose arguments are addresses, or are written by strace in more detail than by compat.
NO_ARGUMENTS = frozenset(
    "uname sysinfo getrandom clock_gettime gettimeofday times getrusage getcpu sched_getaffinity statfs fstatfs brk "
    "clone clone3 rseq set_robust_list set_tid_address rt_sigreturn capget capset get_robust_list arch_prctl "
    "sched_getattr sched_setattr wait4 waitid restart_syscall munmap getdents64 getdents".split()
)
# Of these only so many arguments are compared.
FIRST_ARGUMENTS = {"prctl": 1, "ioctl": 2, "getsockopt": 3, "prlimit64": 2, "rt_sigtimedwait": 1, "recvmsg": 1}
FIRST_ARGUMENTS |= {"mincore": 2, "getitimer": 1, "timer_gettime": 1, "timerfd_gettime": 1}
FIRST_ARGUMENTS |= {"sendmsg": 1, "select": 1, "pselect6": 1, "futex": 2, "execve": 2, "timer_create": 1, "statx": 4}
# Which thread comes to wait, and how often, is a matter of luck.
LUCK = frozenset({"futex", "sched_yield", "restart_syscall", "membarrier"})
# When the others come is luck as well.
FAULTS = frozenset({"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"})
# How often the heap has to grow, and what is trimmed of a mapping, depends on where it lies; the C library asks for
# random bytes when an allocation or a name does not suit it.
PLACED = frozenset({"brk", "munmap", "getrandom"})
# How a file of the machine's own is read depends on what is in it.
READS = frozenset({"read", "pread64", "lseek", "readv", "preadv"})
# Even whether it is there is no question of how the system works.
OWN_TREE = re.compile(r"/sys/.*")
# What compat makes anew for an image, or a machine says about itself.
OWN_FILES = re.compile(
    r"/proc(/.*)?|/sys(/.*)?|/dev(/.*)?|/etc/(hosts|hostname|resolv\.conf|nsswitch\.conf|passwd|group|mtab"
    r"|ld\.so\.cache|ld\.so\.preload|localtime|timezone)|/run/.*|/var/run/.*"
)
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_CLOCK = re.compile(r"\{tv_sec=\d+, tv_[nu]sec=\d+\}")
_FLAGS = re.compile(r"\b[A-Z][A-Z0-9_]+(?:\|[A-Z0-9_x]+)+")
# Signal frames hold what registers the processor has.
_OWN_STACK = re.compile(r"ss_size=\d+")
# strace's remark on numbers without a name.
_COMMENT = re.compile(r" /\* .*? \*/")
_MADE_UP = re.compile(r"[A-Za-z0-9]{6}$")
_PROCESS = re.compile(r"\b(si_pid|l_pid)=\d+")
_SIZE = re.compile(r"st(x?)_size=\d+")
_PID_CALLS = frozenset(
    {
        "kill",
        "tgkill",
        "tkill",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "sched_setscheduler",
        "sched_setaffinity",
        "prlimit64",
        "getpgid",
    }
)
_DESCRIPTOR = re.compile(r"\d+")
OPENS = frozenset({"open", "openat", "creat", "openat2"})
# Calls that tell about a file by descriptor, or give its content.
ABOUT_FILES = frozenset("read pread64 readv preadv fstat newfstatat lseek statx readlink readlinkat mmap".split())


@dataclass(frozen=True)
class Normal:
    """A call as it is compared, and as it was."""

    name: str
    args: tuple[str, ...]
    result: str
    shown: str
    raw_result: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes two calls the same step of the program: its name, and the path or descriptor."""
        words = [arg for arg in self.args if arg.startswith('"')]
        return self.name, words[0] if words else self.args[0] if self.args else ""


class Normalizer:
    """Of one thread: descriptors have a history."""

    def __init__(self, trace: Trace) -> None:
        self._threads = {tid: f"<thread {at}>" for at, tid in enumerate(trace.threads)}
        self._own: set[int] = set()
        self._tree: set[int] = set()
        self._made: dict[str, str] = {}

    def calls(self, calls: Sequence[TracedCall], *, alone: bool) -> list[Normal]:
        """`alone`: the program has one thread, so that nothing is luck."""
        wanted = (call for call in calls if call.name not in PLACED and (alone or call.name not in LUCK))
        normal = [shown for shown in map(self._normal, wanted) if shown is not None]
        # The program's start is the tracer's.
        return normal[1:] if normal and normal[0].name == "execve" else normal

    def _normal(self, call: TracedCall) -> Normal | None:
        """None: it is the machine's own affair, or luck."""
        if call.name == "signal" and call.args[0] not in FAULTS:
            return None
        shown = f"{call.name}({', '.join(call.args)})"
        self._note_made(call)
        call = replace(call, args=[self._made_up(_COMMENT.sub("", arg)) for arg in call.args])
        result = call.result or "?"
        if self._in_own_tree(call):
            return None
        own = self._about_own_file(call)
        if own and call.name in READS:
            return None
        args = () if call.name in NO_ARGUMENTS else tuple(self._argument(call, arg) for arg in call.args)
        args = args[: FIRST_ARGUMENTS.get(call.name, len(args))]
        if own and len(args) > 1:
            args = args[:1] if call.name not in {"newfstatat", "statx", "readlink", "readlinkat", "mmap"} else args[:2]
        failed = result.startswith("-1 ")
        compared = result.split(" (")[0] if failed else self._result(call, result)
        if own and not failed:
            compared = "<own file>"
        return Normal(call.name, args, compared, shown, result)

    def _result(self, call: TracedCall, result: str) -> str:
        if call.name in OWN_ANSWERS:
            return "<own>"
        if call.name in {"clone", "clone3", "fork", "vfork"}:
            return "<thread>"
        if call.name == "ioctl" or result.startswith("? ERESTART"):
            return result.split(" ", maxsplit=1)[0]
        return _ADDRESS.sub("<address>", result)

    def _argument(self, call: TracedCall, text: str) -> str:
        if call.name in _PID_CALLS and text.isdecimal() and int(text) in self._threads:
            return self._threads[int(text)]
        if text.startswith('"'):
            return text
        text = _ADDRESS.sub("<address>", text)
        text = _FLAGS.sub(lambda match: "|".join(sorted(match[0].split("|"))), text)
        text = _PROCESS.sub(r"\1=<process>", text)
        text = _OWN_STACK.sub("ss_size=<own>", text)
        if call.name.startswith("clock_") and "CLOCK_???" in text:
            text = "<clock of a thread>"
        if "S_IFDIR" in text:
            text = _SIZE.sub("st_size=<directory>", text)
        if call.name in {"clock_nanosleep", "timerfd_settime", "timer_settime", "nanosleep", "epoll_pwait2", "ppoll"}:
            text = _CLOCK.sub("<time>", text)
        return text

    def _in_own_tree(self, call: TracedCall) -> bool:
        """Files of /sys with all that is done to them."""
        if any(OWN_TREE.fullmatch(arg[1:].rpartition('"')[0]) for arg in call.args if arg.startswith('"')):
            if call.name in OPENS and call.result is not None and call.result.isdecimal():
                self._tree.add(int(call.result))
            return True
        number = call.args[0] if call.args else ""
        inside = bool(_DESCRIPTOR.fullmatch(number)) and int(number) in self._tree
        if inside and call.name == "close":
            self._tree.discard(int(number))
        return inside

    def _note_made(self, call: TracedCall) -> None:
        """mkdtemp(3) and mkstemp(3) make up names."""
        made = call.name in {"mkdir", "mkdirat"} or (call.name in OPENS and any("O_EXCL" in arg for arg in call.args))
        path = next((arg[1:-1] for arg in call.args if arg.startswith('"')), "")
        if made and _MADE_UP.search(path) and call.result is not None and not call.result.startswith("-1 "):
            self._made[path] = f"<made up {len(self._made)}>"

    def _made_up(self, text: str) -> str:
        for path, name in self._made.items():
            text = text.replace(path, name)
        return text

    def _about_own_file(self, call: TracedCall) -> bool:
        """Whether the call is about a file that each machine has of its own."""
        path = next((arg[1:].rpartition('"')[0] for arg in call.args if arg.startswith('"')), "")
        if call.name in OPENS:
            if call.result is not None and call.result.isdecimal():
                (self._own.add if OWN_FILES.fullmatch(path) else self._own.discard)(int(call.result))
            return False
        if call.name == "close" and call.args and call.args[0].isdecimal():
            self._own.discard(int(call.args[0]))
            return False
        if call.name not in ABOUT_FILES:
            return False
        if path and call.name not in {"read", "pread64"}:
            return OWN_FILES.fullmatch(path) is not None
        at = 4 if call.name == "mmap" else 0
        number = call.args[at] if len(call.args) > at else ""
        return bool(_DESCRIPTOR.fullmatch(number)) and int(number) in self._own
