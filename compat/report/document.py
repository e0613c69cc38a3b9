"""The report as JSON; see compat/schema/report.schema.json."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from compat.plans import PlanSummary
from compat.reach.model import Step
from compat.report.model import Need, Report, Size, Verdict

SCHEMA_VERSION = 1


def document(reports: Sequence[Report]) -> dict[str, object]:
    """One object for any number of programs."""
    return {"schema_version": SCHEMA_VERSION, "programs": [_program(report) for report in reports]}


def _program(report: Report) -> dict[str, object]:
    return {
        "program": report.program,
        "path": report.path,
        "interpreter": report.interpreter or None,
        "verdict": _verdict(report.verdict),
        "files": report.files,
        "levels": dict(report.levels),
        "calls": [_need(need) for need in report.needs],
        "unresolved": [dataclasses.asdict(site) for site in report.unresolved],
        "unknown_files": report.unknown_files,
        "paths": report.paths,
        "patches": _patches(report.plans) if report.plans else None,
        "size": _size(report.size),
        "chosen": dataclasses.asdict(report.chosen) if report.chosen else None,
        "beyond_analysis": report.beyond if report.is_compared else None,
        "seconds": round(report.seconds, 3),
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    reasons = [{"text": reason.text, "calls": reason.calls, "path": _path(reason.path)} for reason in verdict.reasons]
    return {"word": verdict.word.value, "line": verdict.line, "reasons": reasons}


def _need(need: Need) -> dict[str, object]:
    return {
        "nr": need.call.nr,
        "name": need.call.name,
        "component": need.call.component,
        "level": need.call.level,
        "note": need.call.note,
        "certainty": need.certainty.value,
        "sites": need.sites,
        "path": _path(need.path),
        "parts": [
            {"kind": part.kind, "number": part.number, "name": part.value.name, "level": part.value.level}
            for part in need.parts
        ],
        "used": need.used,
    }


def _path(path: Sequence[Step]) -> list[dict[str, str]]:
    return [{"file": step.file, "function": step.function} for step in path]


def _patches(plans: PlanSummary) -> dict[str, object]:
    return {
        "files": plans.files,
        "found": plans.found,
        "patched": plans.patched,
        "left": plans.left,
        "by_technique": dict(plans.by_technique),
        "left_by_reason": dict(plans.left_by_reason),
        "failed": plans.failed,
    }


def _size(size: Size | None) -> dict[str, int] | None:
    return None if size is None else {**dataclasses.asdict(size), "total": size.total}
