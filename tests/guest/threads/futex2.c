// futex_waitv(2), futex_wait(2), futex_wake(2) and futex_requeue(2).
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

enum { WAITV = 449, WAKE = 454, WAIT = 455, REQUEUE = 456, U32 = 2, PRIVATE = 128 };

// Which arguments a kernel of today takes, whatever headers the machine has.
struct vector {
    uint64_t value, address;
    uint32_t flags, reserved;
};

static uint32_t words[128];
static atomic_int waiting;

static struct vector on(uint32_t *word, uint64_t value) { return (struct vector){value, (uintptr_t)word, U32 | PRIVATE, 0}; }

static long waitv(struct vector *v, unsigned count, unsigned flags, struct timespec *until, clockid_t clock) {
    return syscall(WAITV, v, count, flags, until, clock);
}

static long wake(uint32_t *word, uint64_t mask, int count, unsigned flags) {
    return syscall(WAKE, word, mask, count, flags);
}

static long wait_one(uint32_t *word, uint64_t value, uint64_t mask, unsigned flags, struct timespec *until, clockid_t clock) {
    return syscall(WAIT, word, value, mask, flags, until, clock);
}

static long requeue(struct vector *v, unsigned flags, int wakes, int moves) {
    return syscall(REQUEUE, v, flags, wakes, moves);
}

static struct timespec soon(clockid_t clock) {
    int64_t at = now_ns(clock) + 20000000;
    return (struct timespec){at / 1000000000, at % 1000000000};
}

static void *wait_for_any(void *unused) {
    (void)unused;
    struct vector v[3] = {on(&words[0], 0), on(&words[1], 0), on(&words[2], 0)};
    atomic_fetch_add(&waiting, 1);
    return (void *)waitv(v, 3, 0, NULL, 0);
}

static void *wait_masked(void *mask) {
    atomic_fetch_add(&waiting, 1);
    return (void *)wait_one(&words[0], 0, (uintptr_t)mask, U32 | PRIVATE, NULL, 0);
}

static pthread_t start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    atomic_store(&waiting, 0);
    NEED(pthread_create(&thread, NULL, run, argument) == 0);
    while (atomic_load(&waiting) == 0) sleep_ms(1);
    sleep_ms(30);
    return thread;
}

static long result_of(pthread_t thread) {
    void *result;
    NEED(pthread_join(thread, &result) == 0);
    return (long)result;
}

static void vector_errors(void) {
    struct vector v[129];
    for (int i = 0; i < 129; i++) v[i] = on(&words[i % 128], 0);
    struct timespec past = {0, 0}, bad = {0, 1000000000};
    FAILS(waitv(v, 128, 0, &past, CLOCK_MONOTONIC), ETIMEDOUT);
    FAILS(waitv(v, 129, 0, &past, CLOCK_MONOTONIC), EINVAL);
    FAILS(waitv(v, 0, 0, &past, CLOCK_MONOTONIC), EINVAL);
    FAILS(waitv(NULL, 1, 0, &past, CLOCK_MONOTONIC), EINVAL);
    FAILS(waitv((void *)8, 1, 0, &past, CLOCK_MONOTONIC), EFAULT);
    FAILS(waitv(v, 1, 1, &past, CLOCK_MONOTONIC), EINVAL);
    FAILS(waitv(v, 1, 0, &past, CLOCK_BOOTTIME), EINVAL);
    FAILS(waitv(v, 1, 0, &bad, CLOCK_MONOTONIC), EINVAL);
    FAILS(waitv(v, 1, 0, (void *)8, CLOCK_MONOTONIC), EFAULT);
    v[0].flags = 1;
    FAILS(waitv(v, 1, 0, &past, CLOCK_MONOTONIC), EINVAL);
    v[0].flags = U32 | 64;
    FAILS(waitv(v, 1, 0, &past, CLOCK_MONOTONIC), EINVAL);
    v[0] = on(&words[0], 1ull << 32);
    FAILS(waitv(v, 1, 0, &past, CLOCK_MONOTONIC), EINVAL);
    v[0] = on(&words[0], 0);
    v[0].reserved = 1;
    FAILS(waitv(v, 1, 0, &past, CLOCK_MONOTONIC), EINVAL);
    v[0] = on((uint32_t *)((char *)words + 1), 0);
    FAILS(waitv(v, 1, 0, &past, CLOCK_MONOTONIC), EINVAL);
    v[0] = on((uint32_t *)8, 0);
    FAILS(waitv(v, 1, 0, &past, CLOCK_MONOTONIC), EFAULT);
    v[0] = on(&words[0], 0), v[1] = on(&words[1], 7);
    FAILS(waitv(v, 2, 0, NULL, 0), EAGAIN);
    for (int i = 0; i < 2; i++) {
        clockid_t clock = i ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        struct timespec until = soon(clock);
        FAILS(waitv(v, 1, 0, &until, clock), ETIMEDOUT);
        EXPECT(now_ns(clock) >= (int64_t)until.tv_sec * 1000000000 + until.tv_nsec);
    }
}

