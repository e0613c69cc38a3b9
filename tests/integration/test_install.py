"""What a user gets: the wheel, in an empty virtual environment, from any directory."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from tests.integration.harness import Guest, require, run

ROOT = Path(__file__).resolve().parent.parent.parent


def test_wheel_in_an_empty_environment(guest: Guest, tmp_path: Path) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT], check=True, timeout=280)
    (wheel,) = tmp_path.glob("compat-*.whl")
    venv.create(tmp_path / "empty", with_pip=False)
    python = tmp_path / "empty" / "bin" / "python"
    subprocess.run([*pip, "--python", python, "install", wheel], check=True, timeout=120)
    compat = [str(tmp_path / "empty" / "bin" / "compat")]
    environment = {**guest.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    argv = [*compat, "run", "--platform", guest.platform, busybox, "--", "echo", "installed"]
    outcome = run(argv, env=environment, cwd="/tmp", timeout=120 * guest.slowdown)
    assert outcome.status == 0, outcome
    assert outcome.stdout == b"installed\n"
    assert run([*compat, "--version"], env=environment, timeout=30).status == 0
    if guest.platform == "kvm":
        # The same again needs no Python.
        Path(f"{compat[0]}-python").unlink()
        assert run(argv, env=environment, cwd="/tmp", timeout=60) == outcome
