"""The command line: messages, exit statuses, what goes to the monitor."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from tests.unit.conftest import build_toy_kernel

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "compat" / "schema"

pytestmark = pytest.mark.usefixtures("native_parts")


def compat(*arguments: str | Path, cwd: Path = ROOT, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | extra
    command = [sys.executable, "-m", "compat", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False, timeout=120)


def test_help_names_the_exit_statuses() -> None:
    for arguments in (["--help"], ["run", "--help"]):
        text = compat(*arguments).stdout
        assert all(word in text for word in ("125", "126", "127", "70"))


def test_wrap_says_what_went_in(hello: Path, tmp_path: Path) -> None:
    done = compat("wrap", hello, "-o", tmp_path / "x.img", "-e", "A=1", "--cwd", "/w", "--", "one", "two")
    assert done.returncode == 0, done.stderr
    assert "libc.so.6" in done.stdout
    assert "sites found" in done.stdout
    assert "C library's run-time parts" in done.stdout
    image = (tmp_path / "x.img").read_bytes()
    for text in (b"A=1", b"/w", b"one", b"two", str(hello).encode()):
        assert text in image


def test_the_default_name(hello: Path, tmp_path: Path) -> None:
    assert compat("wrap", hello, cwd=tmp_path).returncode == 0
    assert (tmp_path / "hello.img").exists()
    assert compat("wrap", hello, "--standalone", cwd=hello.parent).returncode == 125
    assert hello.read_bytes()[:4] == b"\x7fELF"


def test_images_are_not_wrapped_again(hello: Path, tmp_path: Path) -> None:
    compat("wrap", hello, "-o", tmp_path / "x.img")
    done = compat("wrap", tmp_path / "x.img")
    assert done.returncode == 125
    assert "image already" in done.stderr


def test_added_files(hello: Path, tmp_path: Path) -> None:
    data = tmp_path / "da:ta"
    data.mkdir()
    (data / "file").write_text("content of the file")
    done = compat("wrap", hello, "--add", f"{data}:/srv", "--add", data, "-o", tmp_path / "x.img")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.img").read_bytes().count(b"content of the file") == 2
    done = compat("wrap", hello, "--add", f"{data}/file:/srv/", "-o", tmp_path / "x.img")
    assert done.returncode == 0, done.stderr
    for wrong in (f"{data}:relative", tmp_path / "absent", ":/x"):
        assert compat("wrap", hello, "--add", wrong, "-o", tmp_path / "y.img").returncode == 125


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["run", "no-such-program-anywhere"], 127, "no such program"),
        (["run", "./absent"], 127, "no such file"),
        (["run", "/etc/passwd"], 126, "not an ELF program"),
        (["run", "/"], 126, "directory"),
        (["run", "-m", "lots", "/bin/true"], 125, "not a size"),
        (["run", "-e", "=1", "/bin/true"], 125, "NAME=VALUE"),
        (["run", "-e", "SURELY_NOT_SET", "/bin/true"], 125, "not set"),
        (["run", "--cwd", "here", "/bin/true"], 125, "absolute"),
        (["run", "/bin/true", "-p", "80"], 125, "-p 8080:80"),
        (["run", "/bin/true", "--net", "bridge"], 125, "no such kind of network"),
        (["run", "/bin/true", "--allow-net", "host:none"], 125, "no port"),
        (["stats", "first"], 125, "not a valid integer"),
        (["run", "--nonsense"], 125, "No such option"),
        (["run"], 125, "Missing argument"),
        (["explode"], 125, "No such command"),
        (["syscalls", "explode"], 125, "no such system call"),
        (["wrap", "/bin/true", "-o", "/nonexistent/x"], 125, "cannot write"),
    ],
)
def test_errors(arguments: list[str], status: int, text: str) -> None:
    done = compat(*arguments)
    assert done.returncode == status, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_installation(native_parts: Path) -> None:
    (native_parts / "kernel.elf").unlink()
    done = compat("wrap", "/bin/true")
    assert done.returncode == 70
    assert "lacks kernel.elf" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm")
def test_what_the_monitor_gets(hello: Path, tmp_path: Path) -> None:
    done = compat("run", "-m", "1G", "--cpus", "2", "-e", "A=b", hello, "--", "-x", "y z", cwd=tmp_path, LANG="C.UTF-8")
    assert done.returncode == 9, done.stderr
    words = done.stdout.splitlines()
    assert words[:4] == ["--mem", str(1 << 30), "--cpus", "2"]
    assert words[words.index("A=b") - 1] == "--env"
    assert "LANG=C.UTF-8" in words
    assert words[words.index("--arg0") + 1] == str(hello)
    assert words[words.index("--cwd") + 1] == str(tmp_path)
    assert words[-3:] == ["--", "-x", "y z"]
    assert words[-4].startswith(str(tmp_path / "cache"))


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm")
def test_the_network_of_the_monitor(hello: Path, tmp_path: Path) -> None:
    """Options stand before or after the program; what follows `--` is the program's."""
    compat("wrap", hello, "-o", tmp_path / "x.img")
    for program in (hello, tmp_path / "x.img"):
        options = ["-p", "8080:80", "--allow-net", "dns", "--net", "user", "--pcap", "x.pcap"]
        expected = ["--net", "user", "--publish", "8080:80", "--publish", "53:53/udp", "--allow-net", "dns"]
        for words in ([*options, program, "-p", "53:53/udp"], [program, *options, "-p", "53:53/udp"]):
            done = compat("run", *words, "--", "-p", "1:1")
            assert done.returncode == 9, done.stderr
            told = done.stdout.splitlines()
            at = told.index("--net")
            assert told[at : at + 10] == [*expected, "--pcap", "x.pcap"]
            assert told[-3:] == ["--", "-p", "1:1"]
    assert "--net" not in compat("run", hello).stdout.splitlines()


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm")
def test_an_image_keeps_its_own_settings(hello: Path, tmp_path: Path) -> None:
    compat("wrap", hello, "-o", tmp_path / "x.img")
    words = compat("run", tmp_path / "x.img").stdout.splitlines()
    assert words[-1] == str(tmp_path / "x.img")
    assert "--cwd" not in words
    assert "--arg0" not in words
    done = compat("run", tmp_path / "x.img", "--add", tmp_path)
    assert done.returncode == 125
    assert "image is complete" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm")
