"""What fuzzing starts from: for each target small files of the kind that it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from compat.analysis import encode_plans, plan_patches
from tests.unit.analysis.asm_builder import build, function
from tests.unit.analysis.test_functions import pclntab
from tests.unit.analysis.test_hostile import sample
from tests.unit.conftest import TABLE, build_toy_kernel
from tests.unit.trace import stream

GENERATOR = Path(__file__).parents[2] / "tests" / "elf_corpus" / "make_corpus.py"
WRAPPER = "mov %edi, %eax\nsyscall\nret"
CALLER = "mov $39, %edi\ncall wrapper@PLT\nmov wrapper@GOTPCREL(%rip), %rax\ncall *%rax\nret"
# What pclntab() refers to.
GO_TEXT = "\n.text\ntext: mov $39, %eax\nsyscall\nret\nsecond: ret\netext: nop\n"
C_PROGRAM = """
long syscall(long, ...);
static int one(void) { return (int)syscall(39); }
static int two(void) { return (int)syscall(60, 1); }
int (*table[])(void) = {one, two};
int main(int argc, char **argv) { return table[argc & 1]() + argv[0][0]; }
"""
STRACE = b"""7 execve("/bin/x", ["x"], 0x7ffd00000000 /* 5 vars */) = 0
7 openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
8 read(3,  <unfinished ...>
7 poll([{fd=4, events=POLLIN}], 1, -1) = 1 ([{fd=4, revents=POLLIN}])
8 <... read resumed>"a\\"b", 100) = 3
7 --- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL} ---
7 +++ exited with 0 +++
"""
JSON = b'{"schema_version": 1, "command": ["x"]}\n{"call": "read", "nr": 0}\n'


def write_seeds(directory: Path, target: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if target == "formats":
            _formats(folder, directory)
        elif target == "image":
            shutil.copy(_image(folder), directory / "image")
        else:
            _code(folder, directory)


def _code(folder: Path, directory: Path) -> None:
    """Files with every table that the analysis reads, and the corpus of broken ones."""
    subprocess.run([sys.executable, str(GENERATOR), str(folder / "corpus")], check=True)
    for path in (folder / "corpus").glob("*.elf"):
        shutil.copy(path, directory / path.name)
    (directory / "tables").write_bytes(sample(folder))
    for kind, flags in {"library": ("-shared",), "static": ("-no-pie", "-static", "-Wl,-e,_start")}.items():
        code = function("_start", CALLER) + function("wrapper", WRAPPER)
        shutil.copy(build(folder, code, *flags).path, directory / f"wrapper-{kind}")
        shutil.copy(build(folder, code + pclntab(stated=False) + GO_TEXT, *flags).path, directory / f"go-{kind}")
    (folder / "program.c").write_text(C_PROGRAM)
    flags = ("-s", "-O1", "-Wl,-z,noseparate-code")
    subprocess.run(["gcc", folder / "program.c", "-o", directory / "dynamic", *flags], check=True)


def _formats(folder: Path, directory: Path) -> None:
    """The first byte says which format it is, see `targets.formats`."""
    plan = plan_patches(build(folder, function("_start", CALLER) + function("wrapper", WRAPPER)).path)
    records = stream.stream(
        [
            stream.started_with("/bin/x", ["x", "y"], ["A=1"]),
            stream.enter("openat", 2**64 - 100, 64, 0, 0, memory={64: b"/etc/passwd\0"}),
            stream.leave("openat", 3),
            stream.enter("read", 3, 64, 8),
            stream.leave("read", 3, memory={64: b"abc"}),
            stream.site(4096, "main+0x1"),
            stream.signal(10),
            stream.ended(0),
        ]
    )
    cache = Path("/etc/ld.so.cache").read_bytes()[:8000]
    seeds = {"p": encode_plans({1: plan}), "l": cache, "s": STRACE, "t": records, "x": STRACE, "y": JSON}
    for first, data in seeds.items():
        (directory / first).write_bytes(first.encode() + data)


def _image(folder: Path) -> Path:
    """Of a toy kernel, and as small as can be."""
    program = build(folder, function("_start", CALLER) + function("wrapper", WRAPPER), "-no-pie", "-static").path
    build_toy_kernel(folder)
    (folder / "syscalls.toml").write_text(TABLE)
    environment = {**os.environ, "COMPAT_NATIVE_DIR": str(folder), "XDG_CACHE_HOME": str(folder)}
    command = [sys.executable, "-m", "compat", "wrap", "--lean", "--all", str(program), "-o", str(folder / "image")]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return folder / "image"
