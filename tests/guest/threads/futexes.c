// futex(2) directly: wait, wake, time limits, bitsets, requeue, wake-op, errors.
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

static uint32_t word, second;
static atomic_int waiting;

static long futex(uint32_t *at, int op, uint32_t value, const void *timeout, uint32_t *other, uint32_t value3) {
    return syscall(SYS_futex, at, op, value, timeout, other, value3);
}

static void *wait_once(void *bits) {
    atomic_fetch_add(&waiting, 1);
    long r = futex(&word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, (uint32_t)(uintptr_t)bits);
    return (void *)r;
}

static void start(pthread_t *threads, int count, uint32_t bits) {
    atomic_store(&waiting, 0);
    for (int i = 0; i < count; i++) {
        NEED(pthread_create(&threads[i], NULL, wait_once, (void *)(uintptr_t)(bits ? bits : 1u << i)) == 0);
    }
    while (atomic_load(&waiting) < count) sleep_ms(1);
    sleep_ms(30);
}

static void join(pthread_t *threads, int count) {
    for (int i = 0; i < count; i++) {
        void *result;
        NEED(pthread_join(threads[i], &result) == 0);
        EXPECT(result == NULL);
    }
}

static void without_waiters(void) {
    EXPECT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0) == 0);
    FAILS(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0), EAGAIN);
    struct timespec t = {0, 20000000};
    int64_t begin = now_ns(CLOCK_MONOTONIC);
    FAILS(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0), ETIMEDOUT);
    EXPECT(now_ns(CLOCK_MONOTONIC) - begin >= 20000000);
    begin = now_ns(CLOCK_REALTIME) + 20000000;
    t = (struct timespec){begin / 1000000000, begin % 1000000000};
    FAILS(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, ~0u), ETIMEDOUT);
    t = (struct timespec){0, -1};
    FAILS(futex(&word, FUTEX_WAIT, 0, &t, NULL, 0), EINVAL);
    FAILS(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
    FAILS(futex((uint32_t *)8, FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    FAILS(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
    FAILS(futex(&word, 99, 0, NULL, NULL, 0), ENOSYS);
}

int main(void) {
    without_waiters();
    part("without waiters");
    pthread_t threads[4];
    start(threads, 4, ~0u);
    EXPECT(futex(&word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
    EXPECT(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 3);
    join(threads, 4);
    part("wake");

    start(threads, 4, 0);
    EXPECT(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 0x10) == 0);
    EXPECT(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 0x5) == 2);
    EXPECT(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, ~0u) == 2);
    join(threads, 4);
    part("bitset");

    start(threads, 4, ~0u);
    FAILS(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &second, 7), EAGAIN);
    EXPECT(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &second, 0) == 4);
    EXPECT(futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 0);
    EXPECT(futex(&second, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0) == 3);
    join(threads, 4);
    part("requeue");

    // Adds 5 to the second word, which was 0, and wakes its waiters only if so.
    start(threads, 2, ~0u);
    second = 0;
    EXPECT(futex(&word, FUTEX_WAKE_OP_PRIVATE, 10, (void *)10, &second,
                 FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)) == 2 && second == 5);
    join(threads, 2);
    return done();
}
