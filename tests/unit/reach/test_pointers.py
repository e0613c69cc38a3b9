"""Wrappers that are called through pointers in their own file's data, as libcap's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from compat.closure import find_closure
from compat.reach import Reach, find_reach

LIBRARY = """
#include <unistd.h>
struct calls { long (*three)(long, long, long, long); long (*six)(long, long, long, long, long, long, long); };
static long three(long n, long a, long b, long c) { return syscall(n, a, b, c); }
static long six(long n, long a, long b, long c, long d, long e, long f) { return syscall(n, a, b, c, d, e, f); }
static struct calls table = { three, six };
static int ready;
void set_calls(long (*new_three)(long, long, long, long)) { table.three = new_three; }
static __attribute__((noipa)) long umasks(struct calls *with, long mask) {
    int done = 0;
    while (!__sync_lock_test_and_set(&ready, 1)) { done = sched_yield(); }
    return with->three(95, mask, 0, 0) + with->six(110, done, 0, 0, 0, 0, 0);
}
"""
USE = "long use(long a) { return umasks(&table, a) + table.six(162, 0, 0, 0, 0, 0, 0); }"
SWITCH = """
static __attribute__((noipa)) long pick(struct calls *with, long a) {
    switch (sched_yield() + a) {
    case 1: return with->three(169, 1, 0, 0);
    case 2: return with->six(163, 0, 0, 0, 0, 0, 0);
    case 3: return 9;
    case 4: return with->three(105, 0, 0, 0);
    case 5: return sched_yield();
    case 6: return a * a;
    case 7: return getppid();
    }
    return 0;
}
long use(long a) { return pick(&table, a); }
"""
ACCT, SYNC, UMASK, GETPPID, REBOOT = 163, 162, 95, 110, 169


@pytest.fixture
def reach_of(compile_c: Callable[..., Path]) -> Callable[..., Reach]:
    def find(name: str, text: str, *flags: str) -> Reach:
        library = compile_c(
            f"lib{name}.so",
            "#define _GNU_SOURCE\n#include <sched.h>\n" + LIBRARY + text,
            *("-O2", "-shared", "-fPIC", f"-Wl,-soname,lib{name}.so", *flags),
        )
        main = "long use(long);\nint main(int count, char **words) { return use(count); }"
        program = compile_c(name, main, str(library), f"-Wl,-rpath,{library.parent}")
        return find_reach(find_closure(str(program)))

    return find


@pytest.mark.parametrize("flags", [(), ("-s",)], ids=["symbols", "stripped"])
def test_a_table_that_stays_in_its_file(reach_of, flags):
    reach = reach_of("kept" + "".join(flags), USE, *flags)
    assert {SYNC, UMASK, GETPPID} <= set(reach.calls)
    assert {ACCT, REBOOT}.isdisjoint(reach.calls)
    assert not reach.unresolved


@pytest.mark.parametrize(
    "text",
    [
        SWITCH,
        "long use(long a) { return umasks(&table, a) + table.six(a, 0, 0, 0, 0, 0, 0); }",
        "void *kept;\nlong use(long a) { kept = &table; return umasks(&table, a); }",
        "#include <stdlib.h>\nlong use(long a) { struct calls *new = malloc(sizeof table); *new = table;"
        " __asm__ volatile ('' : '+r'(new)); return umasks(new, a); }".replace("'", '"'),
        "#include <search.h>\nlong use(long a) { tsearch(&table, (void *)a, 0); return umasks(&table, a); }",
        "struct calls *other = &table;\nlong use(long a) { return umasks(other, a); }",
        "void *hand_over(void) { return &table; }\nlong use(long a) { return umasks(hand_over(), a); }",
        "void (*any)(void *);\nlong use(long a) { any(&table); return umasks(&table, a); }",
        "__attribute__((visibility('default'))) struct calls open = { three, six };"
        "\nlong use(long a) { return umasks(&open, a); }".replace("'", '"'),
    ],
    ids=["switch", "number", "stored", "copied", "other-file", "pointed-at", "returned", "unknown-callee", "exported"],
)
def test_a_table_that_others_may_have(reach_of, request, text):
    reach = reach_of(request.node.callspec.id, text)
    assert reach.unresolved
