"""What this machine offers for running images, and what to do about what it lacks."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from compat import native
from compat.cache import cache_dir
from compat.errors import CompatError
from compat.image import read_kernel
from compat.launch import kvm_trouble
from compat.native import KVM_DEVICE
from compat.units import format_size

KVM_API_VERSION = 12
KVM_GET_API_VERSION = 0xAE00
KVM_CHECK_EXTENSION = 0xAE03
NEEDED_EXTENSIONS = {
    0: "KVM_CAP_IRQCHIP",
    3: "KVM_CAP_USER_MEMORY",
    32: "KVM_CAP_IRQFD",
    36: "KVM_CAP_IOEVENTFD",
    56: "KVM_CAP_XCRS",
}
NEEDED_FLAGS = ("lm", "sse2", "cx16", "fsgsbase", "nx", "rdtscp", "xsave")
USEFUL_FLAGS = ("constant_tsc", "nonstop_tsc", "pdpe1gb", "x2apic")
LITTLE_DISK = 2 << 30
LITTLE_MEMORY = 1 << 30


class Verdict(Enum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `advice` is empty when there is nothing to do."""

    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


def examine() -> list[Check]:
    """All checks, none of which changes anything."""
    return [check() for check in CHECKS]


def can_run(checks: list[Check]) -> bool:
    """Whether programs run here at all, on KVM or by emulation."""
    verdicts = {check.name: check.verdict for check in checks}
    platforms = verdicts["kvm"], verdicts["qemu"]
    return verdicts["native parts"] is not Verdict.FAILURE and Verdict.OK in platforms


def check_system() -> Check:
    found = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if platform.system() == "Linux" and platform.machine() == "x86_64":
        return Check("system", Verdict.OK, found)
    return Check("system", Verdict.FAILURE, found, "compat needs Linux on x86-64")


