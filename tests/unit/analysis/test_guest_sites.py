"""The guest programs of tests/guest/patching exercise the techniques that they claim to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compat.analysis import LeftSite, SiteRecord, plan_patches
from tests.unit.analysis.asm_builder import labels_of

GUEST = Path(__file__).parents[2] / "guest"
CASES = {
    ("calls.c", "sites.S"): {
        "site_t1_read": 1,
        "site_t1_getpid": 1,
        "site_t2": 2,
        "site_t2_rip": 2,
        "behind_t2_short": 2,
        "site_t3": 3,
        "site_t4": 4,
        "site_t0": 0,
    },
    ("registers.c", "probes.S"): {"site_mov": 1, "site_before": 2, "site_hop": 3, "site_after": 4},
    ("cpuid.c", "cpuid_sites.S"): {
        "site_cpuid_mov": 1,
        "site_cpuid_before": 2,
        "site_cpuid_hop": 3,
        "site_cpuid_after": 4,
    },
    ("red_zone.c",): {"site_by_mov": 1, "site_by_before": 2, "site_by_hop": 3, "site_by_after": 4},
    ("jump_to_site.c", "sites.S"): {"site_direct": 1},
}
FLAVOURS = {
    "dynamic": ("gcc",),
    "fixed": ("gcc", "-no-pie", "-fno-pie"),
    "static": ("gcc", "-static"),
    "musl": ("musl-gcc",),
    "musl-static": ("musl-gcc", "-static"),
}


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("sources", CASES, ids=lambda sources: sources[0])
def test_techniques(tmp_path: Path, flavour: str, sources: tuple[str, ...]) -> None:
    program = tmp_path / "program"
    files = [str(GUEST / "patching" / source) for source in sources]
    compiler, *flags = FLAVOURS[flavour]
    command = [compiler, "-O1", "-g", "-pthread", "-I", str(GUEST / "include"), *files, *flags, "-o", str(program)]
    subprocess.run(command, check=True)
    plan = plan_patches(program)
    labels = labels_of(program)
    found: dict[int, SiteRecord | LeftSite] = {entry.site: entry for entry in (*plan.records, *plan.left)}
    techniques = {}
    for label in CASES[sources]:
        entry = found[labels[label] - (2 if label.startswith("behind") else 0)]
        techniques[label] = int(entry.technique) if isinstance(entry, SiteRecord) else 0
    assert techniques == CASES[sources]
    rip = found.get(labels.get("site_t2_rip", -1))
    assert rip is None or (isinstance(rip, SiteRecord) and (rip.rip_fix, rip.pad) == (3, 7))
