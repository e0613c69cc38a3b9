"""The `plans` segment of an image; ARCHITECTURE.md ("Patch plans") defines it."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from compat.analysis.model import AnalysisError, FilePlan, Instruction, SiteRecord, Technique

MAGIC = b"CPTPLAN1"
_HEAD = struct.Struct("<8sII")
_FILE = struct.Struct("<QQII")
_SITE = struct.Struct("<QIBBBBiI")
_TECHNIQUE = 0xF


def encode_plans(plans: Mapping[int, FilePlan]) -> bytes:
    """Lay out the plans of an image, keyed by EROFS nid; files without a record take no room."""
    files = sorted((nid, plan.records) for nid, plan in plans.items() if plan.records)
    parts = [_HEAD.pack(MAGIC, len(files), 0)]
    offset = _HEAD.size + len(files) * _FILE.size
    for nid, records in files:
        parts.append(_FILE.pack(nid, offset, len(records), 0))
        offset += len(records) * _SITE.size
    for _, records in files:
        parts.extend(_encode_site(record) for record in sorted(records, key=lambda record: record.site))
    return b"".join(parts)


def decode_plans(data: bytes) -> dict[int, tuple[SiteRecord, ...]]:
    """Read a `plans` segment back; anything inconsistent is an `AnalysisError`."""
    try:
        magic, count, _ = _HEAD.unpack_from(data)
        if magic != MAGIC:
            raise AnalysisError("patch plans: bad magic")
        plans = {}
        for index in range(count):
            nid, offset, sites, _ = _FILE.unpack_from(data, _HEAD.size + index * _FILE.size)
            if offset + sites * _SITE.size > len(data):
                raise AnalysisError(f"patch plans: the records of nid {nid} leave the segment")
            plans[nid] = tuple(_decode_site(data, offset + i * _SITE.size) for i in range(sites))
    except (struct.error, ValueError) as error:
        raise AnalysisError(f"patch plans: {error}") from error
    return plans


def _encode_site(record: SiteRecord) -> bytes:
    return _SITE.pack(
        record.site,
        record.nr,
        record.technique | record.instruction,
        record.head,
        record.tail,
        record.rip_fix,
        record.pad,
        record.check,
    )


def _decode_site(data: bytes, offset: int) -> SiteRecord:
    site, nr, kind, head, tail, rip_fix, pad, check = _SITE.unpack_from(data, offset)
    technique, instruction = Technique(kind & _TECHNIQUE), Instruction(kind & ~_TECHNIQUE)
    return SiteRecord(site, nr, technique, head, tail, rip_fix, pad, check, instruction)
