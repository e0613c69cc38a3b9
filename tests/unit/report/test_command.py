"""`compat report` as a command: exit statuses, formats, what it says of files that are no programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from compat import native

ROOT = Path(__file__).parents[3]
TABLE = ROOT / "syscall_shim" / "syscalls.toml"
SCHEMA = ROOT / "compat" / "schema" / "report.schema.json"


class Tool:
    """The command with the toy kernel, the real analysis and table, and a cache that these tests share."""

    def __init__(self, directory: Path, kernel: Path) -> None:
        for part in (kernel, native.native_dir() / native.REACH):
            shutil.copy(part, directory)
        # Whatever the kernel learns, here no program can be started.
        without = re.sub(r'(name = "execve"\n(?:.+\n)*?level = )"\w+"', r'\1"missing"', TABLE.read_text())
        (directory / native.TABLE).write_text(without)
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "COMPAT_NATIVE_DIR": str(directory),
            "XDG_CACHE_HOME": str(directory / "cache"),
        }

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "compat", *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=self.environment, check=False, timeout=120
        )

    def report(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.run("report", *arguments)


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, toy_kernel: Path) -> Tool:
    return Tool(tmp_path_factory.mktemp("native"), toy_kernel)


def test_a_program_that_runs(tool: Tool, static_hello: Path) -> None:
    done = tool.report(static_hello)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith(f"{static_hello}: ")
    assert "runs" in first
    assert "exit_group" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_program_that_is_there_to_start_others(tool: Tool) -> None:
    done = tool.report("/usr/bin/env")
    assert done.returncode == 1, done.stdout
    assert "will not run: it cannot start other processes (execve)" in done.stdout.splitlines()[0]


def test_json_and_the_page(tool: Tool, hello: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = tool.report("--json", "--html", page, hello)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    program = document["programs"][0]
    assert {"write", "exit_group", "mmap"} <= {call["name"] for call in program["calls"]}
    assert any(file.endswith("libc.so.6") for file in program["files"])
    assert program["size"]["total"] > program["size"]["root"] > 0
    assert str(hello) in page.read_text()


def test_several_programs_are_a_matrix(tool: Tool, static_hello: Path) -> None:
    done = tool.report(static_hello, "/usr/bin/env")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert "will not run" in lines[2]


def test_a_script_reports_its_interpreter(tool: Tool, tmp_path: Path, static_hello: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{static_hello}\n")
    script.chmod(0o755)
    done = tool.report(script)
    assert done.returncode == 0, done.stderr
    assert f"a script: this is about its interpreter {static_hello}; the script decides more" in done.stdout


def test_against_a_trace(tool: Tool, static_hello: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    trace.write_text(
        '7 write(1, "hello\\n", 6) = 6\n7 uname(0x1) = 0\n7 reboot(1) = -1 EPERM\n7 +++ exited with 0 +++\n'
    )
    done = tool.report("--against", trace, static_hello)
    assert done.returncode == 0, done.stderr
    assert "the trace has reboot (1), which the analysis did not find" in done.stdout
    assert "the trace used" in done.stdout
    assert tool.report("--against", trace, static_hello, "/usr/bin/env").returncode == 2


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [("text", b"no program", "not an ELF program"), ("wrong", b"\x7fELF" + bytes(60), "wrong")],
)
def test_files_that_are_no_programs_will_not_run(
    tool: Tool, name: str, content: bytes, text: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    path.chmod(0o755)
    done = tool.report(path)
    assert done.returncode == 1
    assert "will not run: " in done.stdout
    assert text in done.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["no-such-program-anywhere"], "no such program"),
        ([], "Missing argument"),
        (["--nonsense", "/bin/true"], "No such option"),
        (["--against", "/absent", "/bin/true"], "does not exist"),
        (["--html", "/absent/page.html", "/bin/true"], "cannot write"),
        (["--against", "/etc/hostname", "/bin/true"], "no trace"),
    ],
)
def test_errors_are_two(tool: Tool, arguments: list[str], text: str) -> None:
    done = tool.report(*arguments)
    assert done.returncode == 2, done.stdout
    assert text in done.stderr
    assert "Traceback" not in done.stderr
