"""Small programs of which it is plain what they reach."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compat.closure import find_closure
from compat.reach import Certainty, Reach, find_reach

START = """
static long call(long number, long first) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first) : "rcx", "r11", "memory");
    return result;
}
"""
BARE = ("-O1", "-nostdlib", "-static", "-fno-stack-protector", "-fno-inline")
MOUNT, SYNC, UMASK, GETPID, GETPPID, ACCT, REBOOT, EXIT = 165, 162, 95, 39, 110, 163, 169, 60
SETUID, EXIT_GROUP = 105, 231


@pytest.fixture
def reach_of(compile_c: Callable[..., Path]) -> Callable[..., Reach]:
    def find(name: str, text: str, *flags: str) -> Reach:
        return find_reach(find_closure(str(compile_c(name, text, *flags))))

    return find


def test_numbers_pass_through_wrappers(reach_of):
    body = """
    static long outer(long number) { return call(number, 0); }
    void unused(void) { outer(169); }
    void _start(void) { outer(39); outer(110); call(60, 0); }
    """
    reach = reach_of("wrappers", START + body, *BARE)
    assert set(reach.calls) == {GETPID, GETPPID, EXIT}
    assert not reach.unbounded
    assert reach.calls[GETPID].certainty is Certainty.CERTAIN
    assert reach.calls[GETPID].path[0].function == "_start"


def test_a_number_from_memory_is_unresolved(reach_of):
    body = """
    volatile long number = 39;
    void _start(void) { call(number, 0); call(60, 0); }
    """
    reach = reach_of("from-memory", START + body, *BARE)
    assert EXIT in reach.calls
    assert reach.unbounded
    assert reach.unresolved[0].function in {"call", "_start"}


@pytest.mark.parametrize("kind", ["-static", "-static-pie"])
def test_pointers_lead_on_only_where_code_mentions_them(reach_of, kind):
    body = """
    static void used(void) { call(39, 0); }
    static void also(void) { call(110, 0); }
    static void idle(void) { call(169, 0); }
    void (*const table[])(void) = { used, also };
    void (*const other[])(void) = { idle };
    void pick(int i) { table[i](); }
    void waste(int i) { other[i](); }
    void _start(void) { pick(call(102, 0) & 1); call(60, 0); }
    """
    flags = ("-O1", "-nostdlib", "-nostartfiles", kind, "-fno-inline", "-fno-stack-protector", "-fno-toplevel-reorder")
    reach = reach_of(f"tables{kind}", START + body, *flags)
    assert GETPID in reach.calls
    assert reach.calls[GETPID].certainty is Certainty.OVER_APPROXIMATE
    assert REBOOT not in reach.calls


def test_library_functions_by_import_and_by_name(reach_of):
    body = """
    #include <dlfcn.h>
    #include <unistd.h>
    int main(void) {
        int (*found)(const char *) = dlsym(RTLD_DEFAULT, "acct");
        sync();
        return found ? found("/nonexistent") : 1;
    }
    """
    reach = reach_of("imports", "#define _GNU_SOURCE\n" + body)
    assert {SYNC, ACCT} <= set(reach.calls)
    assert REBOOT not in reach.calls
    assert MOUNT not in reach.calls
    assert any(step.function == "main" for step in reach.calls[SYNC].path)


def test_numbers_given_to_the_c_librarys_syscall(reach_of):
    body = """
    #include <unistd.h>
    int main(void) { return syscall(162); }
    """
    reach = reach_of("libc-syscall", body)
    assert SYNC in reach.calls
    assert not [row for row in reach.unresolved if row.function == "syscall"]


def test_arguments_that_select(reach_of):
    body = """
    #include <sys/socket.h>
    #include <sys/prctl.h>
    int main(void) { prctl(15, "name"); return socket(AF_UNIX, SOCK_STREAM, 0); }
    """
    reach = reach_of("details", body)
    assert ("socket.domain", 1) in {(d.kind, d.value) for d in reach.calls[41].details}
    assert ("prctl.option", 15) in {(d.kind, d.value) for d in reach.calls[157].details}


def test_paths_in_data(reach_of):
    reach = reach_of("paths", '#include <stdio.h>\nint main(void) { return fopen("/proc/self/maps", "r") == 0; }')
    assert any("/proc/self/maps" in paths for paths in reach.paths.values())


def test_stripped_programs_say_the_same(reach_of):
    text = START + "void _start(void) { call(39, 0); call(60, 0); }"
    reach = reach_of("stripped", text, *BARE, "-s")
    assert set(reach.calls) == {GETPID, EXIT}


def test_results_are_kept(compile_c, tmp_path, monkeypatch):
    program = compile_c("kept", START + "void _start(void) { call(39, 0); call(60, 0); }", *BARE)
    closure = find_closure(str(program))
    told = []
    first = find_reach(closure, cache_dir=tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]
    monkeypatch.setattr("compat.reach.runner.analyse", lambda *_: pytest.fail("analysed again"))
    again = find_reach(closure, cache_dir=tmp_path)
    assert again.calls == first.calls
    assert again.unresolved == first.unresolved


def test_a_file_that_is_refused_makes_the_result_unbounded(compile_c, tmp_path):
    program = compile_c("refused", START + "void _start(void) { call(60, 0); }", *BARE)
    closure = find_closure(str(program))
    damaged = tmp_path / "program"
    shutil.copy(program, damaged)
    damaged.write_bytes(damaged.read_bytes()[:4200])
    closure.files = {str(damaged): closure.program}
    reach = find_reach(closure)
    assert reach.unbounded
    assert "truncated" in reach.unknown_files[str(damaged)]


def test_a_function_whose_unwind_record_ends_before_the_site(reach_of):
    """As the C library's clone3: the record ends so that unwinding stops in the new thread."""
    body = """
    __asm__(".globl split\\nsplit:\\n.cfi_startproc\\n  mov $39, %eax\\n.cfi_endproc\\n  syscall\\n  ret\\n");
    void split(void);
    void _start(void) { split(); call(60, 0); }
    """
    reach = reach_of("split", START + body, *BARE, "-s")
    assert set(reach.calls) == {GETPID, EXIT}
    assert not reach.unbounded


