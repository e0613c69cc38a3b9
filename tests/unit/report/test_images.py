"""`compat report` of images, and with added files."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compat.erofs.reader import DamagedError, Entry
from compat.report.unpack import _unpack
from tests.unit.report.test_command import Tool, tool

__all__ = ["tool"]

PLUGIN = "#include <unistd.h>\nint acct(const char *);\nvoid plug(void) { acct(0); }"


def calls(tool: Tool, *words: str | Path) -> tuple[dict, set[str]]:
    done = tool.report("--json", *words)
    assert done.returncode == 0, done.stderr + done.stdout
    program = json.loads(done.stdout)["programs"][0]
    return program, {call["name"] for call in program["calls"]}


@pytest.fixture(scope="module")
def plugin(compile_c: Callable[..., Path]) -> Path:
    return compile_c("libplug.so", PLUGIN, "-shared", "-fPIC")


def test_added_plug_ins_count(tool: Tool, hello: Path, plugin: Path) -> None:
    assert "acct" not in calls(tool, hello)[1]
    program, names = calls(tool, "--add", plugin, hello)
    assert "acct" in names
    assert str(plugin) in program["files"]


def test_an_image_is_reported_by_its_own_files(tool: Tool, hello: Path, plugin: Path, tmp_path: Path) -> None:
    image = tmp_path / "hello.img"
    wrapped = tool.run("wrap", hello, "--add", f"{plugin}:/opt/libplug.so", "--symbols", "-o", image)
    assert wrapped.returncode == 0, wrapped.stderr
    program, names = calls(tool, image)
    assert names == calls(tool, "--add", plugin, hello)[1]
    assert "/opt/libplug.so" in program["files"]
    assert str(hello) == program["files"][0]
    assert "compat-report-" not in json.dumps(program)


def test_an_image_takes_no_additions(tool: Tool, static_hello: Path, plugin: Path, tmp_path: Path) -> None:
    image = tmp_path / "hello.img"
    assert tool.run("wrap", static_hello, "-o", image).returncode == 0
    done = tool.report("--add", plugin, image)
    assert done.returncode == 2
    assert "an image is complete" in done.stderr


def test_a_damaged_image_has_no_report(tool: Tool, static_hello: Path, tmp_path: Path) -> None:
    image = tmp_path / "hello.img"
    assert tool.run("wrap", static_hello, "-o", image).returncode == 0
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size - 5000)
    done = tool.report(image)
    assert done.returncode == 2
    assert "no whole image" in done.stderr


class Names:
    """A file system with names that nobody should believe."""

    def __init__(self, *entries: tuple[bytes, int, bytes]) -> None:
        self.texts = {path: text for path, _, text in entries}
        self.entries = [Entry(path, mode, 0, 0, len(text), 1, ()) for path, mode, text in entries]

    def walk(self) -> Iterator[Entry]:
        return iter(self.entries)

    def content(self, entry: Entry) -> Iterator[bytes]:
        yield self.texts[entry.path]


DIR, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFLNK | 0o777


def test_links_stay_inside(tmp_path: Path) -> None:
    names = Names((b"/", DIR, b""), (b"/up", LINK, b"../../../etc/passwd"), (b"/abs", LINK, b"/etc/passwd"))
    _unpack(names, str(tmp_path), 100)  # type: ignore[arg-type]
    assert {os.readlink(tmp_path / name) for name in ("up", "abs")} == {f"{tmp_path}/etc/passwd"}


@pytest.mark.parametrize("path", [b"/../x", b"/a/../x", b"x", b"//x", b"/a/"])
def test_names_that_lead_elsewhere_are_refused(path: bytes, tmp_path: Path) -> None:
    with pytest.raises(DamagedError):
        _unpack(Names((path, FILE, b"\x7fELF")), str(tmp_path), 100)  # type: ignore[arg-type]


def test_only_code_is_laid_out_and_not_without_bound(tmp_path: Path) -> None:
    _unpack(Names((b"/text", FILE, b"text"), (b"/code", FILE, b"\x7fELF")), str(tmp_path), 100)  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["code"]
    with pytest.raises(DamagedError, match="larger"):
        _unpack(Names((b"/huge", FILE, b"\x7fELF" + bytes(97))), str(tmp_path), 100)  # type: ignore[arg-type]