def test_scripts(hello: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!{hello} -u\n")
    script.chmod(0o755)
    words = compat("run", script, "--", "arg").stdout.splitlines()
    assert words[-4:] == ["--", "-u", str(script), "arg"]


@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm")
def test_a_cached_start_loads_little(hello: Path) -> None:
    """What is not known word for word takes 60 ms on an idle machine; the analysis alone would take longer to load."""
    compat("run", hello)
    lines = compat("run", hello, "-m", "1G", PYTHONPROFILEIMPORTTIME="1").stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "compat.cache" in loaded
    assert not {"rich", "numpy", "capstone", "jinja2", "cyclonedx", "compat.wrap"} & loaded


def test_the_table_of_calls() -> None:
    document = json.loads(compat("syscalls", "--json").stdout)
    jsonschema.validate(document, json.loads((SCHEMAS / "syscalls.schema.json").read_text()))
    assert [call["nr"] for call in document["calls"]] == [0, 1, 169]
    assert document["totals"] == {"partial": 1, "full": 1, "refused": 1}
    assert "no limits to speak of" in compat("syscalls", "read").stdout
    chosen = json.loads(compat("syscalls", "--json", "--level", "refused").stdout)
    assert [call["name"] for call in chosen["calls"]] == ["reboot"]


def test_the_real_table_fits_the_schema(native_parts: Path) -> None:
    (native_parts / "syscalls.toml").write_bytes((ROOT / "syscall_shim" / "syscalls.toml").read_bytes())
    document = json.loads(compat("syscalls", "--json").stdout)
    jsonschema.validate(document, json.loads((SCHEMAS / "syscalls.schema.json").read_text()))
    assert len(document["calls"]) > 350


def test_a_malformed_table(native_parts: Path) -> None:
    (native_parts / "syscalls.toml").write_text("[[call]\n")
    assert compat("syscalls").returncode == 70


def test_doctor(native_parts: Path) -> None:
    done = compat("doctor", "--json")
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads((SCHEMAS / "doctor.schema.json").read_text()))
    names = {check["name"] for check in document["checks"]}
    assert {"kvm", "cpu", "huge pages", "qemu", "disk", "native parts"} <= names
    assert done.returncode == (0 if document["can_run"] else 125)
    (native_parts / "kernel.elf").unlink()
    done = compat("doctor")
    assert done.returncode == 125
    assert "lacks kernel.elf" in done.stdout


def test_qemu_end_to_end(static_hello: Path) -> None:
    """The toy kernel says hello and ends without a word on the control port, which is a bug of the kernel."""
    stats = static_hello.parent / "stats.json"
    done = compat("run", "--platform", "qemu", "--json-stats", stats, static_hello)
    assert "running on QEMU without KVM" in done.stderr
    assert "hello from the toy kernel" in done.stderr
    assert done.returncode == 70
    figures = json.loads(stats.read_text())
    jsonschema.validate(figures, json.loads((SCHEMAS / "run-stats.schema.json").read_text()))
    assert (figures["outcome"], figures["status"], figures["bytes"]["stdout"]) == ("failed", 70, 0)


