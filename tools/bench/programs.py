"""Builds what is measured, and runs it in either place."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


class BenchError(Exception):
    """Something could not be built or run; the text says what."""


def command(argv: list[str], timeout: float = 300) -> str:
    """Standard output of a command that must succeed."""
    environment = {
        **ENVIRONMENT,
        **{key: value for key, value in os.environ.items() if key.startswith(("COMPAT_", "XDG_"))},
    }
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)} failed with status {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def compile_c(source: str, output: Path, *flags: str) -> Path:
    command(["gcc", "-O2", "-Wall", "-o", str(output), str(HERE / source), *flags])
    return output


def wrap(program: str, output: Path, *options: str, args: tuple[str, ...] = ()) -> Path:
    """Makes an image; with --standalone, a file that runs itself."""
    given = ["--", *args] if args else []
    command([sys.executable, "-m", "compat", "wrap", program, "-o", str(output), *options, *given])
    return output


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a program, seen from outside."""

    first_byte_ms: float
    end_ms: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts programs through the small helper."""

    helper: Path

    def __call__(self, argv: list[str]) -> Start:
        first, end, peak, status = (int(word) for word in command([str(self.helper), *argv]).split())
        if status != 0:
            raise BenchError(f"{' '.join(argv)} ended with status {status}")
        return Start(first / 1e6, end / 1e6, peak / 1024)