def test_what_follows_a_call_that_does_not_return_is_not_reached_from_it(reach_of):
    body = """
    __attribute__((noreturn)) void die(void) { for (;;) call(60, 0); }
    __asm__(".globl pick\\npick:\\n.cfi_startproc\\n  mov $39, %eax\\n  test %edi, %edi\\n  jne 1f\\n  push %rax\\n"
            "  call die\\n1:  syscall\\n  ret\\n.cfi_endproc\\n");
    void pick(int);
    void _start(void) { pick(call(39, 0) & 1); call(60, 0); }
    """
    reach = reach_of("no-return", START + body, *BARE)
    assert set(reach.calls) == {GETPID, EXIT}
    assert not reach.unbounded


def test_what_a_jump_table_leads_to_is_not_what_lies_before_it(reach_of):
    """The target follows padding, and its number comes from before the jump."""
    body = """
    __asm__(".globl pick\\n.type pick,@function\\npick:\\n.cfi_startproc\\n"
            "  mov (%rsi), %rax\\n  lea table(%rip), %rdx\\n"
            "  movslq (%rdx,%rdi,4), %rcx\\n  add %rdx, %rcx\\n  jmp *%rcx\\n  nopl (%rax)\\n"
            "1:  syscall\\n  ret\\n.cfi_endproc\\n.section .rodata\\ntable: .long 1b - table\\n.text\\n");
    long pick(long, long *);
    volatile long number = 39;
    void _start(void) { long n = number; pick(0, &n); call(60, 0); }
    """
    reach = reach_of("jump-table", START + body, *BARE)
    assert [row.function for row in reach.unresolved] == ["pick"]


def test_a_function_loaded_to_be_called_keeps_its_callers(reach_of):
    body = """
    #include <stddef.h>
    long syscall(long, ...) __attribute__((weak, noplt));
    int main(int count, char **words) {
        long (*function)(long, ...) = syscall;
        __asm__("" : "+r"(function));
        return function != NULL ? function(162) : 1;
    }
    """
    reach = reach_of("loaded", body, "-O2")
    assert SYNC in reach.calls
    assert not reach.unbounded


@pytest.mark.parametrize(
    ("number", "without", "with_it"),
    [
        (
            307,
            '#include <pwd.h>\nint main(void) { return getpwnam("a") == 0; }',
            '#include <netdb.h>\nint main(void) { return gethostbyname("a") == 0; }',
        ),
        (
            142,
            '#include <stdio.h>\nint main(void) { return puts("a"); }',
            "#include <pthread.h>\nint main(void) { return pthread_setschedprio(pthread_self(), 0); }",
        ),
        (
            112,
            '#include <stdlib.h>\nint main(void) { return system("a"); }',
            "#include <spawn.h>\nint main(void) { posix_spawnattr_setflags(0, 128); posix_spawn(0, 0, 0, 0, 0, 0); }",
        ),
    ],
    ids=["dns", "priorities", "sessions"],
)
def test_parts_of_the_c_library_that_another_call_brings_to_life(reach_of, number, without, with_it):
    assert number not in reach_of(f"without-{number}", without).calls
    assert number in reach_of(f"with-{number}", with_it).calls


def test_a_plug_in_that_others_need_has_entries_too(compile_c, tmp_path):
    """As Java's libraries: their functions are looked up by names that are made up."""
    inner = compile_c(
        "libinner.so",
        "#include <unistd.h>\nvoid Java_A_b(void) { sync(); }\nint inner(void) { return 1; }"
        "\nvoid other(void) { acct(0); }",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libinner.so",
    )
    outer = compile_c(
        "libouter.so",
        "int inner(void);\nint outer(void) { return inner(); }",
        "-shared",
        "-fPIC",
        str(inner),
        f"-Wl,-rpath,{inner.parent}",
    )
    program = compile_c("opens", "int main(void) { return 0; }")
    closure = find_closure(str(program))
    closure.extend([str(outer)])
    reach = find_reach(closure)
    assert SYNC in reach.calls
    assert reach.calls[SYNC].certainty is Certainty.OVER_APPROXIMATE
    assert ACCT not in reach.calls


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")
def test_go_programs_by_their_own_table(tmp_path):
    (tmp_path / "main.go").write_text(
        'package main\nimport "syscall"\nfunc main() { println(syscall.Setuid(0) == nil) }'
    )
    environment = os.environ | {"HOME": str(tmp_path), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}
    build = ["go", "build", "-ldflags=-s -w", "-o", "main", "main.go"]
    subprocess.run(build, cwd=tmp_path, env=environment, check=True)
    reach = find_reach(find_closure(str(tmp_path / "main")))
    assert {SETUID, 202, EXIT_GROUP} <= set(reach.calls)
    assert REBOOT not in reach.calls
    assert not reach.unbounded
    assert any(step.function == "syscall.Setuid" for step in reach.calls[SETUID].path)
