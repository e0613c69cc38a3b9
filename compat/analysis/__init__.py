"""Where the `syscall` and `cpuid` instructions of a program are, and how each becomes a jump.

Importing this package is cheap; numpy and capstone are loaded when a file is analysed.
"""

from __future__ import annotations

from pathlib import Path

from compat.analysis import cache
from compat.analysis.model import AnalysisError, FilePlan, Instruction, LeftSite, SiteRecord, Technique
from compat.analysis.plan_format import decode_plans, encode_plans

__all__ = [
    "AnalysisError",
    "FilePlan",
    "Instruction",
    "LeftSite",
    "SiteRecord",
    "Technique",
    "decode_plans",
    "encode_plans",
    "plan_patches",
]


def plan_patches(path: Path, *, cache_dir: Path | None = None) -> FilePlan:
    """Plan the patches of an x86-64 ELF file, or fetch the plan from the cache.

    `AnalysisError` says that the file is not such a file; `OSError` that it cannot be read.
    """
    import hashlib

    if cache_dir is not None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if (plan := cache.load(cache_dir, digest)) is not None:
            return plan
    from compat.analysis.planner import plan_file

    plan = plan_file(path)
    if cache_dir is not None:
        cache.store(cache_dir, plan)
    return plan
