"""Plans as bytes and as cache entries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from compat.analysis import (
    AnalysisError,
    FilePlan,
    LeftSite,
    SiteRecord,
    Technique,
    cache,
    decode_plans,
    encode_plans,
    plan_patches,
)
from tests.unit.analysis.asm_builder import build, function

RECORDS = (
    SiteRecord(0x1234, 39, Technique.MOV, 5, 0, 0, 0, 0xDEADBEEF),
    SiteRecord(0x1_0000_0000, 0xFFFF_FFFF, Technique.HOP, 0, 0, 0, -97, 1),
)


def plan(records: tuple[SiteRecord, ...] = RECORDS, digest: str = "ab" * 32) -> FilePlan:
    left = (LeftSite(7, "rt_sigreturn"),)
    return FilePlan("00ff", digest, 4096, 5, records, left, (("within an instruction", 2),), 0.25)


def test_counts() -> None:
    assert plan().sites == 3
    assert plan().by_technique == {Technique.MOV: 1, Technique.BEFORE: 0, Technique.HOP: 1, Technique.AFTER: 0}
    assert plan().left_by_reason == {"rt_sigreturn": 1}


def test_layout() -> None:
    data = encode_plans({70: plan(RECORDS[:1]), 36: plan(())})
    assert data.hex() == (
        "43505450 4c414e31 01000000 00000000".replace(" ", "")
        + "4600000000000000 2800000000000000 01000000 00000000".replace(" ", "")
        + "3412000000000000 27000000 01 05 00 00 00000000 efbeadde".replace(" ", "")
    )


def test_round_trip_sorts() -> None:
    data = encode_plans({9: plan(tuple(reversed(RECORDS))), 3: plan(RECORDS[1:])})
    assert decode_plans(data) == {3: RECORDS[1:], 9: RECORDS}
    assert list(decode_plans(data)) == [3, 9]
    assert decode_plans(encode_plans({})) == {}


@pytest.mark.parametrize("size", [0, 7, 15, 16, 39, 40, 63, 87])
def test_truncated(size: int) -> None:
    with pytest.raises(AnalysisError):
        decode_plans(encode_plans({9: plan()})[:size])


@pytest.mark.parametrize(("offset", "value"), [(0, 0), (8, 200), (24, 255), (33, 255), (52, 9)])
def test_damaged(offset: int, value: int) -> None:
    data = bytearray(encode_plans({9: plan()}))
    data[offset] = value
    with pytest.raises(AnalysisError):
        decode_plans(bytes(data))


def test_cache_round_trip(tmp_path: Path) -> None:
    cache.store(tmp_path / "new" / "folder", plan())
    assert cache.load(tmp_path / "new" / "folder", plan().sha256) == plan()
    assert [path.suffix for path in (tmp_path / "new" / "folder").iterdir()] == [".json"]


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"records": 3}'])
def test_damaged_cache_entries_are_ignored(tmp_path: Path, damage: str) -> None:
    cache.store(tmp_path, plan())
    (entry,) = tmp_path.iterdir()
    entry.write_text(damage)
    assert cache.load(tmp_path, plan().sha256) is None


def test_cache_entry_with_a_wrong_field_is_ignored(tmp_path: Path) -> None:
    cache.store(tmp_path, plan())
    (entry,) = tmp_path.iterdir()
    stored = json.loads(entry.read_text())
    stored["records"][0]["technique"] = 77
    entry.write_text(json.dumps(stored))
    assert cache.load(tmp_path, plan().sha256) is None


def test_unwritable_cache_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache.store(tmp_path / "file", plan())


def test_plan_patches_uses_the_cache(tmp_path: Path) -> None:
    built = build(tmp_path, function("first", "mov $39, %eax\nsyscall\nret"))
    first = plan_patches(built.path, cache_dir=tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    entry.write_text(entry.read_text().replace('"nr": 39', '"nr": 40'))
    again = plan_patches(built.path, cache_dir=tmp_path / "cache")
    assert (first.records[0].nr, again.records[0].nr) == (39, 40)
    # Another content, though of the same size and build id, is another file.
    built.path.write_bytes(built.path.read_bytes()[:-1] + b"x")
    assert plan_patches(built.path, cache_dir=tmp_path / "cache").records[0].nr == 39
