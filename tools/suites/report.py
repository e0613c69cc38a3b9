"""What a suite told of a server, and how that of the guest differs from that of native Linux."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Report:
    """Verdicts by name of the test. Names repeat, with other parameters: then they are counted."""

    passed: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, *, good: bool, details: str = "") -> None:
        if good:
            self.passed[name] += 1
        else:
            self.failed[name] = details

    def update(self, other: Report) -> None:
        self.passed.update(other.passed)
        self.failed.update(other.failed)
        self.skipped.update(other.skipped)

    def __str__(self) -> str:
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"{self.passed.total()} passed, {len(self.failed)} failed{skipped}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A test that natively passes and in the guest does not."""

    name: str
    details: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.name}: {self.reason or self.details.strip()}"


def differences(native: Report, guest: Report, reasons: Mapping[str, re.Pattern[str]]) -> Iterator[Difference]:
    """What the guest lacks. `reasons` explains failures by their names and what they say."""
    skipped = {name: f"skipped: {details}" for name, details in guest.skipped.items() if name in native.passed}
    for name, details in {**guest.failed, **skipped}.items():
        if name not in native.failed:
            found = next((reason for reason, pattern in reasons.items() if pattern.search(f"{name}: {details}")), None)
            yield Difference(name, details, found)
    missing: Counter[str] = Counter()
    for name, times in (native.passed - guest.passed).items():
        if name not in guest.failed and name not in skipped:
            missing[name.split(": ")[0]] += times
    for unit, times in missing.items():
        yield Difference(unit, f"{times} tests were not run, or not as often", None)
