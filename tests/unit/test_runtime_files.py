"""What is added besides the libraries: rules, packages, plug-ins."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.closure import find_closure
from compat.dpkg import Dpkg
from compat.runtime_files import MAX_GROUP, RuntimeFiles, add_runtime_files
from compat.skeleton import add_own_files, add_skeleton
from compat.tree import Tree


def needs(path: str) -> None:
    if not os.path.exists(path):
        pytest.fail(f"{path} is missing; see tests/apt-packages.txt")


def wrap(program: str) -> tuple[Tree, RuntimeFiles]:
    needs(program)
    tree = Tree()
    add_skeleton(tree)
    add_own_files(tree)
    runtime = RuntimeFiles(tree, program, find_closure(program))
    runtime.collect()
    for path in runtime.closure.files:
        tree.add_host(path)
    return tree, runtime


def test_python_brings_its_library() -> None:
    tree, runtime = wrap("/usr/bin/python3.11")
    for path in (
        "/usr/lib/python3.11/json/decoder.py",
        "/usr/lib/python3.11/lib-dynload/_sqlite3.cpython-311-x86_64-linux-gnu.so",
        "/lib/x86_64-linux-gnu/libsqlite3.so.0",
        "/lib/x86_64-linux-gnu/libreadline.so.8",
        "/usr/share/zoneinfo/Europe/Zurich",
        "/usr/lib/locale/C.utf8/LC_CTYPE",
        "/lib/x86_64-linux-gnu/libgcc_s.so.1",
        "/lib/terminfo/x/xterm",
        "/etc/ld.so.cache",
    ):
        assert tree.lookup(path) is not None, path
    assert tree.lookup("/usr/lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a") is None
    assert any("Python 3.11's library" in added.reason for added in runtime.added)
    assert all(added.size > 0 and added.paths for added in runtime.added)


def test_perl_brings_its_modules() -> None:
    tree, _ = wrap("/usr/bin/perl")
    found = [path for path, _ in tree.walk()]
    assert any(path.endswith(b"/List/Util.pm") for path in found)
    assert any(path.endswith(b"/JSON/PP.pm") for path in found)


def test_file_brings_its_magic() -> None:
    tree, _ = wrap("/usr/bin/file")
    magic = tree.lookup("/usr/share/misc/magic.mgc")
    assert magic is not None
    assert magic.size > 1 << 20


def test_openssl_brings_its_providers() -> None:
    tree, _ = wrap("/usr/bin/openssl")
    assert tree.lookup("/usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so") is not None
    assert tree.lookup("/etc/ssl/openssl.cnf") is not None


def test_imagemagick_brings_its_coders_and_their_libraries() -> None:
    tree, _ = wrap("/usr/bin/convert")
    found = [path for path, _ in tree.walk()]
    assert any(path.endswith(b"/coders/png.so") for path in found)
    assert tree.lookup("/etc/ImageMagick-6/policy.xml") is not None


NETWORK_FILES = ("/etc/services", "/etc/protocols", "/etc/gai.conf", "/etc/nsswitch.conf")


def test_servers_bring_what_they_look_up() -> None:
    tree, runtime = wrap("/usr/sbin/nginx")
    for path in (*NETWORK_FILES, "/lib/x86_64-linux-gnu/libnss_dns.so.2", "/etc/ssl/certs/ca-certificates.crt"):
        assert tree.lookup(path) is not None, path
    # The kernel writes it, since it knows the name and the addresses.
    assert tree.lookup("/etc/hosts") is None
    # Where it writes unless its configuration says otherwise.
    for path in ("/var/lib/nginx", "/var/log/nginx"):
        node = tree.lookup(path)
        assert node is not None, path
        assert node.is_dir
    (added,) = [group for group in runtime.added if group.reason == "names of services and protocols"]
    assert added.size < 32 << 10


def test_go_brings_certificates_and_names() -> None:
    """It has its own resolver and its own TLS, and links with little but the C library."""
    for program in ("/usr/bin/etcd", "/usr/bin/caddy"):
        tree, _ = wrap(program)
        for path in (*NETWORK_FILES, "/etc/ssl/certs/ca-certificates.crt"):
            assert tree.lookup(path) is not None, f"{program}: {path}"
    for path in ("/etc/mime.types", "/usr/share/mime/globs2"):
        assert not os.path.exists(path) or tree.lookup(path) is not None, path


@pytest.mark.parametrize("flags", [[], ["-static"]])
def test_programs_that_look_up_names(compile_c: Callable[..., Path], flags: list[str]) -> None:
    text = '#include <netdb.h>\nint main(void) { return !getservbyname("http", "tcp"); }\n'
    program = compile_c(f"services{len(flags)}", text, *flags)
    tree, _ = wrap(str(program))
    assert all(tree.lookup(path) is not None for path in NETWORK_FILES)


def test_programs_without_a_network_have_no_names(hello: Path) -> None:
    tree, _ = wrap(str(hello))
    assert tree.lookup("/etc/services") is None


def test_a_static_program_gets_little(static_hello: Path) -> None:
    tree, runtime = wrap(str(static_hello))
    assert runtime.added == []
    assert tree.lookup("/etc/passwd") is not None
    assert tree.lookup("/usr/share/zoneinfo") is None


def test_a_virtual_environment_comes_whole(tmp_path: Path) -> None:
    needs("/usr/bin/python3.11")
    site = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    (site / "thing").mkdir(parents=True)
    (site / "thing" / "__init__.py").write_text("x = 1\n")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (tmp_path / "venv" / "bin").mkdir()
    (tmp_path / "venv" / "bin" / "python3.11").symlink_to("/usr/bin/python3.11")
    tree, _ = wrap(str(tmp_path / "venv" / "bin" / "python3.11"))
    assert tree.lookup(str(site / "thing" / "__init__.py")) is not None
    assert tree.lookup(str(tmp_path / "venv" / "pyvenv.cfg")) is not None
    assert tree.lookup("/usr/lib/python3.11/os.py") is not None


def test_too_much_is_named_and_left_out(tmp_path: Path, hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.runtime_files.MAX_GROUP", 10)
    tree = Tree()
    added = add_runtime_files(tree, str(hello), find_closure(str(hello)))
    assert added
    assert all(group.left_out for group in added)
    assert MAX_GROUP > 1 << 20
    assert tree.lookup("/etc/ld.so.cache") is None


def make_database(root: Path, packages: dict[str, tuple[str, list[str]]]) -> Dpkg:
    (root / "info").mkdir(parents=True)
    stanzas = []
    for name, (fields, files) in packages.items():
        stanzas.append(f"Package: {name}\nStatus: install ok installed\n{fields}")
        (root / "info" / f"{name}:amd64.list").write_text("".join(f"{file}\n" for file in files))
    (root / "status").write_text("\n\n".join(stanzas) + "\n")
    return Dpkg(str(root))


def test_packages_and_what_they_depend_on(tmp_path: Path, hello: Path) -> None:
    data = tmp_path / "usr"
    for name in ("mine", "data", "other"):
        (data / name).mkdir(parents=True)
        (data / name / "file").write_text(name)
    database = make_database(
        tmp_path / "dpkg",
        {
            "app": ("Depends: app-data (>= 1), tool | missing-one, libc6", [str(hello)]),
            "app-data": ("Source: app (1.0)\nDepends: app", ["/usr/share/nothing"]),
            "tool": ("Essential: yes", ["/usr/bin/tool"]),
            "gone": ("", []),
        },
    )
    (tmp_path / "dpkg" / "status").write_text(
        (tmp_path / "dpkg" / "status").read_text() + "\nPackage: removed\nStatus: deinstall ok config-files\n"
    )
    assert database.owners([str(hello)]) == {str(hello): "app"}
    assert database.packages["app"].depends == ("app-data", "tool", "missing-one", "libc6")
    assert database.packages["app-data"].source == "app"
    assert database.packages["tool"].essential
    assert database.has_programs("tool")
    assert not database.has_programs("app-data")
    assert database.files("no-such-package") == []


def test_without_dpkg_there_are_only_rules(tmp_path: Path, hello: Path) -> None:
    tree = Tree()
    runtime = RuntimeFiles(tree, str(hello), find_closure(str(hello)), Dpkg(str(tmp_path / "none")))
    runtime.collect()
    assert [added.reason for added in runtime.added] == ["C library's run-time parts"]


def test_merged_usr_spellings() -> None:
    needs("/bin/busybox")
    owners = Dpkg().owners(["/usr/bin/busybox", "/bin/ls"])
    assert owners["/bin/ls"] == "coreutils"
    assert owners["/usr/bin/busybox"].startswith("busybox")
