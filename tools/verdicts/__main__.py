"""Runs Debian programs natively and in the guest, and compares what happens with what `compat report` said.

    python -m tools.verdicts [PROGRAM...] [--json FILE]

A load works if the guest gives the same exit status and output as Linux does. A verdict is then

  right   "runs" or "probably runs" and it works; "will not run" and it fails;
          "probably runs, but ..." and it fails with a message about a call for what the verdict says it cannot do
  wrong   all else
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tools.verdicts.loads import DATA, PATH, STARTED, read_loads, write_files

COMPAT = [sys.executable, "-m", "compat"]
PATIENCE = 180


@dataclass(frozen=True, slots=True)
class Result:
    """One load: what was said, what happened, and what of it came on standard error."""

    run: str
    verdict: str
    works: bool
    right: bool
    why: str

    @property
    def kind(self) -> str:
        return f"{self.verdict.partition(':')[0].partition(',')[0]} / {'works' if self.works else 'fails'}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as data:
        write_files(Path(data))
        for result in _results(read_loads(), options.programs, data):
            results.append(result)
            print(f"{'right' if result.right else 'WRONG'}  {result.kind:24}  {result.run}", flush=True)
            if not result.works:
                print(f"       said: {result.verdict}\n       came: {result.why}", flush=True)
    _summarise(results)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    return 0 if all(result.right for result in results) else 1


def _results(loads: list[dict[str, Any]], chosen: list[str], data: str) -> Iterator[Result]:
    said: dict[str, dict[str, Any]] = {}
    for load in loads:
        argv = shlex.split(load["run"])
        program = shutil.which(argv[0], path=PATH)
        if program is None:
            print(f"not installed: {argv[0]}", flush=True)
        elif not chosen or argv[0] in chosen:
            if program not in said:
                said[program] = _verdict(program)
            yield _try(load, [program, *argv[1:]], said[program], data)


def _verdict(program: str) -> dict[str, Any]:
    done = subprocess.run([*COMPAT, "report", "--json", program], capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1}:
        raise SystemExit(f"compat report {program} failed:\n{done.stderr}")
    verdict: dict[str, Any] = json.loads(done.stdout)["programs"][0]["verdict"]
    return verdict


def _try(load: dict[str, Any], argv: list[str], verdict: dict[str, Any], data: str) -> Result:
    with tempfile.TemporaryDirectory() as scratch:
        native = _run([word.replace("{tmp}", scratch) for word in argv], load, data)
    argv = [word.replace("{tmp}", "/tmp") for word in argv]
    added = [word for path in (f"{data}:{DATA}", *STARTED) for word in ("--add", path)]
    guest = _run([*COMPAT, "run", *added, "--cwd", DATA, argv[0], "--", *argv[1:]], load, data)
    works = native[:2] == guest[:2]
    return Result(load["run"], verdict["line"], works, _is_right(verdict, guest, works=works), _last_line(guest[2]))


def _run(argv: list[str], load: dict[str, Any], data: str) -> tuple[int, list[bytes], bytes]:
    environment = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    try:
        done = subprocess.run(
            argv,
            input=load.get("stdin", "").encode(),
            capture_output=True,
            cwd=data,
            env=environment,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return -1, [], error.stderr or b"it did not end"
    lines = done.stdout.splitlines()
    return done.returncode, lines[: load.get("lines", len(lines))], done.stderr


def _is_right(verdict: dict[str, Any], guest: tuple[int, list[bytes], bytes], *, works: bool) -> bool:
    if works or verdict["word"] == "will not run":
        return works != (verdict["word"] == "will not run")
    told = guest[2].decode(errors="replace")
    notices = [line for line in told.splitlines() if line.startswith("compat: ")]
    named = {call for reason in verdict["reasons"] for call in reason["calls"]}
    purposes = {call["essential"] for call in _table() if call["name"] in named} - {""}
    named |= {call["name"] for call in _table() if call["essential"] in purposes}
    return any(name in notice for name in named for notice in notices)


@cache
def _table() -> list[dict[str, Any]]:
    done = subprocess.run([*COMPAT, "syscalls", "--json"], capture_output=True, check=True)
    calls: list[dict[str, Any]] = json.loads(done.stdout)["calls"]
    return calls


def _last_line(stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "other output, or another exit status"


def _summarise(results: list[Result]) -> None:
    counts = Counter((result.kind, result.right) for result in results)
    print(f"\n{len(results)} loads of {len({result.run.split()[0] for result in results})} programs")
    for (kind, right), count in sorted(counts.items()):
        print(f"  {kind:24}  {'right' if right else 'WRONG'}  {count}")


if __name__ == "__main__":
    sys.exit(main())
