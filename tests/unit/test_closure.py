"""The library closure, against what the dynamic linker itself does."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.closure import find_closure
from compat.errors import MissingLibraryError
from compat.ldcache import MAGIC_NEW, parse_cache, read_cache

Compile = Callable[..., Path]


def ldd(path: str | Path) -> set[str]:
    output = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout
    return {os.path.realpath(match) for match in re.findall(r"(/\S+) \(0x", output)}


@pytest.mark.parametrize("program", ["/bin/ls", "/usr/bin/python3.11", "/usr/bin/openssl", "/usr/bin/gdb"])
def test_it_agrees_with_ldd(program: str) -> None:
    found = {os.path.realpath(path) for path in find_closure(program).files}
    assert found - {os.path.realpath(program)} == ldd(program)


def test_static_programs_need_nothing(static_hello: Path) -> None:
    assert list(find_closure(str(static_hello)).files) == [str(static_hello)]


@pytest.mark.parametrize("tags", ["--enable-new-dtags", "--disable-new-dtags"])
def test_origin(compile_c: Compile, tags: str) -> None:
    name = tags.strip("-")
    inner = compile_c(f"{name}/lib/libinner.so", "int inner(void) { return 1; }\n", "-shared", "-fPIC")
    outer = compile_c(
        f"{name}/lib/libouter.so",
        "int inner(void); int outer(void) { return inner(); }\n",
        "-shared", "-fPIC", f"-L{inner.parent}", "-linner", f"-Wl,{tags},-rpath,$ORIGIN",
    )  # fmt: skip
    program = compile_c(
        f"{name}/bin/main",
        "int outer(void); int main(void) { return outer() - 1; }\n",
        f"-L{outer.parent}", "-louter", f"-Wl,{tags},-rpath,${{ORIGIN}}/../lib", f"-Wl,-rpath-link,{outer.parent}",
    )  # fmt: skip
    subprocess.run([program], check=True)
    files = find_closure(str(program)).files
    assert {str(inner), str(outer)} <= files.keys()


def test_rpath_of_the_loader_serves_its_libraries(compile_c: Compile) -> None:
    inner = compile_c("inherit/deep/libdeep.so", "int deep(void) { return 1; }\n", "-shared", "-fPIC")
    outer = compile_c(
        "inherit/lib/libmid.so",
        "int deep(void); int mid(void) { return deep(); }\n",
        "-shared", "-fPIC", f"-L{inner.parent}", "-ldeep",
    )  # fmt: skip
    text = "int mid(void); int main(void) { return mid() - 1; }\n"
    paths = f"{outer.parent}:{inner.parent}"
    flags = (f"-L{outer.parent}", "-lmid", f"-Wl,-rpath-link,{inner.parent}")
    old = compile_c("inherit/old", text, *flags, f"-Wl,--disable-new-dtags,-rpath,{paths}")
    assert str(inner) in find_closure(str(old)).files
    new = compile_c("inherit/new", text, *flags, f"-Wl,--enable-new-dtags,-rpath,{paths}")
    assert subprocess.run([new], check=False, capture_output=True).returncode == 127
    with pytest.raises(MissingLibraryError, match=r"libmid\.so needs the library libdeep\.so"):
        find_closure(str(new))


def test_a_missing_library_is_named_with_who_needs_it(compile_c: Compile) -> None:
    library = compile_c("gone/libgone.so", "int gone(void) { return 1; }\n", "-shared", "-fPIC")
    program = compile_c(
        "gone/main", "int gone(void); int main(void) { return gone(); }\n", f"-L{library.parent}", "-lgone"
    )
    library.unlink()
    with pytest.raises(MissingLibraryError, match=rf"{program} needs the library libgone\.so") as caught:
        find_closure(str(program))
    assert caught.value.status == 127


def test_a_missing_interpreter_is_named(compile_c: Compile) -> None:
    program = compile_c("no-interp", "int main(void) { return 0; }\n", "-Wl,--dynamic-linker=/lib/ld-none.so.9")
    with pytest.raises(MissingLibraryError, match=r"needs the interpreter /lib/ld-none\.so\.9"):
        find_closure(str(program))


def test_missing_libraries_of_plugins_are_noted_only(compile_c: Compile, hello: Path) -> None:
    library = compile_c("plug/libneeded.so", "int needed(void) { return 1; }\n", "-shared", "-fPIC")
    plugin = compile_c(
        "plug/plugin.so", "int needed(void); int p(void) { return needed(); }\n",
        "-shared", "-fPIC", f"-L{library.parent}", "-lneeded",
    )  # fmt: skip
    library.unlink()
    closure = find_closure(str(hello))
    closure.extend([str(plugin)])
    assert str(plugin) in closure.files
    assert closure.missing == {"libneeded.so": str(plugin)}


def test_musl(compile_c: Compile) -> None:
    program = compile_c("musl-hello", "int main(void) { return 0; }\n", compiler="musl-gcc")
    files = list(find_closure(str(program)).files)
    assert files == [str(program), "/lib/ld-musl-x86_64.so.1"]


def test_the_cache_of_this_machine() -> None:
    cache = read_cache()
    listed = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    expected: dict[str, str] = {}
    for name, details, path in re.findall(r"^\t(\S+) \((.*)\) => (\S+)$", listed, re.MULTILINE):
        if details == "libc6,x86-64":
            expected.setdefault(name, path)
    assert cache == expected


@pytest.mark.parametrize(
    "data", [b"", MAGIC_NEW, MAGIC_NEW + b"\xff" * 28, MAGIC_NEW + struct.pack("<IIB3xI12x", 9, 9, 2, 0)]
)
def test_malformed_caches_are_harmless(data: bytes) -> None:
    assert parse_cache(data) == {}
    assert read_cache("/nonexistent") == {}
