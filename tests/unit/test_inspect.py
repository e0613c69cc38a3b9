"""`compat inspect`: what an image holds, and images that are none."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

from compat.elf_structs import EHDR, PHDR
from compat.errors import CompatError
from compat.image_tail import PT_MANIFEST
from compat.inspection import inspect
from compat.manifest import Manifest, PackageInfo, decode, encode
from compat.sbom import make_sbom
from tests.unit.conftest import TABLE
from tests.unit.test_cli import SCHEMAS, compat


@dataclass(frozen=True)
class Made:
    """An image, and the environment of the tool that made it."""

    path: Path
    environment: dict[str, str]

    def inspect(self, *options: str | Path) -> str:
        done = compat("inspect", self.path, *options, **self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def made(hello: Path, toy_kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("inspect")
    native, files = folder / "native", folder / "files"
    native.mkdir()
    shutil.copy(toy_kernel, native / "kernel.elf")
    # The monitor of a standalone file must be an executable.
    shutil.copy(hello, native / "compat-monitor")
    (native / "syscalls.toml").write_text(TABLE)
    files.mkdir()
    (files / "data").write_bytes(b"d" * 70_000)
    (files / "link").symlink_to("data")
    os.link(files / "data", files / "other")
    environment = {"COMPAT_NATIVE_DIR": str(native), "XDG_CACHE_HOME": str(folder / "cache")}
    options = ["--add", f"{files}:/files", "-e", "A=1", "--", "one"]
    done = compat("wrap", hello, "-o", folder / "x.img", *options, **environment)
    assert done.returncode == 0, done.stderr
    return Made(folder / "x.img", environment)


@pytest.fixture
def image(made: Made) -> Path:
    return made.path


def test_everything_is_told(image: Path, hello: Path) -> None:
    found = inspect(image)
    assert found.size == image.stat().st_size
    assert found.configuration["exe"] == [str(hello)]
    assert found.configuration["arg"] == ["one"]
    assert "A=1" in found.configuration["env"]
    assert found.planned_files > 0
    assert found.manifest is not None
    assert set(found.manifest.calls) == {"read", "write"}
    files = {file.path: file for file in found.files}
    data = files["/files/data"]
    assert (data.kind, data.size) == ("file", 70_000)
    assert data.sha256 == files["/files/other"].sha256 == hashlib.sha256(b"d" * 70_000).hexdigest()
    assert (files["/files/link"].kind, files["/files/link"].target) == ("link", "data")
    assert files[str(hello)].mode == stat.S_IMODE(hello.stat().st_mode)
    assert files[str(hello)].sha256 == hashlib.sha256(hello.read_bytes()).hexdigest()


@pytest.mark.skipif(not Path("/var/lib/dpkg/status").exists(), reason="packages are Debian's")
def test_packages_are_named(image: Path) -> None:
    found = inspect(image)
    loader = next(file for file in found.files if file.path.endswith("/ld-linux-x86-64.so.2") and file.kind == "file")
    assert loader.package is not None
    assert loader.package.name == "libc6"
    assert loader.package.version


def test_json_follows_its_schema(made: Made) -> None:
    document = json.loads(made.inspect("--json"))
    jsonschema.validate(document, json.loads((SCHEMAS / "inspect.schema.json").read_text()))
    assert document["kernel"]["components"]["files"] == {"calls": ["read", "write"], "left_out": []}


def test_text_for_people(made: Made) -> None:
    text = made.inspect()
    assert "calls: 2 of 2" in text
    assert "/files/data" not in text
    assert hashlib.sha256(b"d" * 70_000).hexdigest() in made.inspect("--files")


def test_standalone_files_are_images(made: Made, hello: Path, tmp_path: Path) -> None:
    assert compat("wrap", "--standalone", hello, "-o", tmp_path / "x", **made.environment).returncode == 0
    found = inspect(tmp_path / "x")
    assert found.standalone
    assert found.configuration["exe"] == [str(hello)]


def test_images_of_compat_run_have_no_manifest(made: Made, hello: Path) -> None:
    compat("run", hello, **made.environment)
    (image,) = (Path(made.environment["XDG_CACHE_HOME"]) / "compat").glob("*.img")
    assert inspect(image).manifest is None
    made = Made(image, made.environment)
    assert "made by compat run" in made.inspect()
    document = json.loads(made.inspect("--json"))
    jsonschema.validate(document, json.loads((SCHEMAS / "inspect.schema.json").read_text()))


def test_the_bill_of_materials_is_cyclonedx(made: Made, image: Path, tmp_path: Path) -> None:
    made.inspect("--sbom", tmp_path / "bom.json")
    bom = json.loads((tmp_path / "bom.json").read_text())
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    inner = [part for component in bom["components"] for part in component.get("components", [])]
    hashes = {part["name"]: part["hashes"][0]["content"] for part in [*bom["components"], *inner] if "hashes" in part}
    for file in inspect(image).files:
        assert file.sha256 is None or hashes[file.path] == file.sha256
    kernel = next(component for component in bom["components"] if component["name"] == "compat-kernel")
    assert kernel["properties"] == [{"name": "compat:calls", "value": "2"}]
    for component in bom["components"]:
        if component["type"] == "library":
            assert component["purl"].startswith("pkg:deb/debian/")
    assert make_sbom(inspect(image)) == make_sbom(inspect(image))


def test_manifests_survive() -> None:
    packages = (PackageInfo("libc6", "2.36", "amd64", "glibc"),)
    before = Manifest("1", "/x", ("/s",), "00", "all", ("read",), 2, ("network",), packages, {"/lib": 0})
    assert decode(encode(before)) == before
    for blob in (b"", b"x", encode(before)[:-4], encode(Manifest("1", "/x", (), "", "", (), 0, (), (), {"/x": 3}))):
        with pytest.raises(ValueError, match=r"."):
            decode(blob)


def manifest_at(data: bytes) -> int:
    header = EHDR.unpack_from(data)
    headers = [PHDR.unpack_from(data, header[5] + PHDR.size * i) for i in range(header[10])]
    return next(fields[2] for fields in headers if fields[0] == PT_MANIFEST)


def test_what_is_no_image(image: Path, tmp_path: Path) -> None:
    whole = image.read_bytes()
    manifest = manifest_at(whole)
    superblock = whole.index(bytes.fromhex("e2e1f5e0"))
    broken = {
        "empty": b"",
        "text": b"#!/bin/sh\n" * 20,
        "cut": whole[: len(whole) // 2],
        "headers": whole[:100],
        "manifest": whole[:manifest] + b"rubbish" + whole[manifest + 7 :],
        "superblock": whole.replace(bytes.fromhex("e2e1f5e0"), b"nope"),
        "inodes": whole[: superblock - 1024 + 4096] + b"\xff" * 4096 + whole[superblock - 1024 + 8192 :],
        "trailer": whole + struct.pack("<QQ8s", 1 << 60, 1, b"CMPTSELF"),
    }
    for name, data in broken.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CompatError, match="is no whole image"):
            inspect(tmp_path / name)
    with pytest.raises(CompatError, match="no such file"):
        inspect(tmp_path / "nothing")
    assert compat("inspect", "/bin/sh").returncode == 125


@pytest.mark.parametrize("part", ["headers", "metadata"])
def test_any_byte_may_be_wrong(part: str, image: Path, tmp_path: Path) -> None:
    """Nothing but the tool's own error comes out, wherever the damage is."""
    whole = image.read_bytes()
    root = whole.index(bytes.fromhex("e2e1f5e0")) - 1024
    for at in range(0, 512, 7) if part == "headers" else range(root + 1024, root + 12288, 97):
        data = bytearray(whole)
        data[at] ^= 0xFF
        (tmp_path / "x").write_bytes(data)
        with contextlib.suppress(CompatError):
            inspect(tmp_path / "x")
