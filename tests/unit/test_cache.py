"""The image cache: hits, misses, limits."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from compat import cache
from compat.cache import cached_image, prune
from compat.errors import CompatError
from compat.units import format_size, parse_size

pytestmark = pytest.mark.usefixtures("native_parts")


class Builder:
    """Counts how often an image is made."""

    def __init__(self, *inputs: Path) -> None:
        self.inputs = inputs
        self.count = 0

    def __call__(self, output: Path) -> dict[str, os.stat_result]:
        self.count += 1
        time.sleep(0.05)
        output.write_bytes(b"image")
        return {str(path): os.lstat(path) for path in self.inputs}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "input"
    path.write_text("1")
    return path


def test_the_second_run_finds_the_image(source: Path) -> None:
    build = Builder(source)
    assert cached_image(["a"], build) == cached_image(["a"], build)
    assert build.count == 1


@pytest.mark.parametrize("change", ["content", "time", "removed", "mode", "image", "manifest", "kernel"])
def test_changes_are_noticed(source: Path, native_parts: Path, change: str) -> None:
    build = Builder(source)
    image = cached_image(["a"], build)
    if change == "content":
        source.write_text("22")
    elif change == "time":
        os.utime(source, ns=(1, 1))
    elif change == "mode":
        source.chmod(0o700)
    elif change == "image":
        image.unlink()
    elif change == "manifest":
        manifest = image.with_suffix(".inputs")
        manifest.write_bytes(manifest.read_bytes()[:-1])
    elif change == "kernel":
        os.utime(native_parts / "kernel.elf", ns=(1, 1))
    else:
        other = source.with_name("other")
        source.rename(other)
        build.inputs = (other,)
    cached_image(["a"], build)
    assert build.count == 2


def test_requests_do_not_mix(source: Path) -> None:
    build = Builder(source)
    assert cached_image(["a"], build) != cached_image(["b"], build)


def test_two_at_once_build_once(source: Path) -> None:
    build = Builder(source)
    threads = [threading.Thread(target=cached_image, args=(["a"], build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.count == 1


def test_a_failure_leaves_no_manifest(source: Path) -> None:
    def fail(_output: Path) -> dict[str, os.stat_result]:
        raise CompatError("no")

    build = Builder(source)
    image = cached_image(["a"], build)
    source.write_text("22")
    with pytest.raises(CompatError):
        cached_image(["a"], fail)
    assert not image.with_suffix(".inputs").exists()


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    for index in range(4):
        path = tmp_path / f"{index}.img"
        path.write_bytes(bytes(100_000))
        path.with_suffix(".inputs").write_text("")
        os.utime(path, ns=(index, index))
    prune(tmp_path, keep=tmp_path / "0.img", limit=250_000)
    assert sorted(path.name for path in tmp_path.glob("*.img")) == ["0.img", "3.img"]
    assert sorted(path.name for path in tmp_path.glob("*.inputs")) == ["0.inputs", "3.inputs"]


def test_old_parts_go(tmp_path: Path) -> None:
    old, new = tmp_path / ".a.part", tmp_path / ".b.part"
    for path in (old, new):
        path.write_text("x")
    os.utime(old, (1, 1))
    prune(tmp_path, keep=tmp_path / "none", limit=1)
    assert (old.exists(), new.exists()) == (False, True)


def test_an_unusable_place_is_named(monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(source))
    with pytest.raises(CompatError, match="cannot make the cache") as caught:
        cached_image(["a"], Builder(source))
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")


def test_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [parse_size(text) for text in ("0", "512M", "2g", "1KiB", " 7 ")] == [0, 512 << 20, 2 << 30, 1024, 7]
    for text in ("", "M", "1.5G", "-1", "12X", "9" * 40):
        with pytest.raises(CompatError, match="not a size"):
            parse_size(text)
    assert [format_size(size) for size in (0, 1023, 1536, 200 << 20, 5 << 30)] == [
        "0 B", "1023 B", "1.5 KiB", "200 MiB", "5.0 GiB",
    ]  # fmt: skip
    monkeypatch.setenv("COMPAT_CACHE_LIMIT", "1M")
    assert cache._limit() == 1 << 20
