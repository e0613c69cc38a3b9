// Checks for the guest programs: every failed expectation is printed and the program ends with status 1.
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int check_failures;

#define CHECK_REPORT(text, error)                                                                       \
    (atomic_fetch_add(&check_failures, 1),                                                              \
     fprintf(stderr, "%s:%d: %s (errno %d: %s)\n", __FILE__, __LINE__, text, error, strerror(error)))

// Goes on after a failure, so that one run shows all of them.
#define EXPECT(condition)                                    \
    do {                                                     \
        errno = 0;                                           \
        if (!(condition)) CHECK_REPORT(#condition, errno);   \
    } while (0)

// For what the rest of the program cannot do without.
#define NEED(condition)                        \
    do {                                       \
        errno = 0;                             \
        if (!(condition)) {                    \
            CHECK_REPORT(#condition, errno);   \
            exit(1);                           \
        }                                      \
    } while (0)

// The call fails with this errno.
#define FAILS(call, error)                                                                             \
    do {                                                                                               \
        errno = 0;                                                                                     \
        long check_result = (long)(call);                                                              \
        if (check_result != -1 || errno != (error)) {                                                  \
            int check_errno = errno;                                                                   \
            CHECK_REPORT(#call " did not fail with " #error, check_errno);                             \
            fprintf(stderr, "    it returned %ld\n", check_result);                                    \
        }                                                                                              \
    } while (0)

// A line of output per finished part shows how far a program came that died half-way.
static inline void part(const char *name) {
    printf("%s\n", name);
    fflush(stdout);
}

static inline int done(void) {
    int failures = atomic_load(&check_failures);
    if (failures == 0) printf("ok\n");
    fflush(stdout);
    return failures == 0 ? 0 : 1;
}

static char check_scratch[64];

static int check_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void check_leave_scratch(void) {
    if (chdir("/") == 0) nftw(check_scratch, check_remove, 16, FTW_DEPTH | FTW_PHYS);
}

// An empty directory of its own becomes the working directory; it is removed at exit.
static inline void enter_scratch(void) {
    strcpy(check_scratch, "/tmp/compat-guest-XXXXXX");
    NEED(mkdtemp(check_scratch) != NULL);
    NEED(chdir(check_scratch) == 0);
    atexit(check_leave_scratch);
}

static inline int64_t now_ns(clockid_t clock) {
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) == -1 && errno == EINTR) {}
}

#endif
