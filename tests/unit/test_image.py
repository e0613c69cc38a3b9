"""The image file: segments, header, notes; whole or absent."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compat.elf_structs import EHDR, PHDR
from compat.erofs import plan_layout
from compat.errors import CompatError, InternalError
from compat.image import DIRECT_MAP, HEADER_MAGIC, HUGE, TRAILER_MAGIC, build_image, read_kernel
from compat.program import ABI_VERSION, image_version
from compat.tree import Tree


def make_tree(size: int = 10) -> Tree:
    tree = Tree()
    tree.add_bytes("/bin/tool", b"t" * size)
    return tree


def build(kernel: Path, output: Path, *, size: int = 10, plans: bytes = b"", monitor: Path | None = None) -> bytes:
    layout = plan_layout(make_tree(size))
    build_image(
        kernel=read_kernel(kernel), config=b"CONFIG", plans=plans, layout=layout, output=output, monitor=monitor
    )
    return output.read_bytes()


def program_headers(data: bytes) -> list[tuple[int, ...]]:
    header = EHDR.unpack_from(data)
    return [PHDR.unpack_from(data, header[5] + 56 * index) for index in range(header[10])]


def at_physical(data: bytes, paddr: int, size: int) -> bytes:
    for kind, _, offset, _, start, filesz, _, _ in program_headers(data):
        if kind == 1 and start <= paddr and paddr + size <= start + filesz:
            return data[offset + paddr - start : offset + paddr - start + size]
    raise AssertionError(f"{paddr:#x} is in no segment")


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_the_header_leads_to_everything(toy_kernel: Path, tmp_path: Path, size: int) -> None:
    data = build(toy_kernel, tmp_path / "image", size=size, plans=b"P" * 5000)
    segments = program_headers(data)
    root = segments[-1]
    kernel_data = segments[1]
    magic, *values, flags = struct.unpack("<8Q", at_physical(data, kernel_data[4], 64))
    assert (magic, flags) == (HEADER_MAGIC, 0)
    assert at_physical(data, values[0], values[1]) == b"CONFIG"
    assert at_physical(data, values[2], values[3]) == b"P" * 5000
    assert values[2] % 4096 == 0
    assert (values[4], values[5]) == (root[4], root[6])
    assert at_physical(data, values[4] + 1024, 4) == bytes.fromhex("e2e1f5e0")


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_segments_can_be_mapped(toy_kernel: Path, tmp_path: Path, size: int) -> None:
    data = build(toy_kernel, tmp_path / "image", size=size)
    loads = [segment for segment in program_headers(data) if segment[0] == 1]
    end = 0
    for _, _, offset, _, paddr, filesz, memsz, _ in loads:
        assert paddr >= end
        assert offset + filesz <= len(data)
        end = paddr + memsz
    for _, flags, offset, vaddr, paddr, filesz, memsz, _ in loads[-2:]:
        assert flags == 4
        assert vaddr == DIRECT_MAP + paddr
        assert paddr % HUGE == 0
        assert offset % 4096 == filesz % 4096 == 0
        assert filesz == memsz
    if size >= HUGE:
        assert loads[-1][2] % HUGE == 0


def test_the_notes_stay_readable(toy_kernel: Path, tmp_path: Path) -> None:
    build(toy_kernel, tmp_path / "image")
    notes = subprocess.run(["readelf", "-nW", tmp_path / "image"], check=True, capture_output=True, text=True).stdout
    assert "Xen" in notes
    assert image_version(str(tmp_path / "image")) == ABI_VERSION
    assert image_version(sys.executable) is None
    assert image_version(str(tmp_path)) is None


def test_a_standalone_file(toy_kernel: Path, tmp_path: Path) -> None:
    shutil.copy("/bin/true", tmp_path / "monitor")
    data = build(toy_kernel, tmp_path / "alone", monitor=tmp_path / "monitor")
    base, length, magic = struct.unpack("<QQ8s", data[-24:])
    assert magic == TRAILER_MAGIC
    assert base % 4096 == 0
    assert len(data) == base + length + 24
    assert data[base : base + length] == build(toy_kernel, tmp_path / "image")
    assert os.access(tmp_path / "alone", os.X_OK)
    assert subprocess.run([tmp_path / "alone"], check=False).returncode == 0


def test_images_are_reproducible(toy_kernel: Path, tmp_path: Path) -> None:
    assert build(toy_kernel, tmp_path / "one") == build(toy_kernel, tmp_path / "two")


@pytest.mark.parametrize("damage", ["absent", "text", "no symbol", "cut"])
def test_a_broken_kernel_is_an_internal_error(toy_kernel: Path, tmp_path: Path, damage: str) -> None:
    kernel = tmp_path / "kernel"
    if damage == "text":
        kernel.write_text("not a kernel")
    elif damage == "no symbol":
        subprocess.run(["objcopy", "--strip-all", toy_kernel, kernel], check=True)
    elif damage == "cut":
        kernel.write_bytes(toy_kernel.read_bytes()[:200])
    with pytest.raises(InternalError):
        read_kernel(kernel)


def test_no_space_leaves_nothing(toy_kernel: Path, tmp_path: Path) -> None:
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))
    try:
        with pytest.raises(CompatError, match="cannot write"):
            build(toy_kernel, tmp_path / "image", size=3 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_is_named(toy_kernel: Path, tmp_path: Path) -> None:
    with pytest.raises(CompatError, match="cannot write"):
        build(toy_kernel, tmp_path / "absent" / "image")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_leaves_nothing(tmp_path: Path, number: int) -> None:
    script = (
        "import sys, time, pathlib\n"
        "from compat.atomic import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "image")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        assert process.wait(20) != 0
    deadline = time.monotonic() + 5
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def test_an_image_boots_on_qemu(toy_kernel: Path, tmp_path: Path) -> None:
    """The toy kernel's status 5 comes back as QEMU's 2 * 5 + 1."""
    build(toy_kernel, tmp_path / "image", size=3 << 20)
    command = [
        "qemu-system-x86_64", "-M", "microvm,acpi=off", "-bios", "qboot.rom", "-accel", "tcg", "-cpu", "max",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-kernel", str(tmp_path / "image"),
        "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
    ]  # fmt: skip
    assert subprocess.run(command, check=False, timeout=60).returncode == 11
