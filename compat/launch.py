"""Starts an image: on KVM by becoming the monitor, else on QEMU."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from compat import native
from compat.errors import CompatError
from compat.native import KVM_DEVICE
from compat.network import Network

# Less does not hold the kernel's own tables; more does not fit its map of physical memory.
MEMORY_MIN, MEMORY_MAX = 8 << 20, 128 << 30


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `compat run` passes on. None leaves the image's own setting."""

    image: Path
    args: Sequence[str] | None = None
    env: Sequence[str] = ()
    arg0: str | None = None
    cwd: str | None = None
    memory: int | None = None
    cpus: int = 1
    json_stats: Path | None = None
    platform: str | None = None
    network: Network = field(default_factory=Network)
    looked_at: Sequence[str] | None = None
    """Files, there or not, that decided all this besides the inputs of a cached image; None: others may have, too."""


def launch(request: RunRequest) -> NoReturn:
    """Does not return: the process becomes the monitor, or ends with the program's status."""
    trouble = kvm_trouble() if request.platform != "qemu" else None
    if request.platform == "kvm" and trouble is not None:
        raise CompatError(trouble, "compat run --platform qemu works without KVM, slowly")
    if request.platform == "qemu" or trouble is not None:
        from compat.qemu import run_qemu

        reason = trouble or "as asked"
        print(f"compat: running on QEMU without KVM, which is slow ({reason})", file=sys.stderr, flush=True)
        raise SystemExit(run_qemu(request))
    monitor = native.native_file(native.MONITOR)
    try:
        os.execv(monitor, [native.MONITOR, *monitor_arguments(request)])
    except OSError as error:
        raise CompatError(f"cannot start {monitor}: {error.strerror}") from error


def kvm_trouble() -> str | None:
    """Why /dev/kvm cannot be used, with what to do; None when it can."""
    if not os.path.exists(KVM_DEVICE):
        return f"{KVM_DEVICE} does not exist: no virtualization, or the kvm module is not loaded"
    if os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return None
    status = os.stat(KVM_DEVICE)
    if status.st_gid == 0 or status.st_mode & 0o060 != 0o060:
        return f"no permission on {KVM_DEVICE}: it belongs to root alone"
    group = _group_name(status.st_gid)
    return f"no permission on {KVM_DEVICE}: join the group {group} (sudo usermod -aG {group} $USER, then log in again)"


def _group_name(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def monitor_arguments(request: RunRequest) -> list[str]:
    """The monitor's command line."""
    arguments: list[str] = []
    if request.memory is not None:
        arguments += ["--mem", str(request.memory)]
    arguments += ["--cpus", str(request.cpus)]
    for pair in request.env:
        arguments += ["--env", pair]
    if request.arg0 is not None:
        arguments += ["--arg0", request.arg0]
    if request.cwd is not None:
        arguments += ["--cwd", request.cwd]
    if request.json_stats is not None:
        arguments += ["--json-stats", str(request.json_stats)]
    arguments += request.network.arguments()
    arguments.append(str(request.image))
    if request.args:
        arguments += ["--", *request.args]
    return arguments