static void single_errors(void) {
    struct timespec past = {0, 0};
    EXPECT(wake(&words[0], ~0u, 1, U32) == 0);
    FAILS(wake(&words[0], 0, 1, U32), EINVAL);
    FAILS(wake(&words[0], 1ull << 32, 1, U32), EINVAL);
    FAILS(wake(&words[0], ~0u, 1, 0), EINVAL);
    FAILS(wake(&words[0], ~0u, 1, U32 | 16), EINVAL);
    FAILS(wake((uint32_t *)((char *)words + 2), ~0u, 1, U32), EINVAL);
    FAILS(wait_one(&words[0], 1, ~0u, U32, NULL, 0), EAGAIN);
    FAILS(wait_one(&words[0], 0, 0, U32, NULL, 0), EINVAL);
    FAILS(wait_one(&words[0], 1ull << 32, ~0u, U32, NULL, 0), EINVAL);
    FAILS(wait_one(&words[0], 0, 1ull << 32, U32, NULL, 0), EINVAL);
    FAILS(wait_one(&words[0], 0, ~0u, 3, NULL, 0), EINVAL);
    FAILS(wait_one(&words[0], 0, ~0u, U32, &past, CLOCK_MONOTONIC), ETIMEDOUT);
    FAILS(wait_one(&words[0], 0, ~0u, U32, &past, CLOCK_TAI), EINVAL);
    struct vector v[2] = {on(&words[0], 0), on(&words[1], 0)};
    EXPECT(requeue(v, 0, 1, 1) == 0);
    FAILS(requeue(v, 1, 1, 1), EINVAL);
    FAILS(requeue(NULL, 0, 1, 1), EINVAL);
    FAILS(requeue(v, 0, -1, 1), EINVAL);
    FAILS(requeue(v, 0, 1, -1), EINVAL);
    v[0].value = 3;
    FAILS(requeue(v, 0, 1, 1), EAGAIN);
}

static void do_nothing(int signal) { (void)signal; }

static void *signalled(void *unused) {
    struct vector v = on(&words[0], 0);
    atomic_fetch_add(&waiting, 1);
    long result = waitv(&v, 1, 0, NULL, 0);
    return result == -1 && errno == EINTR ? unused : (void *)1;
}

int main(void) {
    vector_errors();
    part("vector errors");
    single_errors();
    part("single errors");

    pthread_t thread = start(wait_for_any, NULL);
    EXPECT(wake(&words[1], ~0u, 1, U32 | PRIVATE) == 1);
    EXPECT(result_of(thread) == 1);
    EXPECT(syscall(SYS_futex, &words[0], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 0);
    thread = start(wait_for_any, NULL);
    EXPECT(syscall(SYS_futex, &words[2], FUTEX_WAKE_PRIVATE, 9, NULL, NULL, 0) == 1);
    EXPECT(result_of(thread) == 2);
    part("any of several");

    thread = start(wait_masked, (void *)6);
    EXPECT(wake(&words[0], 9, 1, U32 | PRIVATE) == 0);
    EXPECT(wake(&words[0], 4, 0, U32 | PRIVATE) == 0);
    EXPECT(wake(&words[0], 4, 1, U32 | PRIVATE) == 1);
    EXPECT(result_of(thread) == 0);
    part("masks");

    thread = start(wait_masked, (void *)1);
    struct vector v[2] = {on(&words[0], 0), on(&words[5], 0)};
    EXPECT(requeue(v, 0, 0, 5) == 1);
    EXPECT(wake(&words[0], ~0u, 1, U32 | PRIVATE) == 0);
    EXPECT(wake(&words[5], ~0u, 1, U32 | PRIVATE) == 1);
    EXPECT(result_of(thread) == 0);
    part("requeue");

    struct sigaction action = {.sa_handler = do_nothing};
    sigaction(SIGUSR1, &action, NULL);
    thread = start(signalled, NULL);
    pthread_kill(thread, SIGUSR1);
    EXPECT(result_of(thread) == 0);
    return done();
}
