"""stress-ng's stressors of what a kernel is made of, with `--verify`: each for two seconds, by one worker.

`python -m tools.suites stress-ng` takes about twenty minutes; `python -m tools.suites stress-ng fork futex` runs these
stressors alone. It needs stress-ng, and perl, by which it becomes nobody: natively nothing runs with privileges, so
that no setting of the host is changed.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from tests.integration import harness
from tests.integration.harness import ENVIRONMENT, Command, Outcome, TimeLimitError
from tests.integration.servers.place import GuestPlace, Place
from tools.suites.report import Report
from tools.suites.source import SuiteError

PROGRAM = "/usr/bin/stress-ng"
CLASSES = ("cpu", "cpu-cache", "memory", "scheduler", "pipe", "interrupt")
# What they would do to the host is harm, or shows only when all of its memory is taken.
LEFT_OUT = {
    "cpu-online": "takes CPUs away",
    "forkheavy": "fills the table of processes",
    "oom-pipe": "takes all memory",
    "plugin": "needs code of one's own",
    "resources": "takes all memory",
    "smi": "interrupts the firmware",
    "uprobe": "traces the whole host",
}
RUN_SECONDS = 2
# It takes 131,072 pages out of a mapping, one at a time, before it counts one operation.
LONGER = {"tmpfs": 20}
LIMIT_SECONDS = 40
OPTIONS = ("--verify", "--no-rand-seed", "--temp-path", "/tmp", "--metrics-brief")
# Of the same size in both places, and little enough for the guest; some take several times the host's largest cache.
BOUNDS = (
    *(f"--{name}-bytes=64m" for name in ("malloc", "memfd", "memrate", "shm-sysv", "vm")),
    *(f"--{name}-l3-size=16m" for name in ("prefetch", "stream")),
)
MEMORY = "1G"
PERL = "/usr/bin/perl"
UNPRIVILEGED = (PERL, "-e", "$) = '65534 65534'; $( = $< = $> = 65534; exec @ARGV or die $!")
# In the guest the others run as root, as programs do there: it has nothing that could be harmed.
NOT_AS_ROOT = ("exec", "spawn")
REASONS = {
    "needs a call that is not implemented": re.compile(
        r"the program called (memfd_secret|ptrace)\(2\), which is not implemented"
    ),
    "sizes of caches are not told below /sys": re.compile(r"\((l1cache|llc-affinity)\) aborted early"),
    "no dnotify": re.compile(r"/proc/sys/fs/dir-notify-enable"),
    "SCHED_DEADLINE is refused": re.compile(r"^cyclic: .*SCHED_DEADLINE: no latency information"),
    # It runs random instructions, among them those that set the base of GS, in the ring that is the kernel's as well.
    "an instruction took the kernel's registers away": re.compile(r"^opcode: (.|\n)*exception \d+ in the kernel"),
}

NO_RESOURCE, NOT_IMPLEMENTED = 3, 4
LINE = re.compile(r"stress-ng: (?P<kind>\w+): +\[\d+\] (?P<text>.*)")
SKIPPED = re.compile(r"(will be|, |not )?skip(ped|ping)|No stress workers invoked")
# Told of any run.
COMMON = re.compile(
    r"setting to a \d+ second run|dispatching hogs|successful run completed|unsuccessful run completed"
    r"|failures reached|No stress workers invoked|Working directory|note: system has only"
)
METRIC = re.compile(r"\S+ +(?P<count>\d+) +\d+\.\d+ ")
NOTICE = re.compile(r"compat: .*not implemented.*")
NO_END = "no end within"

Verdict = Literal["passed", "failed", "not applicable", "without end"]
VERDICTS: tuple[Verdict, ...] = ("passed", "failed", "not applicable", "without end")


def prepare(folder: Path, place: Place) -> Path:
    """The first run in the guest makes the image, which takes longer than a stressor may."""
    for program, package in ((PROGRAM, "stress-ng"), (PERL, "perl")):
        if not os.access(program, os.X_OK):
            raise SuiteError(f"{program} is missing: apt-get install {package}")
        place.run(Command([program, "--version"], add=[PROGRAM], memory=MEMORY))
    return folder


def units(work: Path) -> list[str]:
    del work
    return sorted({name for names in members().values() for name in names} - LEFT_OUT.keys())


def members() -> dict[str, list[str]]:
    """The stressors of each class."""
    return {name: listed(ask_class(name)) for name in CLASSES}


def ask_class(name: str) -> str:
    done = subprocess.run([PROGRAM, "--class", f"{name}?"], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def listed(text: str) -> list[str]:
    """Of `class 'pipe' stressors: fifo pipe ...`."""
    found = re.search(r"^class '\S+' stressors: (.*)", text, re.MULTILINE)
    if found is None:
        raise SuiteError(f"stress-ng tells no class: {text.strip()}")
    return found[1].split()


def run(work: Path, place: Place, unit: str) -> Report:
    """One stressor."""
    del work
    report = Report()
    try:
        outcome = stress(place, unit)
    except TimeLimitError as error:
        said = str(error).partition("\nstdout: ")[2].removesuffix("\nstderr: ")
        report.add(unit, good=False, details=f"{NO_END} {LIMIT_SECONDS} s: {useful(said)}")
    else:
        judge(unit, outcome, report)
    return report


def stress(place: Place, unit: str) -> Outcome:
    seconds = str(LONGER.get(unit, RUN_SECONDS))
    argv: Sequence[str] = [PROGRAM, f"--{unit}", "1", "--timeout", seconds, *OPTIONS, *BOUNDS]
    env = ENVIRONMENT
    if unit in NOT_AS_ROOT if isinstance(place, GuestPlace) else os.geteuid() == 0:
        argv = [*UNPRIVILEGED, *argv]
    if isinstance(place, GuestPlace):
        argv, env = place.guest.argv(Command(argv, add=[PROGRAM], memory=MEMORY)), place.guest.environment()
    return harness.run(argv, env=env, timeout=LIMIT_SECONDS, merge=True)


def judge(unit: str, outcome: Outcome, report: Report) -> None:
    """A run without a fault that did nothing has not passed."""
    text = outcome.stdout.decode(errors="backslashreplace")
    details = f"status {outcome.status}: {useful(text)}"
    if outcome.status in (NO_RESOURCE, NOT_IMPLEMENTED) or (outcome.status == 0 and "No stress workers" in text):
        report.skipped[unit] = useful(text)
    elif outcome.status == 0 and operations(text) == 0:
        if SKIPPED.search(text):
            report.skipped[unit] = useful(text)
        else:
            report.add(unit, good=False, details=f"did nothing: {useful(text)}")
    else:
        report.add(unit, good=outcome.status == 0, details=details)


def operations(text: str) -> int:
    """How often the stressor did what it does; runs without any are not in the metrics."""
    lines = (found["text"] for found in map(LINE.match, text.splitlines()) if found and found["kind"] == "metrc")
    return sum(int(found["count"]) for found in map(METRIC.match, lines) if found)


def useful(text: str) -> str:
    """Why it ended as it did: stress-ng's last complaint, or else its last remark, and what the guest lacks."""
    remarks: dict[str, str] = {}
    others: list[str] = []
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None:
            others += [line] if line.strip() else []
        elif found["kind"] != "metrc" and not COMMON.search(found["text"]):
            remarks["said" if found["kind"] in ("info", "debug") else found["kind"]] = found["text"]
    notices = [line for line in others if NOTICE.match(line)]
    rest = [line for line in others if not NOTICE.match(line)]
    last = next((remarks[kind] for kind in ("fail", "error", "warn", "said") if kind in remarks), None)
    return "; ".join([*([last] if last else []), *rest[-1:], *dict.fromkeys(notices)]) or "nothing was said"


