"""What the user names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat.errors import ProgramNotFoundError, UnsupportedProgramError
from compat.program import Kind, find_program


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_bare_name_is_searched_in_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hello: Path) -> None:
    (tmp_path / "greet").symlink_to(hello)
    monkeypatch.setenv("PATH", f"/nonexistent:{tmp_path}")
    program = find_program("greet")
    assert (program.kind, program.exe, program.arg0) == (Kind.PROGRAM, f"{tmp_path}/greet", "greet")


def test_what_is_not_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_text("x")
    with pytest.raises(ProgramNotFoundError) as caught:
        find_program("here")
    assert caught.value.hint == "to run the file in this directory, write ./here"
    for name in ("./absent", "/absent/file", str(tmp_path / "here" / "below")):
        with pytest.raises(ProgramNotFoundError):
            find_program(name)


@pytest.mark.parametrize("content", [b"", b"plain text", b"#!", b"#!\n", b"#! relative/path\n", b"\x7fELX"])
def test_what_is_no_program(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    path.chmod(0o755)
    with pytest.raises(UnsupportedProgramError) as caught:
        find_program(str(path))
    assert caught.value.status == 126


def test_directories_and_special_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UnsupportedProgramError, match=r"directory|regular"):
            find_program(str(path))


def test_execute_permission(hello: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(hello.read_bytes())
    with pytest.raises(UnsupportedProgramError, match="not executable"):
        find_program(str(copy))


def test_a_script_runs_its_interpreter(tmp_path: Path, hello: Path) -> None:
    path = script(tmp_path / "run.sh", f"#!{hello} -a b c \necho\n")
    program = find_program(str(path))
    assert program.kind is Kind.SCRIPT
    assert (program.exe, program.arg0) == (str(hello), str(hello))
    assert program.prefix == ("-a b c", str(path))
    assert program.scripts == (str(path),)


def test_scripts_of_scripts(tmp_path: Path, hello: Path) -> None:
    inner = script(tmp_path / "inner", f"#!{hello} x\n")
    outer = script(tmp_path / "outer", f"#!{inner} y\n")
    program = find_program(str(outer))
    assert program.exe == str(hello)
    assert program.prefix == ("x", str(inner), "y", str(outer))
    assert program.scripts == (str(outer), str(inner))


def test_env_is_resolved_here(tmp_path: Path, hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(hello.parent))
    program = find_program(str(script(tmp_path / "s", f"#!/usr/bin/env -S {hello.name} -u\n")))
    assert program.exe == str(hello)
    assert program.prefix == ("-u", str(tmp_path / "s"))
    with pytest.raises(UnsupportedProgramError, match="cannot follow"):
        find_program(str(script(tmp_path / "t", "#!/usr/bin/env A=1 thing\n")))


def test_a_missing_interpreter_and_a_loop(tmp_path: Path) -> None:
    with pytest.raises(ProgramNotFoundError, match=r"needs the interpreter /none"):
        find_program(str(script(tmp_path / "a", "#!/none\n")))
    loop = script(tmp_path / "loop", f"#!{tmp_path}/loop\n")
    with pytest.raises(UnsupportedProgramError, match="too many levels"):
        find_program(str(loop))
