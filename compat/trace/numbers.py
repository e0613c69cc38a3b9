"""How the numbers among the arguments are shown: flags and names, by call and argument."""

from __future__ import annotations

from collections.abc import Callable

from compat.trace import families as f
from compat.trace.constants import Family, flags_of, name_of, signal_name
from compat.trace.values import U32, address, mode, octal, signed

Show = Callable[[int], str]
PRIVATE, CLOCK_REALTIME, OPERATION = 128, 256, 127


def _flags(family: Family) -> Show:
    return lambda value: flags_of(family, value & U32)


def _named(family: Family, unknown: str = "{:#x}") -> Show:
    return lambda value: name_of(family, signed(value), unknown)


def _signal(value: int) -> str:
    return signal_name(value) if value else "0"


def _futex(value: int) -> str:
    text = name_of(f.FUTEX, value & OPERATION) + ("_PRIVATE" if value & PRIVATE else "")
    return text + ("|FUTEX_CLOCK_REALTIME" if value & CLOCK_REALTIME else "")


def _socket_type(value: int) -> str:
    return flags_of(f.SOCKET_TYPE, value & U32)


def _clone_flags(value: int) -> str:
    end = value & 0xFF
    flags = flags_of(f.CLONE, value & ~0xFF)
    return f"{flags}|{signal_name(end)}" if end else flags


def _clock(value: int) -> str:
    return name_of(f.CLOCK, signed(value)) if signed(value) >= 0 else f"{value & U32:#x} /* CLOCK_??? */"


def _user(value: int) -> str:
    return str(signed(value))


def _hex(value: int) -> str:
    return f"{value:#x}"


def _decimal(value: int) -> str:
    return str(value)