def processes_with(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if command.startswith(b"qemu") or b"/qemu" in command.split(b"\0")[0]:
                    found += [entry.name] if word.encode() in command else []
    return found


@pytest.mark.parametrize(("number", "times", "status"), [(signal.SIGKILL, 1, -9), (signal.SIGTERM, 3, 128 + 15)])
def test_qemu_ends_with_its_launcher(
    native_parts: Path, static_hello: Path, tmp_path: Path, number: int, times: int, status: int
) -> None:
    spinning = tmp_path / "spinning"
    spinning.mkdir()
    shutil.copy(build_toy_kernel(spinning, "-Wa,--defsym,SPIN=1"), native_parts / "kernel.elf")
    image = tmp_path / "spin.img"
    assert compat("wrap", static_hello, "-o", image).returncode == 0
    before = set(os.listdir("/tmp"))
    command = [sys.executable, "-m", "compat", "run", "--platform", "qemu", str(image)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"toy kernel" not in process.stderr.readline():
            pass
        assert len(processes_with(str(image))) == 1
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.3)
        assert process.wait(20) == status
    deadline = time.monotonic() + 10
    while processes_with(str(image)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_with(str(image)) == []
    assert not [name for name in set(os.listdir("/tmp")) - before if "compat" in name]


def test_qemu_has_the_network(static_hello: Path, tmp_path: Path) -> None:
    """QEMU takes the arguments, and says nothing: a port that is in use is told before it starts."""
    capture = tmp_path / "x.pcap"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        done = compat("run", "--platform", "qemu", static_hello, "-p", f"127.0.0.1:{port}:80")
        assert (done.returncode, f"port {port}/tcp of 127.0.0.1 is in use" in done.stderr) == (125, True)
    done = compat("run", "--platform", "qemu", static_hello, "-p", f"127.0.0.1:{port}:80", "--pcap", capture)
    assert "hello from the toy kernel" in done.stderr
    assert "QEMU:" not in done.stderr
    assert capture.read_bytes()[:4] == b"\xd4\xc3\xb2\xa1"


def test_qemu_is_named_when_it_lacks(static_hello: Path) -> None:
    done = compat("run", "--platform", "qemu", static_hello, PATH="/nonexistent")
    assert done.returncode == 125
    assert "apt install qemu-system-x86" in done.stderr


def test_nothing_is_left_beside_the_image(compile_c: Callable[..., Path], tmp_path: Path) -> None:
    program = compile_c("tiny", "int main(void) { return 0; }\n")
    compat("wrap", program, "-o", tmp_path / "out.img")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["out.img"]


def test_damaged_and_foreign_images(static_hello: Path, tmp_path: Path) -> None:
    image = tmp_path / "x.img"
    compat("wrap", static_hello, "-o", image)
    whole = image.read_bytes()
    image.write_bytes(whole[:-5000])
    done = compat("run", "--platform", "qemu", image)
    assert (done.returncode, "truncated" in done.stderr) == (125, True)
    at = whole.index(b"compat\0") + 8
    image.write_bytes(whole[:at] + b"\x63\0\0\0" + whole[at + 4 :])
    done = compat("run", image)
    assert (done.returncode, "another version" in done.stderr) == (125, True)


def test_standalone_files_are_not_taken_for_programs(native_parts: Path, static_hello: Path, tmp_path: Path) -> None:
    (native_parts / "compat-monitor").write_bytes(Path("/bin/true").read_bytes())
    assert compat("wrap", "--standalone", static_hello, "-o", tmp_path / "alone").returncode == 0
    for command in ("run", "wrap"):
        done = compat(command, tmp_path / "alone")
        assert (done.returncode, "runs by itself" in done.stderr) == (126, True)


def test_special_files_are_not_replaced(static_hello: Path, tmp_path: Path) -> None:
    assert compat("wrap", static_hello, "-o", "/dev/null").returncode == 125
    assert not Path("/dev/null").is_file()
    assert compat("wrap", static_hello, "-o", tmp_path).returncode == 125
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert compat("wrap", static_hello, "-o", tmp_path / "link").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").is_file()


def test_what_is_passed_on(hello: Path, tmp_path: Path) -> None:
    words = compat("run", hello, LC_TIME="C", SECRET="x", TZ="UTC").stdout.splitlines()
    assert {"LC_TIME=C", "TZ=UTC"} <= set(words)
    assert not [word for word in words if word.startswith(("SECRET", "HOME", "TERM"))]
    compat("wrap", hello, "-o", tmp_path / "x.img")
    words = compat("run", tmp_path / "x.img", LC_TIME="C", TZ="UTC").stdout.splitlines()
    assert "TZ=UTC" not in words


def test_moved_libraries_are_not_added_twice(compile_c: Callable[..., Path], hello: Path, tmp_path: Path) -> None:
    text = 'const char *mark(void) { return "a mark in the library"; }\n'
    library = compile_c("moved/libmoved.so", text, "-shared", "-fPIC")
    done = compat("wrap", hello, "--add", f"{library.parent}:/opt/moved", "-o", tmp_path / "x.img")
    assert done.returncode == 0, done.stderr
    count = library.read_bytes().count(b"a mark in the library")
    source = (library.parent / "libmoved.so.c").read_bytes().count(b"a mark in the library")
    assert (tmp_path / "x.img").read_bytes().count(b"a mark in the library") == count + source
