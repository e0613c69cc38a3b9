"""Runs an image on QEMU's microvm machine by emulation, for hosts without KVM.

The same image and the same virtio devices as on KVM; what our monitor does with the terminal, signals and the exit
status, this module does beside QEMU (`relay`).
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compat.bootconfig import BootConfig, encode
from compat.elf_structs import EHDR, PHDR, PT_LOAD
from compat.errors import STATUS_CANNOT_RUN, STATUS_INTERNAL, CompatError
from compat.launch import RunRequest
from compat.qemu_backlog import widen
from compat.qemu_network import listening_ports, network_devices, network_record
from compat.relay import Relay, describe_streams, is_same_output, window_size

PROGRAM = "qemu-system-x86_64"
DEFAULT_MEMORY = 512 << 20
MEBIBYTE = 1 << 20
PR_SET_PDEATHSIG = 1
PORTS = ("compat.stdio", "compat.stderr", "compat.control")


@dataclass(frozen=True, slots=True)
class _Channels:
    """Our ends and QEMU's ends of the ports, in the order of PORTS, and of the debug console."""

    ours: list[socket.socket]
    theirs: list[socket.socket]


def run_qemu(request: RunRequest) -> int:
    """Runs to the end and returns the exit status."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise CompatError(f"{PROGRAM} is not installed", "on Debian: apt install qemu-system-x86")
    network = network_devices(request.network)
    channels = _make_channels()
    started = time.monotonic()
    # Files without a name: nothing is left behind, however this ends.
    with _unnamed("config", _run_time_config(request)) as config, _unnamed("errors") as errors:
        inherited = [config.fileno(), *(end.fileno() for end in channels.theirs)]
        process = subprocess.Popen(
            [program, *_machine(request, f"/proc/self/fd/{config.fileno()}"), *_devices(channels), *network],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=inherited,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread runs yet
        )
        for end in channels.theirs:
            end.close()
        if ports := listening_ports(request.network):
            threading.Thread(target=widen, args=(process, ports), daemon=True).start()
        relay = Relay(process, *channels.ours)
        reported = relay.run()
        errors.seek(0)
        messages = errors.read().decode(errors="replace")
    status = _final_status(reported, process.returncode, messages, said=relay.moved["debug"] > 0)
    if status == 0 and relay.lost:
        status = STATUS_CANNOT_RUN
    if request.json_stats is not None:
        _write_stats(request.json_stats, status, time.monotonic() - started, relay)
    return status


def _final_status(status: int | None, code: int, messages: str, *, said: bool) -> int:
    if status is not None:
        return status
    if code == STATUS_CANNOT_RUN << 1 | 1 and said:
        # Through the exit port: the kernel gave up before it had a console, and said why.
        return STATUS_CANNOT_RUN
    if messages:
        print(f"compat: QEMU: {messages.strip()}", file=sys.stderr)
    # QEMU's exit port takes whatever comes, and the program's own code can write to it.
    why = "this is a bug, or the program wrote to a port of the machine"
    print(f"compat: the machine ended without an exit status (QEMU's own: {code}); {why}", file=sys.stderr)
    return STATUS_INTERNAL


def _unnamed(name: str, content: bytes = b"") -> BinaryIO:
    file = os.fdopen(os.memfd_create(name), "w+b", buffering=0)
    file.write(content)
    return file


def _machine(request: RunRequest, config: str) -> list[str]:
    command_line = f"compat.realtime=0:{time.time_ns()} compat.cpus={request.cpus}"
    memory = (request.memory or DEFAULT_MEMORY) + _image_end(request.image)
    return [
        "-M", "microvm,acpi=off,rtc=on,pic=off,isa-serial=off", "-bios", "qboot.rom",
        "-accel", "tcg", "-cpu", "max", "-smp", str(request.cpus), "-m", f"{-(-memory // MEBIBYTE)}M",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-kernel", str(request.image), "-initrd", config, "-append", command_line,
    ]  # fmt: skip


def _devices(channels: _Channels) -> list[str]:
    arguments = [
        "-global", "virtio-mmio.force-legacy=false",
        "-device", "virtio-serial-device,max_ports=4",
        "-device", "virtio-rng-device",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
    ]  # fmt: skip
    for number, (name, end) in enumerate(zip(PORTS, channels.theirs, strict=False), start=1):
        arguments += ["-chardev", f"socket,id=port{number},fd={end.fileno()}"]
        arguments += ["-device", f"virtserialport,nr={number},name={name},chardev=port{number}"]
    arguments += ["-chardev", f"socket,id=debug,fd={channels.theirs[-1].fileno()}"]
    return [*arguments, "-device", "isa-debugcon,iobase=0xe9,chardev=debug"]


def _make_channels() -> _Channels:
    pairs = [socket.socketpair() for _ in range(len(PORTS) + 1)]
    return _Channels(ours=[pair[0] for pair in pairs], theirs=[pair[1] for pair in pairs])


def _run_time_config(request: RunRequest) -> bytes:
    return encode(
        BootConfig(
            arg0=request.arg0,
            args=request.args or (),
            env=request.env,
            cwd=request.cwd,
            net=network_record(request.network),
            seed=os.urandom(64),
            streams=describe_streams(),
            same_output=is_same_output(),
            window=window_size(),
        )
    )


def _image_end(image: Path) -> int:
    """The highest guest-physical address that the image occupies: memory is counted on top of it."""
    try:
        with image.open("rb") as file:
            header = EHDR.unpack(file.read(EHDR.size))
            file.seek(header[5])
            table = file.read(header[10] * PHDR.size)
        segments = list(PHDR.iter_unpack(table))
    except (OSError, struct.error) as error:
        raise CompatError(f"cannot read the image {image}: {error}") from error
    if any(fields[2] + fields[5] > image.stat().st_size for fields in segments):
        raise CompatError(f"the image {image} is truncated", "wrap the program again")
    return max((fields[4] + fields[6] for fields in segments if fields[0] == PT_LOAD), default=0)


def _die_with_parent() -> None:
    """In the child: no QEMU survives its launcher, and Ctrl-C reaches only the launcher."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _write_stats(path: Path, status: int, seconds: float, relay: Relay) -> None:
    """The monitor's figures, as far as they can be known from outside."""
    stats = {
        "schema_version": 1,
        "outcome": relay.outcome,
        "status": status,
        "wall_us": int(seconds * 1_000_000),
        "peak_rss_kib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
        "bytes": relay.moved,
    }
    try:
        path.write_text(json.dumps(stats, indent=2) + "\n")
    except OSError as error:
        raise CompatError(f"cannot write {path}: {error.strerror}") from error
