// Starts a program and tells, in one line: nanoseconds to its first byte of output (0: there was none) and to its
// end, its peak resident memory in KiB, and its status. Small, because a child inherits its parent's peak.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv) {
    int pipes[2], status;
    if (argc < 2 || pipe(pipes) != 0) return 2;
    int64_t start = now(), first = 0;
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0), dup2(pipes[1], 1);
        close(null), close(pipes[0]), close(pipes[1]);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    close(pipes[1]);
    char buffer[4096];
    ssize_t length;
    while ((length = read(pipes[0], buffer, sizeof buffer)) > 0) {
        if (first == 0) first = now() - start;
    }
    struct rusage usage;
    if (child < 0 || wait4(child, &status, 0, &usage) != child) return 2;
    printf("%ld %ld %ld %d\n", (long)first, (long)(now() - start), usage.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
