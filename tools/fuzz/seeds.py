"""What fuzzing starts from: small files with every table that the analysis reads, and the corpus of broken ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.unit.analysis.asm_builder import build, function
from tests.unit.analysis.test_functions import pclntab
from tests.unit.analysis.test_hostile import sample

GENERATOR = Path(__file__).parents[2] / "tests" / "elf_corpus" / "make_corpus.py"
WRAPPER = "mov %edi, %eax\nsyscall\nret"
CALLER = "mov $39, %edi\ncall wrapper@PLT\nmov wrapper@GOTPCREL(%rip), %rax\ncall *%rax\nret"
C_PROGRAM = """
long syscall(long, ...);
static int one(void) { return (int)syscall(39); }
static int two(void) { return (int)syscall(60, 1); }
int (*table[])(void) = {one, two};
int main(int argc, char **argv) { return table[argc & 1]() + argv[0][0]; }
"""


def write_seeds(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, str(GENERATOR), str(folder / "corpus")], check=True)
        for path in (folder / "corpus").glob("*.elf"):
            shutil.copy(path, directory / path.name)
        (directory / "tables").write_bytes(sample(folder))
        for kind, flags in {"library": ("-shared",), "static": ("-no-pie", "-static", "-Wl,-e,_start")}.items():
            code = function("_start", CALLER) + function("wrapper", WRAPPER)
            shutil.copy(build(folder, code, *flags).path, directory / f"wrapper-{kind}")
            shutil.copy(build(folder, code + pclntab(stated=False) + TEXT, *flags).path, directory / f"go-{kind}")
        _compile(folder, directory / "dynamic")


# What pclntab() refers to.
TEXT = "\n.text\ntext: mov $39, %eax\nsyscall\nret\nsecond: ret\netext: nop\n"


def _compile(folder: Path, target: Path) -> None:
    source = folder / "program.c"
    source.write_text(C_PROGRAM)
    flags = ("-s", "-O1", "-Wl,-z,noseparate-code")
    subprocess.run(["gcc", source, "-o", target, *flags], check=True)
