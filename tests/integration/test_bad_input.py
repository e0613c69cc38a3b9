"""What must be refused is refused: a clear message, the documented status, nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.harness import Command, Guest, Outcome, cache_folder, compat_command, require, run

CORPUS = Path(__file__).resolve().parent.parent / "elf_corpus" / "make_corpus.py"
BROKEN = cache_folder() / "elf-corpus"
CANNOT, NOT_EXECUTABLE, NOT_FOUND, KILLED, SEGV = 125, 126, 127, 137, 139


def compat(guest: Guest, *args: str, timeout: float = 60) -> Outcome:
    outcome = run([*compat_command(), *args], env=guest.environment(), timeout=timeout * guest.slowdown)
    assert b"Traceback" not in outcome.stderr, outcome.stderr.decode()
    return outcome


def refused(guest: Guest, program: Path | str, status: int, *words: str) -> None:
    """By `run` and by `wrap` alike, the latter without writing anything."""
    ran = compat(guest, "run", str(program))
    output = Path(str(guest.cache)).parent / "must-not-appear.img"
    wrapped = compat(guest, "wrap", str(program), "-o", str(output))
    for outcome in (ran, wrapped):
        assert outcome.status == status, outcome
        text = outcome.stderr.decode()
        assert str(program) in text and all(word.lower() in text.lower() for word in words), text
        assert outcome.stdout == b""
    assert not output.exists()


def compiled(folder: Path, source: str, *flags: str, name: str = "program") -> Path:
    path = folder / name
    (folder / f"{name}.c").write_text(source)
    subprocess.run(["gcc", "-g", folder / f"{name}.c", "-o", path, *flags], check=True)
    return path


MAIN = "int main(void) { return 0; }\n"


def test_not_a_program(guest: Guest, tmp_path: Path) -> None:
    text, empty = tmp_path / "text", tmp_path / "empty"
    text.write_text("just words\n")
    empty.touch()
    for path in (text, empty):
        path.chmod(0o755)
        refused(guest, path, NOT_EXECUTABLE, "ELF")
    refused(guest, tmp_path, NOT_EXECUTABLE)
    refused(guest, tmp_path / "absent", NOT_FOUND)
    refused(guest, "no-such-command-anywhere", NOT_FOUND)


def test_program_that_is_not_executable_or_not_readable(guest: Guest, tmp_path: Path) -> None:
    program = compiled(tmp_path, MAIN)
    program.chmod(0o644)
    refused(guest, program, NOT_EXECUTABLE, "not executable")
    program.chmod(0o000)
    # Without the capabilities that let root read everything.
    argv = [*without_privileges(), *compat_command(), "run", str(program)]
    outcome = run(argv, env=guest.environment(), timeout=60)
    assert outcome.status == NOT_EXECUTABLE, outcome
    assert str(program).encode() in outcome.stderr and b"ermission denied" in outcome.stderr


def without_privileges() -> list[str]:
    """As root: lets file permissions count again."""
    capabilities = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"]


def corpus() -> list[tuple[str, str]]:
    subprocess.run([sys.executable, CORPUS, BROKEN], check=True, capture_output=True)
    rows = [line.split("\t") for line in (BROKEN / "index.tsv").read_text().splitlines()]
    return [(row[0], row[1]) for row in rows if row[1] in {"bad", "runs"}]


@pytest.mark.parametrize(("name", "verdict"), corpus())
def test_elf_corpus(name: str, verdict: str, guest: Guest) -> None:
    path = BROKEN / name
    path.chmod(0o755)
    if verdict == "runs":
        assert compat(guest, "run", str(path)).status == 42
        return
    output = BROKEN / "must-not-appear.img"
    outcome = compat(guest, "wrap", str(path), "-o", str(output))
    assert outcome.status in {NOT_EXECUTABLE, NOT_FOUND}, outcome
    assert name.encode() in outcome.stderr and not output.exists()


def test_other_machines_are_named(guest: Guest, tmp_path: Path) -> None:
    good = bytearray(compiled(tmp_path, MAIN).read_bytes())
    for offset, value, word in ((4, 1, "32-bit"), (18, 183, "AArch64"), (18, 40, "ARM"), (18, 243, "RISC-V")):
        other = bytearray(good)
        other[offset] = value
        path = tmp_path / f"other-{word}"
        path.write_bytes(other)
        path.chmod(0o755)
        refused(guest, path, NOT_EXECUTABLE, word)


def test_missing_library_is_named_with_who_needs_it(guest: Guest, tmp_path: Path) -> None:
    inner = compiled(tmp_path, "int inner(void) { return 1; }\n", "-shared", "-fPIC", name="libinner.so")
    link = ["-shared", "-fPIC", f"-L{tmp_path}", "-linner", "-Wl,-rpath,$ORIGIN"]
    compiled(tmp_path, "int inner(void); int outer(void) { return inner(); }\n", *link, name="libouter.so")
    link = [f"-L{tmp_path}", "-louter", "-Wl,-rpath,$ORIGIN"]
    program = compiled(tmp_path, "int outer(void); int main(void) { return outer(); }\n", *link)
    inner.unlink()
    outcome = compat(guest, "run", str(program))
    assert outcome.status == NOT_FOUND, outcome
    assert b"libinner.so" in outcome.stderr and b"libouter.so" in outcome.stderr, outcome.stderr


def test_missing_interpreter(guest: Guest, tmp_path: Path) -> None:
    refused(guest, compiled(tmp_path, MAIN, "-Wl,--dynamic-linker=/no/such/ld.so"), NOT_FOUND, "/no/such/ld.so")


def test_too_little_memory(guest: Guest) -> None:
    python = require("/usr/bin/python3.11", "python3.11")
    for size in ("8M", "64M"):
        outcome = guest.run(Command([python, "-c", "x = bytearray(300 << 20)"], memory=size))
        # Refused, or killed as Linux does it when memory was promised that is not there.
        assert outcome.status in {1, CANNOT, KILLED}, outcome
        assert b"memory" in outcome.stderr.lower(), outcome.stderr


def test_wrong_options(guest: Guest) -> None:
    for args in (
        ["run"],
        ["run", "-m", "much", "/bin/true"],
        ["run", "--add", "/no/such/file", "/bin/true"],
        ["nonsense"],
    ):
        outcome = compat(guest, *args)
        assert outcome.status == CANNOT and outcome.stderr != b"", (args, outcome)


@pytest.fixture
def image(guest: Guest, tmp_path: Path) -> Path:
    output = tmp_path / "hello.img"
    program = compiled(tmp_path, '#include <stdio.h>\nint main(void) { puts("hello"); }\n', "-static", name="hello")
    outcome = compat(guest, "wrap", str(program), "-o", str(output))
    assert outcome.status == 0, outcome.stderr
    return output


def run_image(guest: Guest, image: Path) -> Outcome:
    return compat(guest, "run", "--platform", guest.platform, str(image))


def test_corrupted_image(guest: Guest, image: Path, tmp_path: Path) -> None:
    assert run_image(guest, image).stdout == b"hello\n"
    good = image.read_bytes()
    table = int.from_bytes(good[32:40], "little")
    superblock = good.rindex(bytes.fromhex("e2e1f5e0"))
    damages = {
        "truncated": good[: len(good) // 2],
        "headers-only": good[:4096],
        "program-headers": good[:table] + b"\xff" * 112 + good[table + 112 :],
        "root-file-system": good[:superblock] + b"\0" * 128 + good[superblock + 128 :],
    }
    for name, content in damages.items():
        damaged = tmp_path / f"{name}.img"
        damaged.write_bytes(content)
        outcome = run_image(guest, damaged)
        assert outcome.status in {CANNOT, NOT_EXECUTABLE}, (name, outcome)
        assert outcome.stdout == b"" and outcome.stderr != b"", (name, outcome)


CRASH = """
#include <stdio.h>
__attribute__((noinline)) void crash_here(volatile int *at) { at[4] = 1; }
__attribute__((noinline)) void middle(void) { crash_here((int *)0x1234560); puts("not reached"); }
int main(void) { puts("before"); fflush(stdout); middle(); puts("not reached"); return 0; }
"""


def test_crash_report(guest: Guest, tmp_path: Path) -> None:
    program = compiled(tmp_path, CRASH, "-O0", "-fno-omit-frame-pointer", name="crashing")
    outcome = guest.run(Command([str(program)]))
    assert outcome.status == SEGV and outcome.stdout == b"before\n"
    report = outcome.stderr.decode()
    for word in ("SIGSEGV", "1234570", "rip", "rsp", "crashing", "crash_here+0x", "middle+0x", "main+0x"):
        assert word in report, report


def test_crash_in_a_stripped_program_names_the_object(guest: Guest, tmp_path: Path) -> None:
    program = compiled(tmp_path, CRASH, "-O1", "-s", name="stripped")
    outcome = guest.run(Command([str(program)]))
    assert outcome.status == SEGV
    assert "stripped+0x" in outcome.stderr.decode(), outcome.stderr.decode()


def test_call_that_is_not_implemented(guest: Guest, tmp_path: Path) -> None:
    table = json.loads(compat(guest, "syscalls", "--json").stdout)
    missing = [row for row in table["calls"] if row["level"] == "missing"][:3]
    calls = "".join(
        f"  for (int i = 0; i < 3; i++) if (syscall({row['nr']}) != -1 || errno != ENOSYS) return 1;\n"
        for row in missing
    )
    source = f"#include <errno.h>\n#include <unistd.h>\nint main(void) {{\n{calls}  return 33;\n}}\n"
    outcome = guest.run(Command([str(compiled(tmp_path, source))]))
    assert outcome.status == 33, outcome
    for row in missing:
        lines = [line for line in outcome.stderr.decode().splitlines() if f" {row['name']}(2)" in line]
        assert len(lines) == 1, (row["name"], outcome.stderr.decode())
