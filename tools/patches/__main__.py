"""`python -m tools.patches`: proves that patch plans are sound, and compares runs with and without patching."""

from __future__ import annotations

import argparse
import glob
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compat.analysis import AnalysisError, Technique
from compat.errors import CompatError
from tools.patches.prove import Proof, prove
from tools.verdicts.loads import PATH, read_loads, write_files

PROGRAMS = Path(__file__).parents[1] / "recall" / "programs.toml"
PATIENCE = 600
LIBRARIES = "/lib/x86_64-linux-gnu/*.so*"
COMMANDS = (
    "/usr/bin/ls -la /etc",
    "/usr/bin/sort /etc/passwd",
    "/bin/busybox sha256sum /etc/passwd",
    "/usr/bin/gawk 'BEGIN { for (i = 0; i < 1000; i++) s += i; print s }'",
    "/usr/bin/perl -e 'print join(q(,), map { $_ ** 2 } 1 .. 20), qq(\\n); exit 3'",
    "/usr/bin/python3 -c 'import threading; t = threading.Thread(target=print, args=[1]); t.start(); t.join()'",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.patches", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check", help="prove the plans of ELF files")
    check.add_argument("files", nargs="*", type=Path)
    check.add_argument("--corpus", action="store_true", help=f"{LIBRARIES} and the programs of tools/recall")
    compare = actions.add_parser("compare", help="run programs with and without patches")
    compare.add_argument("commands", nargs="*", metavar="COMMAND", help="a quoted command line (default: a few)")
    compare.add_argument("--corpus", action="store_true", help="the loads of tools/verdicts")
    compare.add_argument("--data", type=Path, metavar="DIR", help="the working directory, as those loads have it")
    compare.add_argument("--lines", type=int, metavar="N", help="so many lines of the output are compared")
    compare.add_argument("--stdin", type=Path, metavar="FILE", help="what the commands read")
    arguments = parser.parse_args()
    if arguments.action == "compare":
        if arguments.corpus:
            return compare_corpus()
        return compare_all(arguments.commands or COMMANDS, arguments.data, arguments.stdin, arguments.lines)
    files = [*arguments.files, *(corpus() if arguments.corpus else ())]
    if not files:
        parser.error("name files, or give --corpus")
    return check_all(files)


def corpus() -> list[Path]:
    """Each file once, however many names it has."""
    with PROGRAMS.open("rb") as file:
        programs = [row["path"] for row in tomllib.load(file)["program"]]
    found = (os.path.realpath(path) for path in [*sorted(glob.glob(LIBRARIES)), *programs])
    return [Path(path) for path in dict.fromkeys(found) if os.path.isfile(path)]


def check_all(files: list[Path]) -> int:
    proofs: list[Proof] = []
    skipped = []
    for path in files:
        try:
            proofs.append(prove(path))
        except (AnalysisError, OSError) as error:
            skipped.append(f"not checked: {error}")
            continue
        if proofs[-1].records:
            print(line(proofs[-1]), flush=True)
        for violation in proofs[-1].violations:
            print(f"  VIOLATION {violation}", flush=True)
    print("\n".join([*skipped, summary(proofs)]))
    return 1 if any(proof.violations for proof in proofs) or not proofs else 0


def counts(proofs: list[Proof]) -> str:
    found = Counter(record.technique for proof in proofs for record in proof.records)
    return ", ".join(f"{technique.name.lower()} {found[technique]}" for technique in Technique)


def line(proof: Proof) -> str:
    return (
        f"{proof.path}: {len(proof.records)} patches ({counts([proof])}), {proof.left} left; {proof.instructions} "
        f"instructions, {proof.branches} branches, {proof.table_entries} table entries, {proof.pointers} pointers; "
        f"{len(proof.violations)} violations, {proof.seconds:.1f} s"
    )


def summary(proofs: list[Proof]) -> str:
    patched = [proof for proof in proofs if proof.records]
    return (
        f"{len(proofs)} files, {len(patched)} with patches: {sum(len(proof.records) for proof in proofs)} "
        f"({counts(proofs)}), {sum(proof.left for proof in proofs)} sites left; "
        f"{sum(proof.instructions for proof in proofs)} instructions and {sum(proof.branches for proof in proofs)} "
        f"branches read; {sum(len(proof.violations) for proof in proofs)} violations"
    )


def compare_corpus() -> int:
    """Each load in a process of its own, so that one that does not end can be ended."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        data, stdin = Path(name, "data"), Path(name, "stdin")
        data.mkdir()
        write_files(data)
        for load in read_loads():
            program, *args = shlex.split(load["run"].replace("{tmp}", "/tmp"))
            path = shutil.which(program, path=PATH)
            if path is None:
                found["not installed"] += 1
                continue
            stdin.write_text(load.get("stdin", ""))
            options = ["--data", str(data), "--stdin", str(stdin)]
            options += ["--lines", str(load["lines"])] if "lines" in load else []
            options += ["--", shlex.join([path, *args])]
            found[_in_a_process([sys.executable, "-m", "tools.patches", "compare", *options])] += 1
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(found.items())))
    return 1 if found["differs"] else 0


def _in_a_process(command: list[str]) -> str:
    """The child prints its line itself."""
    with subprocess.Popen(command) as child:
        try:
            status = child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"{command[-1]}: does not end", flush=True)
            child.terminate()
            return "does not end"
    return {0: "same", 1: "differs"}.get(status, "does not run")


def compare_all(
    commands: Sequence[str], data: Path | None = None, stdin: Path | None = None, lines: int | None = None
) -> int:
    """0: all same; 1: one differs; 2: one does not run."""
    from tools.patches.compare import compare

    worst = 0
    for command in commands:
        try:
            result = compare(command, data, stdin, lines)
        except CompatError as error:
            print(f"{command}: {error}", file=sys.stderr)
            worst = worst or 2
            continue
        print(result.text(), flush=True)
        if result.differences:
            worst = 1
    return worst


if __name__ == "__main__":
    sys.exit(main())
