"""Things go wrong by chance in the kernel while programs run: it must tell, and never fail itself.

Needs a kernel with checks: `python -m compat._build kernel --debug`.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from compat import native
from compat._build import CHECKED
from tests.integration.guest_cases import Case, build, load_cases
from tests.integration.harness import (
    Command,
    Guest,
    Outcome,
    TimeLimitError,
    cache_folder,
    run_native,
    tail,
    without_notices,
)
from tools.soak.watch import LeakError, Soak

STATUS_INTERNAL = 70
KERNEL_FAILED = (b"the kernel failed", b" in the kernel, error ", b"a kernel stack overflowed")
OUT_OF_MEMORY = b"compat: out of memory"
# They tell who woke and by what, and futex(2) allows that somebody wakes by himself.
TELL_WAKERS = ("threads-futexes", "threads-futex2", "signals-restart-table")
PROGRAM_SECONDS = 120.0
# Verdicts that are told of at once, beside "BAD". The second is no word on the guest: the host disturbs the program.
FOR_EVER, OTHERWISE = "waits for ever", "natively otherwise than ever"


def shortage(dice: random.Random) -> str:
    """Memory that is not there: the program is told, or ends with a report."""
    kind = dice.choice(("frame", "heap"))
    if dice.random() < 0.5:
        return f"{kind}=1/{dice.choice((10, 100, 1000, 10000))}"
    # Small programs take little: low numbers are as likely as all the higher ones.
    return f"{kind}=@{int({'frame': 400, 'heap': 5000}[kind] ** dice.random())}"


def disturbance(dice: random.Random) -> str:
    """Sleepers that wake for nothing, interrupts that are late: nothing may come of it."""
    wake, call = (f"{kind}=1/{dice.choice((2, 5, 50))}" for kind in ("wake", "call"))
    return dice.choice((wake, call, f"{wake},{call}"))


@dataclass(frozen=True, slots=True)
class Run:
    """A program under a plan of faults."""

    name: str
    command: Command
    # What it gives natively, and under faults that nothing may come of.
    status: int
    plan: str
    must_be_same: bool

    def __str__(self) -> str:
        return f"{self.name} with {self.plan}, {self.command.cpus} CPUs"


def faults(soak: Soak) -> str:
    """Guest programs and others under faults for --minutes: the kernel never fails, and what can be as ever is."""
    os.environ["COMPAT_NATIVE_DIR"] = str(checked_parts())
    cache = cache_folder()
    programs = cache / "programs"
    programs.mkdir(exist_ok=True)
    guest = Guest("kvm", cache / "images", 1)
    results: Counter[str] = Counter()
    bad: list[str] = []
    until = time.monotonic() + soak.minutes * 60
    for run in runs(programs, soak.seed):
        if time.monotonic() >= until:
            break
        verdict, details = judge(guest, run)
        results[verdict] += 1
        if verdict == "BAD":
            bad.append(f"{run}: {details}")
        if verdict in ("BAD", FOR_EVER, OTHERWISE):
            print(f"{verdict}: {run}: {details}", flush=True)
    told = ", ".join(f"{count} {name}" for name, count in results.most_common())
    if bad:
        raise LeakError("\n".join([told, *bad]))
    return told


def checked_parts() -> Path:
    folder = native.native_dir()
    if folder.name != CHECKED:
        folder = folder / CHECKED
    if not (folder / native.KERNEL).exists():
        raise LeakError("there is no kernel with checks: python -m compat._build kernel --debug")
    return folder


def runs(programs: Path, seed: int) -> Iterator[Run]:
    dice = random.Random(seed)
    cases = load_cases()
    makers: list[Callable[[], tuple[str, Command, int]]] = [
        lambda: a_case(dice.choice(cases), programs),
        lambda: (*dice.choice(PROGRAMS), 0),
    ]
    while True:
        name, command, status = dice.choices(makers, (4, 1))[0]()
        short = dice.random() < 0.5 or name.startswith(TELL_WAKERS)
        plan = f"{(shortage if short else disturbance)(dice)},seed={dice.randrange(1 << 32)}"
        yield Run(name, replace(command, cpus=dice.choice((1, 2, 3))), status, plan, not short)


def a_case(case: Case, programs: Path) -> tuple[str, Command, int]:
    return case.name, case.command(build(case, programs)), case.status


THREADS = """
import threading, queue, hashlib
q, out = queue.Queue(4), []
def work():
    while (n := q.get()) is not None:
        out.append(hashlib.sha256(bytes(n)).hexdigest())
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[q.put(n) for n in range(300)]
[q.put(None) for _ in threads]
[t.join() for t in threads]
print(len(out), hashlib.sha256("".join(sorted(out)).encode()).hexdigest())
"""
EVENTS = """
import asyncio
async def echo(reader, writer):
    writer.write(await reader.read(100000)); await writer.drain(); writer.close()
