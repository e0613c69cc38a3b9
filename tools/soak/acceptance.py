"""The programs that must run, again and again: they end in time, tell what they tell natively, and leave nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.integration.harness import kill_group
from tools.soak.watch import LeakError, Soak

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests/integration"
# Tests that run one of them natively and in the guest, most with one CPU and with two.
FILES = {
    "programs": ("test_parallel.py", "test_runtimes.py", "test_two_cpus.py", "test_languages.py"),
    "servers": ("servers/test_etcd.py", "servers/test_managed.py", "servers/test_several_cpus.py"),
}
# What takes longer than all tests of a round.
ROUND_SECONDS = 3600


def acceptance(soak: Soak) -> str:
    """The acceptance programs in a loop for --minutes, with one CPU and two: nothing differs, hangs or is left."""
    until = time.monotonic() + soak.minutes * 60
    counts: Counter[str] = Counter()
    failures: list[str] = []
    rounds = 0
    while rounds == 0 or time.monotonic() < until:
        rounds += 1
        for files in FILES.values():
            for name, trouble in one_round(files, {}):
                counts[name] += 1
                if trouble is not None:
                    failures.append(f"round {rounds}: {name}: {trouble}")
                    print(failures[-1], flush=True)
    told = f"{rounds} rounds of {len(counts)} tests, {counts.total()} runs"
    if failures:
        raise LeakError(f"{told}, {len(failures)} failed:\n" + "\n".join(failures))
    return f"{told}, all the same as natively, nothing left"


def one_round(arguments: Sequence[str], env: dict[str, str]) -> Iterator[tuple[str, str | None]]:
    """Names of the tests that pytest's arguments choose, with what went wrong."""
    with tempfile.TemporaryDirectory(prefix="compat-soak-") as folder:
        report = Path(folder, "report.xml")
        argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
        # What runs has its control socket there for as long as it runs.
        env = {**os.environ, **env, "XDG_RUNTIME_DIR": folder}
        with subprocess.Popen(argv, cwd=TESTS, env=env, stdout=subprocess.DEVNULL, start_new_session=True) as process:
            try:
                process.wait(ROUND_SECONDS)
            finally:
                kill_group(process)
        if not report.exists():
            raise LeakError(f"pytest gave no report and ended with status {process.returncode}")
        cases = list(ET.parse(report).iter("testcase"))
        if not cases:
            raise LeakError(f"no test is chosen by {' '.join(arguments)}")
        for case in cases:
            trouble = next((part for part in case if part.tag in ("failure", "error")), None)
            text = None if trouble is None else re.sub(r"\s+", " ", trouble.get("message") or "")[:1000]
            yield f"{case.get('classname', '').split('.')[-1]}::{case.get('name')}", text
        left = list(Path(folder, "compat").glob("*.sock"))
        yield "nothing runs on", f"{len(left)} instances" if left else None
