"""What happens at the end of the guest's memory."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.integration.harness import Command, Guest

SOURCE = r"""
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char block[1 << 20];

int main(void) {
    memset(block, 1, sizeof block);
    int fd = open("/tmp/twenty", O_CREAT | O_RDWR, 0600);
    for (int i = 0; i < 20; i++)
        if (write(fd, block, sizeof block) != sizeof block) return 3;
    char *p = mmap(0, 1ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    memset(p, 1, 1ul << 30);
    return 0;
}
"""


def test_out_of_memory_says_who_holds_what(guest: Guest, tmp_path: Path) -> None:
    program = tmp_path / "greedy"
    subprocess.run(["gcc", "-x", "c", "-", "-o", program], input=SOURCE.encode(), check=True, timeout=60)
    outcome = guest.run(Command([str(program)], memory="64M"))
    text = outcome.stderr.decode()
    assert outcome.status == 137, text
    assert "out of memory: the program touched more than the" in text
    files = re.search(r"files in memory \(/tmp and others\) (\d+) MiB", text)
    assert files is not None and int(files[1]) in range(20, 23), text
    largest = re.search(r"(\d+) MiB in the mapping at 0x[0-9a-f]+: anonymous", text)
    assert largest is not None and int(largest[1]) > 25, text


CHILDREN = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 30 << 20 };

int main(void) {
    char *p = mmap(0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, SIZE);
    struct sysinfo before, after;
    for (int round = 0; round < 3; round++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            memset(p, 2, SIZE);
            _exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return 1;
        if (round == 0) sysinfo(&before);
    }
    // As many as there can be, all at once; the last one that fails says why.
    int made = 0;
    pid_t pid;
    while ((pid = fork()) > 0) made++;
    if (pid == 0) {
        for (;;) pause();
    }
    if (errno != ENOMEM && errno != EAGAIN) return 2;
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
    for (int i = 0; i < made; i++)
        if (wait(0) < 0) return 3;
    pid = fork();
    if (pid == 0) _exit(0);
    if (pid < 0 || wait(0) != pid) return 4;
    sysinfo(&after);
    // What the kernel keeps for the next processes is bounded by what there were at once.
    printf("%d %ld\n", made > 50, (long)(before.freeram - after.freeram) / (made + 1) / 1024 > 64);
    return p[0] != 1;
}
"""


def test_children_that_find_no_memory(guest: Guest, tmp_path: Path) -> None:
    """One that writes more than there is is killed; a fork that finds none fails; the parent goes on."""
    program = tmp_path / "parent"
    subprocess.run(["gcc", "-O1", "-x", "c", "-", "-o", program], input=CHILDREN.encode(), check=True, timeout=60)
    outcome = guest.run(Command([str(program)], memory="64M", timeout=120))
    assert (outcome.status, outcome.stdout) == (0, b"1 0\n"), outcome.stderr.decode()
    assert outcome.stderr.decode().count("out of memory: the program touched more than the") == 3


MANY_OBJECTS = r"""
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

int main(void) {
    struct rlimit all = {1 << 20, 1 << 20};
    if (setrlimit(RLIMIT_NOFILE, &all)) return 2;
    int epoll = epoll_create1(0);
    for (;;) {
        int fd = eventfd(0, 0);
        struct epoll_event event = {.events = EPOLLIN};
        if (fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) return 3;
    }
}
"""


def test_memory_that_the_kernel_needs_is_reported_as_well(guest: Guest, tmp_path: Path) -> None:
    """What a program has open takes memory of the kernel's: when none is left that is no failure of the kernel's."""
    program = tmp_path / "collector"
    subprocess.run(["gcc", "-x", "c", "-", "-o", program], input=MANY_OBJECTS.encode(), check=True, timeout=60)
    outcome = guest.run(Command([str(program)], memory="20M"))
    text = outcome.stderr.decode()
    assert outcome.status == 137, text
    assert text.startswith("compat: out of memory: the kernel needs more than is left of the "), text
