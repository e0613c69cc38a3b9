"""Configuration blobs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compat.bootconfig import MAGIC, BootConfig, Stream, Tag, decode, encode


def test_records_are_padded_to_eight() -> None:
    assert encode(BootConfig(cwd="/", args=["ab"])) == (
        b"CPTCFG1\0" + b"\x04\0\0\0\x01\0\0\0/\0\0\0\0\0\0\0" + b"\x02\0\0\0\x02\0\0\0ab\0\0\0\0\0\0"
    )


def test_everything_comes_back() -> None:
    config = BootConfig(
        exe="/bin/x",
        arg0="x",
        args=["", "-c", "print('ü')", "\udcff"],
        env=["A=1", "B="],
        cwd="/w",
        hostname="h",
        net="mode=card ip=dhcp",
        seed=bytes(32),
        umask=0o22,
        streams=(Stream.TTY, Stream.PIPE, Stream.CLOSED),
        window=(24, 80),
    )
    records = decode(encode(config))
    assert [data for tag, data in records if tag == Tag.ARG] == [b"", b"-c", "print('ü')".encode(), b"\xff"]
    assert dict(records)[Tag.STREAMS] == bytes([4, 1, 0, 0, 24, 0, 80, 0])
    assert dict(records)[Tag.NET] == b"mode=card ip=dhcp"
    assert dict(records)[Tag.UMASK] == bytes([0o22, 0, 0, 0])
    assert [tag for tag, _ in records].count(Tag.ENV) == 2


@pytest.mark.parametrize("blob", [b"", b"nonsense", MAGIC + b"\x04\0\0\0\xff\0\0\0/"])
def test_malformed_blobs_are_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match=r"no configuration|cut off"):
        decode(blob)


def test_the_numbers_are_those_of_the_contract() -> None:
    text = (Path(__file__).parents[2] / "monitor" / "boot_abi" / "src" / "config.rs").read_text()
    tags = {name: int(value) for name, value in re.findall(r"pub const (\w+): u32 = (\d+);", text)}
    assert tags == {tag.name: tag.value for tag in Tag}
    streams = {name: int(value) for name, value in re.findall(r"pub const STREAM_(\w+): u8 = (\d+);", text)}
    assert streams == {stream.name: stream.value for stream in Stream}
