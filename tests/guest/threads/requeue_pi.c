// FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI: a condition variable whose mutex inherits priorities.
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

static uint32_t condition, mutex;
static atomic_int waiting, order;

static long futex(uint32_t *at, int op, uint32_t value, const void *timeout, uint32_t *other, uint32_t value3) {
    return syscall(SYS_futex, at, op | FUTEX_PRIVATE_FLAG, value, timeout, other, value3);
}

static void lock(void) {
    uint32_t none = 0;
    if (!__atomic_compare_exchange_n(&mutex, &none, (uint32_t)gettid(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        EXPECT(futex(&mutex, FUTEX_LOCK_PI, 0, NULL, NULL, 0) == 0);
}

static void unlock(void) {
    uint32_t mine = (uint32_t)gettid();
    if (!__atomic_compare_exchange_n(&mutex, &mine, 0, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        EXPECT(futex(&mutex, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0) == 0);
}

// Returns owning the mutex, as pthread_cond_wait does.
static void *wait_for_condition(void *unused) {
    atomic_fetch_add(&waiting, 1);
    EXPECT(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &mutex, 0) == 0);
    EXPECT((mutex & FUTEX_TID_MASK) == (uint32_t)gettid());
    atomic_fetch_add(&order, 1);
    unlock();
    return unused;
}

static void start(pthread_t *threads, int count) {
    atomic_store(&waiting, 0);
    atomic_store(&order, 0);
    for (int i = 0; i < count; i++) NEED(pthread_create(&threads[i], NULL, wait_for_condition, NULL) == 0);
    while (atomic_load(&waiting) < count) sleep_ms(1);
    sleep_ms(30);
}

static void join(pthread_t *threads, int count) {
    for (int i = 0; i < count; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

static void errors(void) {
    struct timespec past = {0, 0};
    FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &mutex, 0), EAGAIN);
    FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &condition, 0), EINVAL);
    FAILS(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 0, &past, &mutex, 0), ETIMEDOUT);
    FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, (void *)1, &mutex, 0), EINVAL);
    FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &condition, 0), EINVAL);
    FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &mutex, 1), EAGAIN);
    EXPECT(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)1, &mutex, 0) == 0);
}

int main(void) {
    pthread_t threads[4];
    errors();
    part("errors");

    // A free mutex: the first waiter gets it, the others queue for it.
    start(threads, 4);
    FAILS(futex(&condition, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    uint32_t other = 0;
    FAILS(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &other, 0), EINVAL);
    EXPECT(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &mutex, 0) == 4);
    join(threads, 4);
    EXPECT(order == 4 && mutex == 0);
    part("free mutex");

    // The caller has the mutex: all queue for it.
    start(threads, 3);
    lock();
    EXPECT(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)9, &mutex, 0) == 3);
    sleep_ms(30);
    EXPECT(order == 0 && mutex == ((uint32_t)gettid() | FUTEX_WAITERS));
    unlock();
    join(threads, 3);
    EXPECT(order == 3 && mutex == 0);
    part("owned mutex");

    // One at a time.
    start(threads, 2);
    lock();
    EXPECT(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &mutex, 0) == 1);
    EXPECT(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &mutex, 0) == 1);
    unlock();
    join(threads, 2);
    return done();
}
