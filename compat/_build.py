"""Builds the native parts into `compat/_native/`: the monitor, the kernel, the analysis and the table of system calls.

The package's build hook calls this, and so does a developer after a change: `python -m compat._build`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from compat._constants import write_constants

TABLE = Path("syscall_shim/syscalls.toml")
ARCHIVE = "libkernel.a"
LINKER_SCRIPT = Path("kernel/kernel.ld")
# Static programs: the package in the workspace, and the file.
PROGRAMS = {"monitor": "compat-monitor", "launcher": "compat-launcher", "reach": "compat-reach"}
PARTS = frozenset({"kernel", *PROGRAMS})
# The profile of a kernel with checks, and the folder that it goes to.
CHECKED = "checked"
TARGET = "x86_64-unknown-linux-gnu"
# Standalone files carry the monitor to machines with other libraries; and it starts sooner.
STATIC = ("--target", TARGET, "--config", f'target.{TARGET}.rustflags=["-C","target-feature=+crt-static"]')


class BuildError(Exception):
    """A tool is missing or failed; the text says which."""


def build_native(root: Path, destination: Path, *, parts: frozenset[str] = PARTS, profile: str = "release") -> None:
    """Builds the parts of a source tree and puts them into `destination`. `profile` is the kernel's."""
    destination.mkdir(parents=True, exist_ok=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    _install(root / TABLE, destination / TABLE.name)
    write_constants(root, destination / "constants.json")
    for package, name in PROGRAMS.items():
        if package in parts:
            _cargo(root, package, *STATIC)
            _install_stripped(target / TARGET / "release" / name, destination / name)
    if "kernel" in parts:
        _cargo(root, "kernel", profile=profile)
        _install_stripped(target / profile / ARCHIVE, destination / ARCHIVE)
        _install(root / LINKER_SCRIPT, destination / LINKER_SCRIPT.name)
        link_kernel(destination)


def build_checked(root: Path, native: Path) -> Path:
    """The kernel with its checks and the fault injector, in a folder for `COMPAT_NATIVE_DIR` with links to the rest."""
    checked = native / CHECKED
    build_native(root, checked, parts=frozenset({"kernel"}), profile=CHECKED)
    for name in ("compat-monitor", "compat-reach"):
        link = checked / name
        link.unlink(missing_ok=True)
        link.symlink_to(native / name)
    return checked


def link_kernel(native: Path) -> None:
    """Links the whole kernel. The symbol table stays: it is what gdb and perf want."""
    from compat.errors import CompatError
    from compat.select.linker import link, read_parts
    from compat.syscall_table import read_table

    part = native / "kernel.part"
    try:
        kernel = read_parts(native / ARCHIVE, native / LINKER_SCRIPT.name)
        table = read_table(native / TABLE.name)
        found = link(kernel, table, frozenset(call.name for call in table if call.has_handler), part)
    except CompatError as error:
        raise BuildError(str(error)) from error
    if found != kernel.parts:
        raise BuildError(f"nothing needs {', '.join(sorted(kernel.parts - found))} of the kernel")
    part.replace(native / "kernel.elf")


def _cargo(root: Path, package: str, *options: str, profile: str = "release") -> None:
    """One package at a time: together they would share features, and the kernel's crates must stay without std."""
    locked = ["--locked"] if (root / "Cargo.lock").exists() else []
    _run(["cargo", "build", "--profile", profile, *locked, "-p", package, *options], cwd=root)


def _install(source: Path, target: Path) -> None:
    """At once: somebody may be reading what it replaces."""
    part = target.with_suffix(".part")
    shutil.copyfile(source, part)
    part.replace(target)


def _install_stripped(source: Path, target: Path) -> None:
    """Without debugging information, which is ten times the size of the rest."""
    part = target.with_suffix(".part")
    _run(["objcopy", "--strip-debug", str(source), str(part)])
    part.chmod(source.stat().st_mode)
    part.replace(target)


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        subprocess.run(command, check=True, cwd=cwd, stdout=sys.stderr)
    except FileNotFoundError as error:
        hint = "Rust: https://rustup.rs" if command[0] == "cargo" else "on Debian: apt install binutils gcc"
        raise BuildError(f"{command[0]} is not installed ({hint})") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{' '.join(command)} failed with status {error.returncode}") from error


def main() -> int:
    """Rebuilds in the source tree that this file lies in."""
    parser = argparse.ArgumentParser(prog="python -m compat._build", description=main.__doc__)
    parser.add_argument("part", nargs="?", choices=sorted(PARTS), help="default: all")
    parser.add_argument("--debug", action="store_true", help=f"the kernel with its checks, into _native/{CHECKED}")
    arguments = parser.parse_args()
    if arguments.debug and arguments.part != "kernel":
        parser.error("--debug is of the kernel")
    package = Path(__file__).resolve().parent
    try:
        if arguments.debug:
            print(f"COMPAT_NATIVE_DIR={build_checked(package.parent, package / '_native')}")
            return 0
        build_native(
            package.parent, package / "_native", parts=frozenset([arguments.part] if arguments.part else PARTS)
        )
    except BuildError as error:
        print(f"build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
