// System-call micro-benchmarks on a FILE. Prints one line a row: NAME NANOSECONDS.
// Each row runs until it has taken long enough for the clock, and the best of a few such rounds counts:
// what disturbs a round only makes it longer. The driver runs the program several times and takes medians.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, ROUND_NS = 10000000 };

static int zero, null, file, pipes[2];
static const char *path;
static char block[4096];
static uint32_t word;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void require(int condition, const char *what) {
    if (condition) return;
    perror(what);
    exit(1);
}

static void do_getppid(void) { getppid(); }
static void do_read(void) { require(read(zero, block, 1) == 1, "read"); }
static void do_write(void) { require(write(null, block, 1) == 1, "write"); }
static void do_clock(void) { now(); }
static void do_open(void) {
    int fd = open(path, O_RDONLY);
    require(fd >= 0, "open");
    close(fd);
}
static void do_stat(void) {
    struct stat st;
    require(stat(path, &st) == 0, "stat");
}
static void do_pread(void) { require(pread(file, block, sizeof block, 0) == sizeof block, "pread"); }
static void do_pipe(void) {
    require(write(pipes[1], block, 1) == 1, "pipe write");
    require(read(pipes[0], block, 1) == 1, "pipe read");
}
static void do_map(void) {
    char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(p != MAP_FAILED, "mmap");
    *(volatile char *)p = 1;
    munmap(p, 65536);
}
static void end(pid_t pid) {
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
}
static void do_fork(void) { end(fork()); }
static void do_vfork(void) {
    pid_t pid = vfork();
    if (pid == 0) _exit(0);
    waitpid(pid, NULL, 0);
}
static void do_spawn(void) {
    char *argv[] = {(char *)"/proc/self/exe", (char *)"-", NULL}, *env[] = {NULL};
    pid_t pid = 0;
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, env) == 0) waitpid(pid, NULL, 0);
}
static void do_futex(void) { syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

static const struct {
    const char *name;
    void (*run)(void);
} rows[] = {
    {"getppid", do_getppid}, {"read-zero-1", do_read},  {"write-null-1", do_write}, {"clock_gettime", do_clock},
    {"open-close", do_open}, {"stat", do_stat},         {"pread-4k", do_pread},     {"pipe-write-read", do_pipe},
    {"map-touch-unmap", do_map}, {"futex-wake", do_futex},
    {"vfork-exit-wait", do_vfork}, {"fork-exit-wait", do_fork}, {"spawn-self-wait", do_spawn},
};

static double measure(void (*run)(void)) {
    int64_t count = 16, took;
    // Doubling also warms everything up.
    for (;; count *= 2) {
        int64_t start = now();
        for (int64_t i = 0; i < count; i++) run();
        took = now() - start;
        if (took >= ROUND_NS || count >= 1 << 26) break;
    }
    double best = (double)took / (double)count;
    for (int round = 1; round < ROUNDS; round++) {
        int64_t start = now();
        for (int64_t i = 0; i < count; i++) run();
        double each = (double)(now() - start) / (double)count;
        if (each < best) best = each;
    }
    return best;
}

int main(int argc, char **argv) {
    require(argc == 2, "usage: micro FILE");
    // Started by `do_spawn`.
    if (argv[1][0] == '-') return 0;
    path = argv[1];
    require((zero = open("/dev/zero", O_RDONLY)) >= 0, "/dev/zero");
    require((null = open("/dev/null", O_WRONLY)) >= 0, "/dev/null");
    require((file = open(path, O_RDONLY)) >= 0, path);
    require(pipe(pipes) == 0, "pipe");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) printf("%s %.3f\n", rows[i].name, measure(rows[i].run));
    return 0;
}