# "call.argument", or "*.argument" for all calls.
SHOWN: dict[str, Show] = {
    "open.flags": _flags(f.OPEN),
    "openat.flags": _flags(f.OPEN),
    "pipe2.flags": _flags(Family("O_.*", "O_(ACCMODE|NDELAY|RDONLY)")),
    "dup3.flags": _flags(Family("O_.*", "O_(ACCMODE|NDELAY|RDONLY)")),
    "pkey_alloc.rights": _flags(f.PKEY),
    "*.prot": lambda value: flags_of(f.PROT, value),
    "mmap.flags": lambda value: flags_of(f.MAP, value),
    "mmap.offset": lambda value: f"{value:#x}" if value else "0",
    "mremap.flags": _flags(f.MREMAP),
    "mlock2.flags": _flags(f.MLOCK),
    "msync.flags": _flags(f.MSYNC),
    "mlockall.flags": _flags(f.MLOCKALL),
    "madvise.advice": _named(f.MADVISE),
    "fadvise64.advice": _named(f.FADVISE),
    "*.whence": _named(f.SEEK),
    "access.mode": _flags(f.ACCESS),
    "faccessat.mode": _flags(f.ACCESS),
    "faccessat2.mode": _flags(f.ACCESS),
    "faccessat2.flags": _flags(f.ACCESS_AT),
    "statx.flags": lambda value: (
        flags_of(f.AT, value) if value & 0x6000 else "|".join(_with_sync(flags_of(f.AT, value)))
    ),
    "statx.mask": lambda value: "STATX_ALL" if value & U32 == 0xFFF else flags_of(f.STATX, value & U32),
    "renameat2.flags": _flags(f.RENAME),
    "fcntl.cmd": _named(f.FCNTL),
    "flock.operation": _flags(f.FLOCK),
    "fallocate.mode": _flags(f.FALLOCATE),
    "epoll_ctl.op": _named(f.EPOLL_OP),
    "epoll_create1.flags": _flags(f.EPOLL_CREATE),
    "eventfd2.flags": _flags(f.EVENTFD),
    "timerfd_create.flags": _flags(f.TIMERFD),
    "timerfd_settime.flags": _flags(f.TIMERFD_SET),
    "signalfd4.flags": _flags(f.SIGNALFD),
    "inotify_add_watch.mask": _flags(f.WATCH),
    "inotify_init1.flags": _flags(f.INOTIFY),
    "mq_open.oflag": _flags(f.OPEN),
    "memfd_create.flags": _flags(f.MEMFD),
    "getrandom.flags": _flags(f.RANDOM),
    "rt_sigprocmask.how": _named(f.SIGMASK),
    "*.sig": _signal,
    "*.signum": _signal,
    "*.clockid": _clock,
    "clock_nanosleep.flags": _flags(f.TIMER),
    "timer_settime.flags": _flags(f.TIMER),
    "getitimer.which": _named(f.ITIMER),
    "setitimer.which": _named(f.ITIMER),
    "*.resource": _named(f.RLIMIT),
    "getrusage.who": _named(f.RUSAGE),
    "getpriority.which": _named(f.PRIORITY),
    "setpriority.which": _named(f.PRIORITY),
    "*.policy": _named(f.SCHED),
    "clone.flags": _clone_flags,
    "unshare.flags": _flags(f.CLONE),
    "futex.op": _futex,
    "futex.val3": _hex,
    "prctl.option": _named(f.PRCTL),
    "arch_prctl.code": _named(f.ARCH_PRCTL),
    "membarrier.cmd": lambda value: flags_of(f.MEMBARRIER, value & U32) if value else "MEMBARRIER_CMD_QUERY",
    "ioctl.request": _named(f.IOCTL),
    "*.domain": _named(f.DOMAIN),
    "socket.type": _socket_type,
    "socketpair.type": _socket_type,
    "accept4.flags": _flags(f.ACCEPT),
    "shutdown.how": _named(f.SHUTDOWN),
    "sendto.flags": _flags(f.MESSAGE),
    "recvfrom.flags": _flags(f.MESSAGE),
    "sendmsg.flags": _flags(f.MESSAGE),
    "recvmsg.flags": _flags(f.MESSAGE),
    "sendmmsg.flags": _flags(f.MESSAGE),
    "recvmmsg.flags": _flags(f.MESSAGE),
    "setsockopt.level": _named(f.LEVEL),
    "getsockopt.level": _named(f.LEVEL),
    "close_range.flags": _flags(f.CLOSE_RANGE),
    "rseq.flags": _flags(f.RSEQ),
    "rseq.sig": _hex,
    "rseq.len": _hex,
    "wait4.options": _flags(f.WAIT),
    "waitid.options": _flags(f.WAIT),
    "splice.flags": _flags(f.SPLICE),
    "copy_file_range.flags": lambda value: str(value & U32),
    "tee.flags": _flags(f.SPLICE),
    "vmsplice.flags": _flags(f.SPLICE),
    "newfstatat.flags": _flags(f.AT),
    "mknod.mode": lambda value: mode(value & U32),
    "mknodat.mode": lambda value: mode(value & U32),
    "*.mode": lambda value: octal(value & U32),
    "*.mask": lambda value: octal(value & U32),
    "*.owner": _user,
    "*.group": _user,
    "*.uid": _user,
    "*.ruid": _user,
    "*.euid": _user,
    "*.suid": _user,
    "*.gid": _user,
    "*.rgid": _user,
    "*.egid": _user,
    "*.sgid": _user,
    "*.len": _decimal,
    "*.size": _decimal,
    # As strace shows them.
    "truncate.length": _decimal,
    "ftruncate.length": _decimal,
    "*.pos_l": lambda value: str(signed(value, 64)),
    "*.old_len": _decimal,
    "*.new_len": _decimal,
    "*.count": _decimal,
}
# Arguments of these calls that end in `at` and of their kin.
AT_CALLS = ("unlinkat", "linkat", "fchownat", "utimensat", "fchmodat2", "execveat", "name_to_handle_at")
SHOWN |= {f"{name}.flags": _flags(f.AT) for name in AT_CALLS}
_OPTIONS = {1: f.SOCKET_OPTION, 6: f.TCP_OPTION, 0: f.IP_OPTION, 41: f.IPV6_OPTION}


def _with_sync(text: str) -> list[str]:
    """statx(2) names what zero means."""
    return ["AT_STATX_SYNC_AS_STAT", *([] if text == "0" else [text])]


def socket_protocol(domain: int, kind: int, value: int) -> str:
    """Which numbers it has depends on the family."""
    if signed(domain) in {2, 10}:
        return "IPPROTO_IP" if value == 0 else name_of(f.PROTOCOL, value)
    del kind
    return str(signed(value))


def socket_option(level: int, value: int) -> str:
    family = _OPTIONS.get(level & U32)
    return name_of(family, value) if family is not None else f"{value & U32:#x}"


def number(call: str, name: str, kind: str, value: int) -> str:
    """Any other argument: signed or not, or an address, as its type says."""
    show = SHOWN.get(f"{call}.{name}") or SHOWN.get(f"*.{name}")
    if show is not None:
        return show(value)
    if kind == "i32":
        return str(signed(value))
    if kind == "i64":
        return str(signed(value, 64))
    if kind == "u32":
        return str(value & U32) if name not in {"flags", "mask", "cmd", "op"} else f"{value & U32:#x}" if value else "0"
    if kind == "usize":
        return str(value)
    return address(value)
