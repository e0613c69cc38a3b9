"""The command `compat` itself: known starts are quick, and everything else goes to Python unchanged."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.test_cli import ROOT, compat

pytestmark = [
    pytest.mark.usefixtures("native_parts"),
    pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm"),
]
# Where the script in Python's place says that it was needed.
LOG = "COMPAT_PYTHON_RAN"


@pytest.fixture
def program(hello: Path, tmp_path: Path) -> Path:
    """A program of the test's own."""
    (tmp_path / "bin").mkdir()
    return Path(shutil.copy(hello, tmp_path / "bin" / "hello"))


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As it is installed: beside the script that starts Python."""
    folder = tmp_path / "installed"
    folder.mkdir()
    script = folder / "compat-python"
    script.write_text(f'#!/bin/sh\necho >>"${LOG}"\nexec {shlex.quote(sys.executable)} -m compat "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv(LOG, str(tmp_path / "python-ran"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Path(shutil.copy(ROOT / "compat" / "_native" / "compat-launcher", folder / "compat"))


def start(launcher: Path, *arguments: str | Path, **extra: str) -> tuple[subprocess.CompletedProcess[str], bool]:
    """What came of it, and whether it was quick: without Python."""
    log = Path(os.environ[LOG])
    log.unlink(missing_ok=True)
    command = [str(launcher), *map(str, arguments)]
    environment = os.environ | extra
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120, cwd=ROOT)
    return done, not log.exists()


@pytest.fixture
def quick(launcher: Path) -> Callable[..., tuple[list[str], bool]]:
    """What the monitor was told, one word a line, and whether that was quick."""

    def run(*arguments: str | Path, **extra: str) -> tuple[list[str], bool]:
        done, was_quick = start(launcher, *arguments, **extra)
        assert done.returncode == 9, done.stderr
        return done.stdout.splitlines(), was_quick

    return run


Quick = Callable[..., tuple[list[str], bool]]


def test_the_second_start_is_quick_and_the_same(program: Path, quick: Quick) -> None:
    first, was_quick = quick("run", program, "-m", "1G", "--", "-x", "y z")
    assert not was_quick
    assert quick("run", program, "-m", "1G", "--", "-x", "y z") == (first, True)
    # What follows -- is the program's, and may differ.
    assert quick("run", program, "-m", "1G", "--", "other") == ([*first[:-2], "other"], True)
    assert quick("run", program, "-m", "1G") == (first[:-3], True)
    # Options may not.
    told, was_quick = quick("run", program, "-m", "2G")
    assert str(2 << 30) in told
    assert not was_quick


def test_images_and_arguments_without_dashes(program: Path, tmp_path: Path, quick: Quick) -> None:
    compat("wrap", program, "-o", tmp_path / "x.img")
    for words in ([tmp_path / "x.img"], [tmp_path / "x.img", "one", "two"], [program, "one"]):
        first, was_quick = quick("run", *words)
        assert not was_quick
        assert quick("run", *words) == (first, True)


def replace(program: Path) -> None:
    program.with_name("new").write_bytes(program.read_bytes() + b"\0")
    program.with_name("new").chmod(0o755)
    program.with_name("new").replace(program)


def shadow(program: Path) -> None:
    (program.parent.parent / "first").mkdir()
    shutil.copy(program, program.parent.parent / "first" / "hello")


def cached(program: Path, suffix: str) -> list[Path]:
    return list((program.parent.parent / "cache" / "compat").glob(f"*{suffix}"))


def damage(program: Path) -> None:
    for record in cached(program, ".start"):
        record.write_bytes(record.read_bytes()[:40])


def forget_inputs(program: Path) -> None:
    for inputs in cached(program, ".inputs"):
        inputs.write_bytes(inputs.read_bytes()[:40])


def remove_image(program: Path) -> None:
    for image in cached(program, ".img"):
        image.unlink()


def touch_kernel(program: Path) -> None:
    os.utime(program.parent.parent / "native" / "kernel.elf", ns=(1, 1))


@pytest.mark.parametrize("change", [replace, shadow, damage, forget_inputs, remove_image, touch_kernel])
def test_changes_are_noticed(program: Path, tmp_path: Path, change: Callable[[Path], None], quick: Quick) -> None:
    places = {"PATH": f"{tmp_path / 'first'}:{program.parent}:{os.environ['PATH']}"}
    first = quick("run", "hello", **places)
    assert not first[1]
    assert quick("run", "hello", **places) == (first[0], True)
    change(program)
    assert not quick("run", "hello", **places)[1]
    assert quick("run", "hello", **places)[1]


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "TZ"])
def test_the_environment_counts(program: Path, name: str, quick: Quick) -> None:
    for value in ("one", "two", "one"):
        assert f"{name}={value}" in quick("run", program, **{name: value})[0]
    for value in ("one", "two"):
        assert f"OTHER={value}" in quick("run", program, "-e", "OTHER", OTHER=value)[0]


def test_scripts_take_the_long_way(program: Path, tmp_path: Path, quick: Quick) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{program} -u\n")
    script.chmod(0o755)
    first = quick("run", script)
    assert quick("run", script) == first
    assert not first[1]


def test_an_image_that_is_used_is_kept_longer(program: Path, quick: Quick) -> None:
    quick("run", program)
    (image,) = cached(program, ".img")
    os.utime(image, ns=(1, 1))
    assert quick("run", program)[1]
    assert image.stat().st_mtime_ns > 1


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["run"],
        ["run", "/no/such/program"],
        ["run", "--no-such-option", "x"],
        ["syscalls", "write"],
        ["no-such-command"],
    ],
)
def test_all_else_is_python(words: list[str], launcher: Path) -> None:
    done, was_quick = start(launcher, *words)
    plain = compat(*words)
    assert (done.returncode, done.stdout, done.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert not was_quick


def test_a_start_that_cannot_be_remembered(program: Path, launcher: Path) -> None:
    """More than a variable holds."""
    for _ in range(2):
        done, was_quick = start(launcher, "run", program, COMPAT_X="x" * 120_000)
        assert done.returncode == 9, done.stderr
        assert not was_quick


def test_it_finds_python_through_a_link_and_from_anywhere(launcher: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(launcher)
    for command in ([str(link), "--version"], ["compat", "--version"]):
        environment = {**os.environ, "PATH": f"{launcher.parent}:{os.environ['PATH']}"}
        done = subprocess.run(command, capture_output=True, env=environment, cwd="/", check=False)
        assert done.returncode == 0, done.stderr


def test_an_installation_without_python(launcher: Path) -> None:
    (launcher.parent / "compat-python").unlink()
    done, _ = start(launcher, "--version")
    assert done.returncode == 70
    assert "compat-python" in done.stderr
    assert "reinstall" in done.stderr


def test_closed_streams_are_not_taken(program: Path, native_parts: Path, launcher: Path, quick: Quick) -> None:
    """The monitor's descriptors begin where ours did."""
    quick("run", program)
    monitor = native_parts / "compat-monitor"
    monitor.write_text("#!/bin/sh\n[ -e /proc/self/fd/0 ] && exit 8\nexit 9\n")
    command = 'exec "$0" run "$1" <&-'
    for was_quick in (False, True):
        Path(os.environ[LOG]).unlink(missing_ok=True)
        assert subprocess.run(["/bin/sh", "-c", command, launcher, program], check=False).returncode == 9
        assert Path(os.environ[LOG]).exists() != was_quick


def test_the_process_and_its_signals_stay(program: Path, native_parts: Path, launcher: Path) -> None:
    """So Ctrl-C, kill and job control meet the monitor, whichever way it was started."""
    monitor = native_parts / "compat-monitor"
    monitor.write_text("#!/bin/sh\necho $$; exec grep -E '^Sig(Blk|Ign)' /proc/self/status\n")
    ways = []
    for _ in range(2):
        process = subprocess.Popen(
            [launcher, "run", program],
            stdout=subprocess.PIPE,
            text=True,
            restore_signals=False,
            preexec_fn=lambda: (  # noqa: PLW1509 - the child does nothing else
                signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]),
                signal.signal(signal.SIGUSR2, signal.SIG_IGN),
            ),
        )
        number, *signals = process.communicate(timeout=60)[0].splitlines()
        assert int(number) == process.pid
        ways.append(signals)
    assert ways[0] == ways[1]
    assert [int(line.split()[1], 16) >> 9 & 1 for line in ways[0]] == [1, 0]
