"""The guest programs' list (tests/guest/**/cases.toml) and their builds."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.harness import Command

GUEST = Path(__file__).resolve().parent.parent / "guest"
COMMON_FLAGS = (
    "-O1 -g -Wall -Wextra -Werror -pthread -I {include} "
    # Misuse on purpose is what many of these programs are for.
    "-Wno-stringop-overflow -Wno-stringop-overread -Wno-nonnull -Wno-unused-result"
)
KEYS = {
    "name",
    "src",
    "cc",
    "flags",
    "args",
    "stdin",
    "env",
    "add",
    "exit",
    "stderr",
    "memory",
    "cpus",
    "timeout",
    "checked",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One program with its arguments and what it must give."""

    name: str
    sources: tuple[Path, ...]
    compiler: str
    flags: tuple[str, ...]
    args: tuple[str, ...]
    stdin: bytes
    env: dict[str, str]
    add: tuple[str, ...]
    status: int
    compare_stderr: bool
    memory: str | None
    cpus: int | None
    timeout: float
    checked: bool

    def command(self, program: Path) -> Command:
        """How to run the built program."""
        return Command(
            [str(program), *self.args],
            stdin=self.stdin,
            env=self.env,
            add=self.add,
            memory=self.memory,
            cpus=self.cpus,
            timeout=self.timeout,
        )


def load_cases() -> list[Case]:
    """All cases; a misspelt key or a repeated name is an error."""
    cases = [_case(row, path.parent) for path in sorted(GUEST.rglob("cases.toml")) for row in _rows(path)]
    names = [case.name for case in cases]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"guest cases share a name: {', '.join(sorted(repeated))}")
    return cases


def _rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tomllib.loads(path.read_text())["case"]
    return rows


def _case(row: dict[str, Any], folder: Path) -> Case:
    unknown = row.keys() - KEYS
    if unknown:
        raise ValueError(f"{folder}/cases.toml: {row.get('name')}: unknown keys {', '.join(sorted(unknown))}")
    sources = [row["src"]] if isinstance(row["src"], str) else row["src"]
    return Case(
        name=row["name"],
        sources=tuple(folder / source for source in sources),
        compiler=row.get("cc", "gcc"),
        flags=tuple(row.get("flags", ())),
        args=tuple(row.get("args", ())),
        stdin=row.get("stdin", "").encode(),
        env=row.get("env", {}),
        add=tuple(row.get("add", ())),
        status=row.get("exit", 0),
        compare_stderr=row.get("stderr", True),
        memory=row.get("memory"),
        cpus=row.get("cpus"),
        timeout=row.get("timeout", 60),
        checked=row.get("checked", False),
    )


def build(case: Case, cache: Path) -> Path:
    """Compiles the case unless the same was compiled before."""
    common = COMMON_FLAGS.format(include=GUEST / "include").split()
    argv = [case.compiler, *common, *map(str, case.sources), *case.flags]
    digest = hashlib.sha256(repr((argv, _version(case.compiler))).encode())
    for path in [*case.sources, *sorted((GUEST / "include").glob("*.h"))]:
        digest.update(path.read_bytes())
    program = cache / f"{case.name}-{digest.hexdigest()[:16]}"
    if not program.exists():
        partial = program.with_suffix(f".{os.getpid()}")
        done = subprocess.run([*argv, "-o", str(partial)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{case.name} does not build:\n{done.stderr}")
        partial.rename(program)
    return program


def build_one(source: Path, cache: Path) -> Path:
    """Compiles a program that a test starts in its own way, and that is no case therefore."""
    return build(_case({"name": source.stem, "src": source.name}, source.parent), cache)


def _version(compiler: str) -> str:
    # musl-gcc prints nothing useful of its own, so the binary's identity has to do for all.
    found = shutil.which(compiler)
    if found is None:
        raise AssertionError(
            f"{compiler} is missing: apt-get install {'musl-tools' if 'musl' in compiler else compiler}"
        )
    status = os.stat(found)
    return f"{status.st_size} {status.st_mtime_ns}"
