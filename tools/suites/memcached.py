"""memcached's own test suite. It starts a server for each test, with other options; here that is a script which starts
the guest with the ports published that the options name.

`python -m tools.suites memcached` takes about fifteen minutes; `python -m tools.suites memcached cas watcher` runs
these tests alone. It needs memcached and perl.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.integration import harness
from tests.integration.harness import ENVIRONMENT, TimeLimitError
from tests.integration.servers.place import Place
from tools.suites.report import Report
from tools.suites.source import SuiteError, fetch

PACKAGE = "memcached"
MEMCACHED = "/usr/bin/memcached"
TEST_SECONDS = 300
# No server is tested by the first; the others look at files that the server writes, on the host.
LEFT_OUT = ("whitespace", "issue_67", "restart", "unixsocket", "daemonize", "stress-memcached")
REASONS: dict[str, re.Pattern[str]] = {}
VERDICT = re.compile(r"(not )?ok \d+(?: - (.*))?$")
# Some names hold the data.
NAME_LENGTH = 60
VARYING = re.compile(r"\d+|[A-Z]{20,}")

# Without sockets in the file system, which are no way into a guest; then the suite asks for TCP ports.
SERVER = """#!/bin/sh
if [ "$*" = -h ]; then
    {memcached} -h | grep -v unix-
    exit 0
fi
previous= publish=
for word; do
    case $previous=$word in
        -U=0) ;;
        -p=*) publish="$publish 127.0.0.1:$word:$word" ;;
        -U=*) publish="$publish 127.0.0.1:$word:$word/udp" ;;
    esac
    case $word in
        -p|-U) previous=$word ;;
        *) previous= ;;
    esac
done
export COMPAT_PUBLISH="$publish" COMPAT_MEM=2G
for name in T_MEMD_INITIAL_MALLOC T_MEMD_SLABS_ALLOC; do
    eval "value=\\${{$name-}}"
    if [ -n "$value" ]; then export "COMPAT_ENV_$name=$value"; fi
done
exec {program} "$@"
"""
# Instead of the suite's, which ends a server after a while: here the suite itself is ended.
TIMED_RUN = '#!/bin/sh\nshift\nexec "$@"\n'


def prepare(folder: Path, place: Place) -> Path:
    """A copy with programs where the suite expects those that were built."""
    work = folder / "suite"
    shutil.copytree(fetch(PACKAGE), work, symlinks=True)
    library = work / "t/lib/MemcachedTest.pm"
    # Only the suite's own build has this option.
    library.write_text(library.read_text().replace('$args .= " -o relaxed_privileges";', ""))
    program = MEMCACHED if place.name == "native" else str(standalone(folder, work / "t/authfile"))
    for name, text in (
        ("memcached-debug", SERVER.format(memcached=MEMCACHED, program=program)),
        ("timedrun", TIMED_RUN),
    ):
        (work / name).write_text(text)
        (work / name).chmod(0o755)
    return work


def standalone(folder: Path, file: Path) -> Path:
    """An image with a file that one of the tests has the server read."""
    path = folder / "memcached"
    argv = [sys.executable, "-m", "compat", "wrap", "--standalone", "--add", str(file), "-o", str(path), MEMCACHED]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SuiteError(done.stderr.strip())
    return path


def units(work: Path) -> list[str]:
    names = sorted(path.stem for path in (work / "t").glob("*.t"))
    return [name for name in names if name not in LEFT_OUT and not name.startswith("ssl_")]


def run(work: Path, place: Place, unit: str) -> Report:
    del place
    argv = ["perl", "-I", ".", f"t/{unit}.t"]
    report = Report()
    try:
        outcome = harness.run(argv, cwd=str(work), env=ENVIRONMENT, timeout=TEST_SECONDS)
    except TimeLimitError as error:
        report.add(f"{unit}: reaches its end", good=False, details=str(error))
        return report
    for line in outcome.stdout.decode(errors="replace").splitlines():
        if found := VERDICT.match(line):
            report.add(f"{unit}: {VARYING.sub('N', found[2] or '')[:NAME_LENGTH]}", good=not found[1], details=line)
    details = f"status {outcome.status}: {harness.tail(outcome.stderr)}"
    report.add(f"{unit}: reaches its end", good=outcome.status == 0, details=details)
    return report
