"""What is fuzzed: each target takes bytes, and may only fail in the way that its callers expect; see `TARGETS`."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

from compat.analysis import AnalysisError, decode_plans, encode_plans, plan_patches
from compat.analysis.model import FilePlan
from compat.diff.strace import read_trace
from compat.elf import ElfError, read_elf
from compat.errors import CompatError
from compat.inspection import inspect
from compat.ldcache import parse_cache
from compat.profile import read_profile
from compat.trace.jsonl import JsonLines
from compat.trace.session import decode
from compat.trace.text import StraceText, Style


def _file(data: bytes) -> Path:
    """The bytes as a file in memory."""
    path = Path(f"/dev/shm/compat-fuzz-{os.getpid()}")
    path.write_bytes(data)
    return path


def plan(data: bytes) -> None:
    """The planner of patches, and the format that plans are kept in."""
    with suppress(AnalysisError):
        found = plan_patches(_file(data))
        _check_plan(found, data)


def _check_plan(found: FilePlan, data: bytes) -> None:
    assert found.sites <= found.raw
    for record in found.records:
        assert data[record.site : record.site + 2] == b"\x0f\x05"
    if found.records:
        assert decode_plans(encode_plans({1: found})) == {1: found.records}


def elf(data: bytes) -> None:
    """What the closure reads of a program and of a library."""
    path = _file(data)
    for program in (True, False):
        with suppress(ElfError):
            read_elf(path, program=program)


def formats(data: bytes) -> None:
    """Small formats: plans, the dynamic linker's cache, traces. The first byte says which."""
    kind, rest = data[:1], data[1:]
    if kind == b"p":
        with suppress(AnalysisError):
            decode_plans(rest)
    elif kind == b"l":
        parse_cache(rest)
    elif kind == b"s":
        read_trace(rest.decode(errors="replace").splitlines())
    elif kind == b"t":
        writers = (StraceText(io.StringIO(), Style()), JsonLines(io.StringIO(), []))
        with suppress(CompatError):
            decode(io.BytesIO(rest), writers)
    else:
        with suppress(CompatError):
            read_profile(_file(rest))


def image(data: bytes) -> None:
    """`compat inspect`."""
    with suppress(CompatError):
        inspect(_file(data))
