"""Real libraries and programs, patched by plan, still behave: on ordinary Linux, without any kernel of ours.

The reference applier's trampolines make real system calls; see reference_applier.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from compat.analysis import FilePlan, Technique, plan_patches
from tests.unit.analysis import reference_applier

GUEST = Path(__file__).parents[2] / "guest"
LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")
LOADER = Path("/lib64/ld-linux-x86-64.so.2")
MUSL = Path("/lib/x86_64-linux-musl/libc.so")
BUSYBOX = Path("/bin/busybox")
TIMEOUT = 60

PYTHON = """
import hashlib, os, select, signal, socket, subprocess, threading, time
print(subprocess.run(["/bin/echo", "child"], capture_output=True).stdout)
results = []
threads = [threading.Thread(target=lambda n=n: results.append(n * os.getpid() // os.getpid())) for n in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sorted(results))
a, b = socket.socketpair()
a.send(b"x" * 1000); print(len(b.recv(4096)), select.select([a], [b], [], 0)[1] == [b])
hits = []
signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(hits) < 5: time.sleep(0.05)
signal.setitimer(signal.ITIMER_REAL, 0)
r, w = os.pipe()
if os.fork() == 0: os.write(w, b"forked"); os._exit(3)
print(os.read(r, 10), os.waitstatus_to_exitcode(os.wait()[1]))
print(hashlib.sha256(open("/usr/bin/python3.11", "rb").read()).hexdigest())
"""
PERL = """
print join(",", sort map { $_ * 2 } 1..5), "\\n";
open F, "<", "/etc/passwd"; print scalar(() = <F>), "\\n";
print `echo sub`;
my $p = fork; exit 4 if !$p; wait; print $? >> 8, "\\n";
"""
SHELL = """
for i in 1 2 3; do echo $i; done | sort -r; ls / | wc -l
echo "$(pwd)" > $HOME/f; cat $HOME/f; (exit 7); echo $?
trap "echo usr1" USR1; kill -USR1 $$; sleep 0.01
"""
GO = """package main
import ("fmt"; "os"; "sync"; "time")
func main() {
    var w sync.WaitGroup
    n := make([]int, 50)
    for i := range n {
        w.Add(1)
        go func(i int) { defer w.Done(); time.Sleep(time.Millisecond); n[i] = i }(i)
    }
    w.Wait()
    b, _ := os.ReadFile("/etc/passwd")
    fmt.Println(n, len(b) > 0)
}
"""
THREADS = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void *nap(void *result) { usleep(1000); return result; }
int main(void) {
    pthread_t threads[10];
    long sum = 0;
    char line[99];
    for (long i = 0; i < 10; i++) pthread_create(threads + i, 0, nap, (void *)i);
    for (int i = 0; i < 10; i++) { void *result; pthread_join(threads[i], &result); sum += (long)result; }
    FILE *pipe = popen("cat /etc/passwd | wc -l", "r");
    fgets(line, sizeof line, pipe);
    printf("%ld %s", sum, line);
    return system("exit 5") >> 8;
}
"""


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with patched copies of both C libraries and glibc's loader."""
    folder = tmp_path_factory.mktemp("patched")
    for source, name in ((LIBC, "libc.so.6"), (LOADER, "ld.so"), (MUSL, "musl.so")):
        reference_applier.apply(source, plan_patches(source), folder / name)
    return folder


def run(command: list[str], home: Path) -> tuple[int, bytes]:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LC_ALL": "C"}
    result = subprocess.run(command, check=False, env=env, cwd="/", stdout=subprocess.PIPE, timeout=TIMEOUT)
    return result.returncode, result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["/bin/bash", "-c", SHELL],
        ["/usr/bin/python3.11", "-c", PYTHON],
        ["/usr/bin/perl", "-e", PERL],
        ["/bin/ls", "-l", "/usr/bin"],
        ["/usr/bin/find", "/etc", "-maxdepth", "1", "-newer", "/etc/passwd"],
    ],
    ids=lambda command: Path(command[0]).name,
)
def test_glibc_programs(patched: Path, tmp_path: Path, command: list[str]) -> None:
    loader = [str(patched / "ld.so"), "--library-path", str(patched), "--argv0", command[0]]
    assert run([*loader, *command], tmp_path) == run(command, tmp_path)


def test_busybox(tmp_path: Path) -> None:
    copy = tmp_path / "busybox"
    reference_applier.apply(BUSYBOX, plan_patches(BUSYBOX), copy)
    for applet in (["sh", "-c", SHELL], ["ls", "-l", "/bin"], ["sha256sum", "/bin/ls"], ["sort", "/etc/passwd"]):
        assert run([str(copy), *applet], tmp_path) == run([str(BUSYBOX), *applet], tmp_path)


@pytest.mark.parametrize("mode", ["exe", "pie"])
def test_go(tmp_path: Path, mode: str) -> None:
    assert shutil.which("go"), "there is no Go compiler: install the package golang-go"
    source = tmp_path / "main.go"
    source.write_text(GO)
    program, copy = tmp_path / "program", tmp_path / "copy"
    env = {**os.environ, "CGO_ENABLED": "0"}
    command = ["go", "build", "-ldflags=-s -w", f"-buildmode={mode}", "-o", str(program), str(source)]
    subprocess.run(command, env=env, check=True, timeout=300)
    plan = plan_patches(program)
    assert plan.by_technique[Technique.MOV] > 20
    reference_applier.apply(program, plan, copy)
    assert run([str(copy)], tmp_path) == run([str(program)], tmp_path)


GUEST_PROGRAMS = [
    (["calls.c", "sites.S"], "gcc"),
    (["registers.c", "probes.S"], "gcc"),
    (["red_zone.c"], "gcc"),
    (["data_in_text.c"], "gcc"),
    (["jump_to_site.c", "sites.S"], "gcc"),
    (["clone.c", "sites.S"], "gcc"),
    (["longjmp.c", "sites.S"], "gcc"),
    (["sigreturn.c"], "gcc"),
    (["calls.c", "sites.S"], "musl-gcc"),
    (["sigreturn.c"], "musl-gcc"),
]


@pytest.mark.parametrize(
    ("sources", "compiler"), GUEST_PROGRAMS, ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_guest_programs(tmp_path: Path, sources: list[str], compiler: str) -> None:
    """Static, so that the C library in them is patched as well."""
    program, copy = tmp_path / "program", tmp_path / "copy"
    files = [str(GUEST / "patching" / source) for source in sources]
    flags = ["-static", "-Wl,--build-id", "-O1", "-pthread", "-I", str(GUEST / "include")]
    subprocess.run([compiler, *flags, *files, "-o", str(program)], check=True)
    reference_applier.apply(program, plan_patches(program), copy)
    status, output = run([str(copy)], tmp_path)
    assert (status, output.splitlines()[-1]) == (0, b"ok")


def test_musl_dynamic(patched: Path, tmp_path: Path) -> None:
    source, program = tmp_path / "main.c", tmp_path / "program"
    source.write_text(THREADS)
    subprocess.run(["musl-gcc", str(source), "-o", str(program)], check=True)
    assert run([str(patched / "musl.so"), str(program)], tmp_path) == run([str(program)], tmp_path)


def test_the_patches_are_reached(tmp_path: Path) -> None:
    """Without this the tests above might pass because nothing goes through a trampoline."""
    copy = tmp_path / "busybox"
    reference_applier.apply(BUSYBOX, plan_patches(BUSYBOX), copy, trap=True)
    assert run([str(copy), "true"], tmp_path)[0] == -4


def shares(plan: FilePlan) -> tuple[float, float]:
    patched = len(plan.records) / plan.sites
    return patched, plan.by_technique[Technique.MOV] / plan.sites


@pytest.mark.parametrize(("path", "sites"), [(LIBC, 400), (LOADER, 35), (MUSL, 400), (BUSYBOX, 200)], ids=str)
def test_nearly_all_sites_of_the_c_libraries(path: Path, sites: int) -> None:
    plan = plan_patches(path)
    assert plan.sites > sites
    patched, _ = shares(plan)
    assert patched > 0.97
    assert plan.left_by_reason["rt_sigreturn"] == 1
    numbers = sum(record.nr < 500 for record in plan.records)
    assert numbers > 0.65 * plan.sites


@pytest.mark.parametrize(
    "path", ["/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"]
)
def test_libraries_without_a_site(path: str) -> None:
    plan = plan_patches(Path(path))
    assert plan.sites == 0
