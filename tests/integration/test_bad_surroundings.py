"""A full disk, no permission, an interrupted build: the machine's fault, told clearly and without leftovers."""

from __future__ import annotations

import grp
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.harness import Guest, Outcome, compat_command, kill_group, require, run
from tests.integration.test_bad_input import CANNOT, without_privileges

INTERRUPTED = 130


def in_private_mounts(guest: Guest, script: str, *args: str) -> Outcome:
    """Runs a shell script that may mount things, which nobody else sees."""
    namespaces = ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]
    probe = subprocess.run(["unshare", *namespaces, "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        pytest.fail(f"this test needs mount namespaces: {probe.stderr.decode()}")
    return run(["unshare", *namespaces, "sh", "-ec", script, "sh", *args], env=guest.environment(), timeout=120)


def test_full_disk_while_wrapping(guest: Guest, tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=300k tmpfs "$1"; place=$1; shift; '
        'status=0; "$@" || status=$?; ls -A "$place"; exit $status'
    )
    command = [*compat_command(), "wrap", "/bin/true", "-o", str(tmp_path / "true.img")]
    outcome = in_private_mounts(guest, script, str(tmp_path), *command)
    assert outcome.status == CANNOT, outcome
    assert b"No space left" in outcome.stderr, outcome.stderr
    assert outcome.stdout.decode().split() == [], outcome.stdout


def test_full_disk_under_the_cache(guest: Guest, tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=300k tmpfs "$1"; export XDG_CACHE_HOME=$1; shift; exec "$@"'
    outcome = in_private_mounts(guest, script, str(tmp_path), *compat_command(), "run", "/bin/true")
    assert outcome.status == CANNOT, outcome
    assert b"No space left" in outcome.stderr and b"Traceback" not in outcome.stderr, outcome.stderr


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="there is no /dev/kvm to be denied")
def test_no_permission_on_kvm_names_the_group(guest: Guest, tmp_path: Path) -> None:
    device = tmp_path / "kvm"
    device.touch()
    group = "root"
    if os.geteuid() == 0:
        group = next(entry.gr_name for entry in grp.getgrall() if entry.gr_gid not in {0, os.getgid()})
        os.chown(device, 0, grp.getgrnam(group).gr_gid)
    device.chmod(0o060)
    command = [*without_privileges(), *compat_command(), "run", "--platform", "kvm", "/bin/true"]
    outcome = in_private_mounts(guest, 'mount --bind "$1" /dev/kvm; shift; exec "$@"', str(device), *command)
    assert outcome.status == CANNOT, outcome
    text = outcome.stderr.decode()
    assert "/dev/kvm" in text and "permission" in text and group in text and "qemu" in text, text


def test_interrupted_wrap_leaves_nothing(guest: Guest, tmp_path: Path) -> None:
    node = require("/usr/bin/node", "nodejs")
    # A cache of its own: a cached plan would make it too fast to interrupt.
    environment = {**guest.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    place = tmp_path / "output"
    place.mkdir()
    command = [*compat_command(), "wrap", node, "-o", str(place / "node.img")]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not any(place.iterdir()) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=30)
        finally:
            kill_group(process)
    assert process.returncode == INTERRUPTED, stderr.decode()
    assert b"Traceback" not in stderr and list(place.iterdir()) == []


def test_faults_need_a_kernel_that_was_built_for_them(guest: Guest) -> None:
    busybox = require("/bin/busybox", "busybox-static")
    command = [*compat_command(), "run", "--debug-faults", "wake=1/2", busybox, "--", "true"]
    outcome = run(command, env=guest.environment(), timeout=60)
    assert outcome.status == CANNOT, outcome
    assert outcome.stderr == b"compat: cannot start: faults are asked for, and this kernel was built without them\n"