def verdict(unit: str, native: Report, guest: Report) -> tuple[Verdict, str]:
    if unit not in native.passed:
        return "not applicable", f"natively: {native.skipped.get(unit) or native.failed.get(unit, '')}"
    if unit in guest.skipped:
        return "not applicable", f"in the guest: {guest.skipped[unit]}"
    details = guest.failed.get(unit)
    if details is None:
        return "passed", ""
    return ("without end" if details.startswith(NO_END) else "failed"), details


def table(native: Report, guest: Report) -> Iterator[str]:
    """A line for each stressor, and one for each class. Stressors are members of several."""
    names = sorted({*native.passed, *native.failed, *native.skipped})
    found = {name: verdict(name, native, guest) for name in names}
    for name, (word, reason) in found.items():
        yield f"{name:16} {word:15} {' '.join(reason.split())}".rstrip()
    for name, reason in LEFT_OUT.items():
        yield f"{name:16} {'left out':15} {reason}"
    yield f"{'class':16} {'  '.join(VERDICTS)}"
    groups = {**{name: [unit for unit in units if unit in found] for name, units in members().items()}, "all": names}
    for name, group in groups.items():
        counted = Counter(found[unit][0] for unit in group)
        yield f"{name:16} {'  '.join(f'{counted[word]:{len(word)}}' for word in VERDICTS)}"
