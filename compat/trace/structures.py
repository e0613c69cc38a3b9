"""Structures behind pointers, by the type that `syscalls.toml` gives the argument."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from compat.trace import families
from compat.trace.constants import flags_of, name_of, signal_name
from compat.trace.values import address, limit, mode, quoted, signal_set, signed

INFINITE = (1 << 64) - 1
S_IFMT, DEVICES = 0o170000, (0o020000, 0o060000)


@dataclass(frozen=True)
class Structure:
    layout: str
    show: Callable[..., str]

    @property
    def size(self) -> int:
        return struct.calcsize("<" + self.layout)

    def text(self, data: bytes) -> str:
        return self.show(*struct.unpack("<" + self.layout, data))


def _timespec(seconds: int, nanoseconds: int) -> str:
    special = {(1 << 30) - 1: "UTIME_NOW", (1 << 30) - 2: "UTIME_OMIT"}
    return special.get(nanoseconds) or f"{{tv_sec={seconds}, tv_nsec={nanoseconds}}}"


def _timeval(seconds: int, microseconds: int) -> str:
    return f"{{tv_sec={seconds}, tv_usec={microseconds}}}"


def _stat(*fields: int) -> str:
    bits, device, size = fields[3], fields[7], fields[8]
    if bits & S_IFMT in DEVICES:
        return f"{{st_mode={mode(bits)}, st_rdev={_device(device)}, ...}}"
    return f"{{st_mode={mode(bits)}, st_size={size}, ...}}"


def _device(number: int) -> str:
    major, minor = number >> 8 & 0xFFF, (number & 0xFF) | (number >> 12 & 0xFFF00)
    return f"makedev({major:#x}, {minor:#x})"


def _statx(*fields: int) -> str:
    mask, _, attributes, _, _, _, bits, _, _, size = fields
    return (
        f"{{stx_mask={flags_of(families.STATX, mask)}, stx_attributes={attributes:#x}, "
        f"stx_mode={mode(bits)}, stx_size={size}, ...}}"
    )


def _statfs(kind: int, block: int, *_: int) -> str:
    return f"{{f_type={kind:#x}, f_bsize={block}, ...}}"


def _action(handler: int, bits: int, restorer: int, mask: int) -> str:
    shown = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler) or address(handler)
    text = f"{{sa_handler={shown}, sa_mask={signal_set(mask)}, sa_flags={flags_of(families.SIGACTION, bits)}"
    return f"{text}, sa_restorer={address(restorer)}}}" if restorer else text + "}"


def _pollfd(fd: int, events: int, _: int) -> str:
    # What came of it stands behind the result.
    return f"{{fd={fd}, events={flags_of(families.POLL, events)}}}"


def _epoll(events: int, data: int) -> str:
    return f"{{events={flags_of(families.EPOLL, events)}, data={{u32={data & 0xFFFFFFFF}, u64={data}}}}}"


def _uname(*fields: bytes) -> str:
    names = ("sysname", "nodename", "release", "version", "machine", "domainname")
    texts = [field.split(b"\0")[0] for field in fields]
    return "{" + ", ".join(f"{name}={quoted(text)}" for name, text in zip(names, texts, strict=True)) + "}"


def _alternate(stack: int, bits: int, size: int) -> str:
    return f"{{ss_sp={address(stack)}, ss_flags={flags_of(families.SIGSTACK, bits & 0xFFFFFFFF)}, ss_size={size}}}"


def _siginfo(data: bytes) -> str:
    number, error, code = struct.unpack_from("<iii", data)
    parts = [f"si_signo={signal_name(number)}"]
    if error:
        parts.append(f"si_errno={error}")
    parts.append(f"si_code={_code(number, code)}")
    pid, uid = struct.unpack_from("<iI", data, 16)
    if number in families.FAULTS and code > 0:
        parts.append(f"si_addr={address(struct.unpack_from('<Q', data, 16)[0])}")
    elif number == families.CHILD and code > 0:
        status = struct.unpack_from("<i", data, 24)[0]
        shown = status if code == 1 else signal_name(status)
        parts += [f"si_pid={pid}", f"si_uid={uid}", f"si_status={shown}", "si_utime=0", "si_stime=0"]
    elif code == families.SI_TIMER:
        parts += [f"si_timerid={pid:#x}" if pid else "si_timerid=0", f"si_overrun={uid}", *_value(data)]
    elif code <= 0:
        parts += [f"si_pid={pid}", f"si_uid={uid}", *(_value(data) if code == families.SI_QUEUE else ())]
    return "{" + ", ".join(parts) + "}"


def _value(data: bytes) -> tuple[str, str]:
    """What the sender added."""
    return f"si_int={struct.unpack_from('<i', data, 24)[0]}", f"si_ptr={address(struct.unpack_from('<Q', data, 24)[0])}"


def _code(number: int, code: int) -> str:
    family = families.CODES.get(number)
    if code > 0 and code != families.SI_KERNEL and family is not None:
        return name_of(family, code, "{}")
    return families.SENDERS.get(code) or str(code)


def siginfo(data: bytes) -> str:
    """Of a signal that was taken."""
    return _siginfo(data.ljust(128, b"\0"))


def _itimerspec(*fields: int) -> str:
    return f"{{it_interval={_timespec(*fields[:2])}, it_value={_timespec(*fields[2:])}}}"


def _itimerval(*fields: int) -> str:
    return f"{{it_interval={_timeval(*fields[:2])}, it_value={_timeval(*fields[2:])}}}"


def _rlimit(now: int, most: int) -> str:
    return f"{{rlim_cur={limit(now)}, rlim_max={limit(most)}}}"


def _clone(*fields: int) -> str:
    bits, _, child, parent, end_signal, stack, size, tls, *_ = fields
    parts = [f"flags={flags_of(families.CLONE, bits)}"]
    parts += [f"child_tid={address(child)}"] if child else []
    parts += [f"parent_tid={address(parent)}"] if parent else []
    parts.append(f"exit_signal={signal_name(end_signal) if end_signal else 0}")
    parts += [f"stack={address(stack)}, stack_size={size:#x}"]
    parts += [f"tls={address(tls)}"] if tls else []
    return "{" + ", ".join(parts) + "}"


def _open_how(bits: int, permissions: int, resolve: int) -> str:
    text = f"{{flags={flags_of(families.OPEN, bits)}"
    text += f", mode={mode(permissions)}" if permissions else ""
    return f"{text}, resolve={flags_of(families.RESOLVE, resolve)}}}"


def _rusage(*fields: int) -> str:
    return f"{{ru_utime={_timeval(*fields[:2])}, ru_stime={_timeval(*fields[2:4])}, ...}}"


STRUCTURES = {
    "Timespec": Structure("qQ", _timespec),
    "Timeval": Structure("qq", _timeval),
    "Timezone": Structure("ii", lambda west, dst: f"{{tz_minuteswest={west}, tz_dsttime={dst}}}"),
    "Itimerspec": Structure("qQqQ", _itimerspec),
    "Itimerval": Structure("4q", _itimerval),
    "Utimbuf": Structure("qq", lambda access, change: f"{{actime={access}, modtime={change}}}"),
    "Stat": Structure("QQQIIIIQqqq", _stat),
    "Statx": Structure("IIQIIIHHQQ", _statx),
    "Statfs": Structure("qq", _statfs),
    "SigAction": Structure("QQQQ", _action),
    "SigSet": Structure("Q", signal_set),
    "Siginfo": Structure("128s", _siginfo),
    "StackT": Structure("QiiQ", lambda sp, bits, _, size: _alternate(sp, bits, size)),
    "Pollfd": Structure("ihh", _pollfd),
    "EpollEvent": Structure("IQ", _epoll),
    "Rlimit64": Structure("QQ", _rlimit),
    "Rusage": Structure("4q", _rusage),
    "Utsname": Structure("65s65s65s65s65s65s", _uname),
    "Tms": Structure("4q", "{{tms_utime={}, tms_stime={}, tms_cutime={}, tms_cstime={}}}".format),
    "Sysinfo": Structure("qQQQQQ", lambda up, *_: f"{{uptime={up}, ...}}"),
    "CloneArgs": Structure("8Q", _clone),
    "OpenHow": Structure("3Q", _open_how),
    "PselectMask": Structure("QQ", lambda at, size: f"{{sigmask={address(at)}, sigsetsize={size}}}"),
    "CapHeader": Structure("Ii", lambda version, pid: f"{{version={version:#x}, pid={pid}}}"),
    "i32": Structure("i", str),
    "u32": Structure("I", lambda value: str(signed(value))),
    "i64": Structure("q", str),
    "u64": Structure("Q", str),
}