def check_kvm() -> Check:
    trouble = kvm_trouble()
    if trouble is not None:
        advice = "load kvm_intel or kvm_amd, or enable (nested) virtualization; meanwhile programs run on QEMU, slowly"
        return Check("kvm", Verdict.FAILURE, trouble, advice)
    try:
        fd = os.open(KVM_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return Check("kvm", Verdict.FAILURE, f"{KVM_DEVICE} does not open: {error.strerror}", "see dmesg")
    try:
        version = fcntl.ioctl(fd, KVM_GET_API_VERSION)
        missing = [name for cap, name in NEEDED_EXTENSIONS.items() if fcntl.ioctl(fd, KVM_CHECK_EXTENSION, cap) <= 0]
    except OSError as error:
        return Check("kvm", Verdict.FAILURE, f"{KVM_DEVICE} does not answer: {error.strerror}", "see dmesg")
    finally:
        os.close(fd)
    if version != KVM_API_VERSION:
        return Check("kvm", Verdict.FAILURE, f"KVM API version {version}", f"version {KVM_API_VERSION} is needed")
    if missing:
        return Check("kvm", Verdict.FAILURE, f"KVM lacks {', '.join(missing)}", "a newer Linux kernel may have them")
    return Check("kvm", Verdict.OK, f"{KVM_DEVICE} opens ({', '.join(_kvm_modules()) or 'built in'})")


def check_exits() -> Check:
    """On nested hosts without hardware support each exit costs some 50 microseconds."""
    if "kvm_pvm" in _kvm_modules():
        detail = "KVM without hardware support (PVM): the program's own code is native, device access is slow"
        return Check("exits", Verdict.WARNING, detail, "use a host with VT-x or AMD-V for much input and output")
    if "hypervisor" in _cpu_flags():
        return Check("exits", Verdict.WARNING, "nested virtualization: device access is slower than on bare metal")
    return Check("exits", Verdict.OK, "hardware virtualization")


def check_cpu() -> Check:
    flags = _cpu_flags()
    missing = [flag for flag in NEEDED_FLAGS if flag not in flags]
    if missing:
        return Check("cpu", Verdict.FAILURE, f"lacks {', '.join(missing)}", "a CPU of 2013 or later has them")
    lacking = [flag for flag in USEFUL_FLAGS if flag not in flags]
    without = f"; without {', '.join(lacking)}" if lacking else ""
    return Check("cpu", Verdict.OK, f"has what is needed{without}")


def check_huge_pages() -> Check:
    path = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    try:
        text = path.read_text()
    except OSError:
        advice = "a kernel with CONFIG_TRANSPARENT_HUGEPAGE makes guest memory faster"
        return Check("huge pages", Verdict.WARNING, "no transparent huge pages", advice)
    chosen = text.partition("[")[2].partition("]")[0]
    if chosen == "never":
        return Check("huge pages", Verdict.WARNING, "switched off", f"echo madvise | sudo tee {path}")
    return Check("huge pages", Verdict.OK, chosen)


def check_memory() -> Check:
    figures = {}
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            figures[name] = int(value.split()[0]) * 1024
    available = figures.get("MemAvailable", 0)
    if _read("/proc/sys/vm/overcommit_memory") == "2":
        advice = "sudo sysctl vm.overcommit_memory=0: a machine's memory is reserved but mostly never used"
        return Check("memory", Verdict.WARNING, "strict overcommit", advice)
    if available < LITTLE_MEMORY:
        return Check("memory", Verdict.WARNING, f"{format_size(available)} available", "use a small -m")
    return Check("memory", Verdict.OK, f"{format_size(available)} available")


def check_disk() -> Check:
    directory = cache_dir()
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    if not os.access(directory, os.W_OK):
        return Check("disk", Verdict.FAILURE, f"{cache_dir()} is not writable", "set XDG_CACHE_HOME")
    free = shutil.disk_usage(directory).free
    if free < LITTLE_DISK:
        advice = "free some, or set XDG_CACHE_HOME to another disk, or COMPAT_CACHE_LIMIT to a smaller size"
        return Check("disk", Verdict.WARNING, f"{format_size(free)} free for {cache_dir()}", advice)
    return Check("disk", Verdict.OK, f"{format_size(free)} free for {cache_dir()}")


def check_qemu() -> Check:
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        advice = "only needed without KVM; on Debian: apt install qemu-system-x86"
        return Check("qemu", Verdict.WARNING, "not installed", advice)
    try:
        output = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Check("qemu", Verdict.FAILURE, f"{program} does not start: {error}", "reinstall it")
    return Check("qemu", Verdict.OK, output.splitlines()[0] if output else program)


def check_native() -> Check:
    advice = "reinstall compat, or in a source tree: python -m compat._build"
    directory = native.native_dir()
    missing = [name for name in (native.MONITOR, native.KERNEL, native.TABLE) if not (directory / name).is_file()]
    if missing:
        return Check("native parts", Verdict.FAILURE, f"{directory} lacks {', '.join(missing)}", advice)
    try:
        kernel = read_kernel(directory / native.KERNEL)
    except CompatError as error:
        return Check("native parts", Verdict.FAILURE, str(error), advice)
    if not os.access(directory / native.MONITOR, os.X_OK):
        return Check("native parts", Verdict.FAILURE, f"{directory / native.MONITOR} is not executable", advice)
    return Check("native parts", Verdict.OK, f"kernel {format_size(len(kernel.data))} in {directory}")


def check_analysis() -> Check:
    versions = []
    for name in ("capstone", "numpy"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            return Check("analysis", Verdict.FAILURE, f"the Python package {name} is missing", f"pip install {name}")
    return Check("analysis", Verdict.OK, ", ".join(versions))


CHECKS: tuple[Callable[[], Check], ...] = (
    check_system,
    check_kvm,
    check_exits,
    check_cpu,
    check_huge_pages,
    check_memory,
    check_disk,
    check_qemu,
    check_native,
    check_analysis,
)


def _kvm_modules() -> list[str]:
    return [name for name in ("kvm_intel", "kvm_amd", "kvm_pvm") if os.path.isdir(f"/sys/module/{name}")]


def _cpu_flags() -> set[str]:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
