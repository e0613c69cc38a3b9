"""Reading ELF files, and refusing broken ones with a reason."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.closure import find_closure
from compat.elf import ElfError, read_elf
from compat.errors import CompatError
from compat.program import find_program

CORPUS = Path(__file__).parents[1] / "elf_corpus" / "make_corpus.py"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("corpus")
    subprocess.run([sys.executable, CORPUS, directory], check=True)
    for path in directory.iterdir():
        path.chmod(0o755)
    return directory


def rows(corpus: Path) -> list[list[str]]:
    return [line.split("\t") for line in (corpus / "index.tsv").read_text().splitlines()]


def test_broken_files_are_refused_with_a_reason(corpus: Path) -> None:
    bad = [row for row in rows(corpus) if row[1] == "bad"]
    assert len(bad) >= 40
    for name, _, _, about in bad:
        with pytest.raises(CompatError) as caught:
            find_closure(find_program(str(corpus / name)).exe)
        assert caught.value.status == 126, (name, about)
        assert name in str(caught.value), (name, about)


def test_good_files_are_accepted(corpus: Path) -> None:
    good = [row for row in rows(corpus) if row[1] != "bad"]
    assert len(good) >= 4
    for name, *_ in good:
        find_closure(find_program(str(corpus / name)).exe)


def test_mutations_never_raise_anything_else(hello: Path, tmp_path: Path) -> None:
    original = hello.read_bytes()
    generator = random.Random(20240229)
    target = tmp_path / "mutant"
    for _ in range(400):
        data = bytearray(original)
        for _ in range(generator.randint(1, 6)):
            data[generator.choice((generator.randrange(64 + 13 * 56), generator.randrange(len(data))))] = (
                generator.randrange(256)
            )
        if generator.random() < 0.1:
            del data[generator.randrange(len(data)) :]
        target.write_bytes(data)
        try:
            read_elf(target, program=True)
        except ElfError:
            continue


def test_what_a_dynamic_program_says(hello: Path) -> None:
    elf = read_elf(hello, program=True)
    assert elf.interpreter == "/lib64/ld-linux-x86-64.so.2"
    assert elf.needed == ("libc.so.6",)
    assert elf.has_code


def test_paths_and_names(compile_c: Callable[..., Path]) -> None:
    flags = ("-shared", "-fPIC", "-Wl,-soname,libx.so.1", "-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN/a:/b")
    elf = read_elf(compile_c("libx.so", "int x;\n", *flags))
    assert elf.soname == "libx.so.1"
    assert elf.runpath == ("$ORIGIN/a", "/b")
    assert elf.rpath == ()


def test_a_library_is_no_program(compile_c: Callable[..., Path]) -> None:
    library = compile_c("liby.so", "int y;\n", "-shared", "-fPIC", "-nostartfiles", "-nodefaultlibs")
    with pytest.raises(ElfError, match="shared library"):
        read_elf(library, program=True)


def test_names_of_functions_that_matter(compile_c: Callable[..., Path]) -> None:
    text = "#include <time.h>\nint main(void) { time_t t = 0; return localtime(&t) == 0; }\n"
    assert b"localtime" in read_elf(compile_c("clock", text)).imports