async def ask(port, n):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * n); writer.write_eof()
    return len(await reader.read(-1))
async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(sum(await asyncio.gather(*(ask(port, n) for n in range(1, 60)))))
asyncio.run(main())
"""
FILES = """
import os, sqlite3, tempfile, mmap
with tempfile.TemporaryDirectory() as folder:
    base = sqlite3.connect(os.path.join(folder, "base"))
    base.execute("create table t(a, b)")
    base.executemany("insert into t values(?, ?)", [(n, "x" * n) for n in range(500)])
    base.commit()
    print(base.execute("select count(*), sum(length(b)) from t").fetchone())
    with open(os.path.join(folder, "f"), "w+b") as file:
        file.truncate(1 << 20)
        with mmap.mmap(file.fileno(), 1 << 20) as area:
            for at in range(0, 1 << 20, 4096):
                area[at] = 1
            print(sum(area[::4096]))
"""
WORKERS = """
const { Worker } = require('worker_threads');
let left = 3;
for (let i = 0; i < 3; i++)
  new Worker('const { parentPort } = require("worker_threads"); parentPort.postMessage(1)', { eval: true })
    .on('message', () => { if (--left === 0) console.log('all'); });
"""
PYTHON, NODE = "/usr/bin/python3.11", "/usr/bin/node"
PROGRAMS = (
    ("python threads", Command([PYTHON, "-c", THREADS], memory="256M", timeout=PROGRAM_SECONDS)),
    ("python events", Command([PYTHON, "-c", EVENTS], memory="256M", timeout=PROGRAM_SECONDS)),
    ("python files", Command([PYTHON, "-c", FILES], memory="256M", timeout=PROGRAM_SECONDS)),
    ("node workers", Command([NODE, "-e", WORKERS], memory="1G", timeout=PROGRAM_SECONDS)),
    ("xz", Command(["/usr/bin/xz", "-T2", "-c"], stdin=bytes(range(256)) * 4096, timeout=PROGRAM_SECONDS)),
)


def judge(guest: Guest, run: Run) -> tuple[str, str]:
    """A word for what came of it, and more where it is bad."""
    try:
        ours = guest.run(run.command, ["--debug-faults", run.plan])
    except TimeLimitError as error:
        # Without memory a program may wait for a thread that it has not got.
        return ("BAD" if run.must_be_same else FOR_EVER), str(error)
    told = f"status {ours.status}\n{tail(ours.stdout)}\n{tail(ours.stderr)}"
    if ours.status == STATUS_INTERNAL or any(words in ours.stderr for words in KERNEL_FAILED):
        return "BAD", told
    try:
        theirs = run_native(run.command)
    except TimeLimitError as error:
        return OTHERWISE, str(error)
    if theirs.status != run.status:
        return OTHERWISE, f"status {theirs.status}\n{tail(theirs.stdout)}\n{tail(theirs.stderr)}"
    if same(ours, theirs):
        return "as ever", ""
    if OUT_OF_MEMORY in ours.stderr and not run.must_be_same:
        return "out of memory", ""
    return ("BAD" if run.must_be_same else "error told"), f"{told}\nnatively {theirs.status}\n{tail(theirs.stdout)}"


def same(ours: Outcome, theirs: Outcome) -> bool:
    ours = replace(ours, stderr=without_notices(ours.stderr))
    return (ours.status, ours.stdout) == (theirs.status, theirs.stdout)
