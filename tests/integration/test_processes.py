"""Programs that start others: shells, interpreters, make, a compiler, Erlang."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.harness import Command, require

Same = Callable[..., object]
TOOLS = ("/bin/sh", "/bin/cat", "/bin/echo", "/bin/ls", "/bin/sleep", "/usr/bin/env", "/usr/bin/sort", "/usr/bin/wc")


@pytest.mark.parametrize("cpus", [1, 2])
def test_sh(same: Same, cpus: int) -> None:
    # Whether dash says "Terminated" depends on which comes first, the child's end or the wait for it.
    script = """
        echo a | cat; printf 'c\\nb\\na\\n' | sort | wc -l; (exit 4); echo $?
        x=$(echo nested $(echo deeper)); echo "$x"; sleep 0.01 & wait $!; echo $?
        for i in 1 2 3; do env echo $i; done | sort -r
        (sleep 10 & kill $!; wait $!; echo $?) 2>/dev/null
        trap 'echo trapped' TERM; kill -TERM $$; /nowhere 2>/dev/null; echo $?
        exec ls -d /tmp /proc
    """
    same(Command(["/bin/sh", "-c", script], add=TOOLS, cpus=cpus))


def test_bash(same: Same) -> None:
    bash = require("/bin/bash", "bash")
    script = """
        cat <(echo one) <(echo two); mapfile -t lines < <(printf 'a\\nb\\n'); echo ${#lines[@]}
        coproc cat; echo through >&${COPROC[1]}; read -r line <&${COPROC[0]}; echo $line; kill $COPROC_PID
        for i in {1..20}; do (exit $i) & done; wait; echo $(jobs | wc -l)
        set -o pipefail; false | true; echo $?; echo ${PIPESTATUS[*]}
    """
    same(Command([bash, "-c", script], add=TOOLS))


def test_perl(same: Same) -> None:
    script = """
        print `echo hi`; print system("exit 3") >> 8, "\\n"; open(my $f, "-|", "ls -d /tmp"); print <$f>; close $f;
        my $p = fork; exit 7 if !$p; waitpid $p, 0; print $? >> 8, "\\n";
        $SIG{CHLD} = sub { print "child\\n" }; if (!fork) { exit } sleep 1; exec "echo", "end";
    """
    same(Command([require("/usr/bin/perl", "perl-base"), "-e", script], add=TOOLS))


def test_python(same: Same, tmp_path: Path) -> None:
    python = require("/usr/bin/python3.11", "python3.11")
    script = tmp_path / "several.py"
    script.write_text("""
import multiprocessing, os, signal, subprocess, sys

def square(x):
    return x * x

if __name__ == "__main__":
    print(subprocess.run(["/bin/echo", "hi"], capture_output=True))
    print(subprocess.check_output("echo a | cat; exit 0", shell=True))
    child = os.fork()
    if child == 0:
        os._exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    try:
        subprocess.run(["/nonexistent"])
    except FileNotFoundError as error:
        print(error)
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, pool.map(square, range(10)))
    one = subprocess.Popen(["/bin/sleep", "10"])
    one.terminate()
    print(one.wait())
    try:
        subprocess.run(["/bin/sleep", "10"], timeout=0.05)
    except subprocess.TimeoutExpired:
        print("in time")
    lock, value = multiprocessing.Lock(), multiprocessing.Value("i", 0)
    def add():
        for _ in range(100):
            with lock:
                value.value += 1
    all_ = [multiprocessing.get_context("fork").Process(target=add) for _ in range(4)]
    [p.start() for p in all_], [p.join() for p in all_]
    print(value.value, os.posix_spawn("/bin/echo", ["echo"], {}) > 0, os.wait()[1])
""")
    same(Command([python, str(script)], add=[str(script), python, *TOOLS], memory="1G", timeout=120))


def test_make(same: Same, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "all: b c\n\t@echo all $(shell echo $(words $^))\n%:\n\t@echo $@ | cat\nfail:\n\t@exit 3\n"
    )
    make = [require("/usr/bin/make", "make"), "-C", str(tmp_path), "--no-print-directory"]
    add = [str(tmp_path), *TOOLS]
    same(Command(make, add=add))
    same(Command([*make, "fail"], add=add), status=2)


def test_gcc(same: Same, tmp_path: Path) -> None:
    """The driver starts the compiler, the assembler and the linker; and then what they made runs."""
    gcc = require("/usr/bin/gcc", "gcc")
    told = subprocess.run([gcc, "-print-prog-name=cc1"], capture_output=True, text=True, check=True).stdout.strip()
    inside = str(Path(told).parent)
    source = 'int puts(const char *);\nint main(void) { return puts("hello") < 0; }\n'
    (tmp_path / "hello.c").write_text(source)
    script = f"gcc -o /tmp/compat-hello {tmp_path}/hello.c && /tmp/compat-hello; echo $?"
    tools = ["/usr/bin/as", "/usr/bin/ld", gcc]
    own = [str(Path(tool).resolve()) for tool in tools]
    names = ("Scrt1.o", "crti.o", "crtn.o", "libc.so", "libc_nonshared.a")
    linked = [f"/usr/lib/x86_64-linux-gnu/{name}" for name in names]
    add = [*own, told, f"{inside}/collect2", "/bin/sh", *tools, inside, *linked, str(tmp_path)]
    same(Command(["/bin/sh", "-c", script], add=add, memory="1G", timeout=120))


def test_erlang(same: Same) -> None:
    """A shell script that runs others, a program for its ports, and `os:cmd`."""
    erl = require("/usr/bin/erl", "erlang-base")
    tools = [*TOOLS, "/bin/sed", "/usr/bin/dirname", "/usr/bin/basename"]
    told = 'io:format("~p ~p~n", [os:cmd("echo from a shell"), lists:sum(lists:seq(1, 100))]), halt(3).'
    same(Command([erl, "-noshell", "-eval", told], add=["/usr/lib/erlang", *tools], memory="1G", timeout=120), status=3)


ERLANG_MANY = """
Self = self(),
[spawn(fun() -> Self ! {N, lists:foldl(fun(X, Sum) -> (Sum * 31 + X * N) rem 1000003 end, 1, lists:seq(1, 200))} end)
 || N <- lists:seq(1, 10000)],
Sums = [receive {N, Sum} -> Sum end || N <- lists:seq(1, 10000)],
io:format("~p ~p~n", [lists:sum(Sums), erlang:phash2(Sums)]), halt(0).
"""


def test_ten_thousand_erlang_processes(same_on_cpus: Same) -> None:
    erl = require("/usr/bin/erl", "erlang-base")
    tools = [*TOOLS, "/bin/sed", "/usr/bin/dirname", "/usr/bin/basename"]
    command = [erl, "-noshell", "-eval", ERLANG_MANY.replace("\n", " ")]
    same_on_cpus(Command(command, add=["/usr/lib/erlang", *tools], memory="1G", timeout=120))
