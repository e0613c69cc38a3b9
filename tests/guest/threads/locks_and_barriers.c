// Read-write locks, barriers, spin locks, timed locks.
#include "check.h"

#include <pthread.h>

enum { COUNT = 6, ROUNDS = 200 };
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_spinlock_t spin;
static long pair[2];
static int arrived[ROUNDS], spun;
static atomic_int serial;

static void *read_pairs(void *unused) {
    for (int i = 0; i < 5000; i++) {
        pthread_rwlock_rdlock(&lock);
        EXPECT(pair[0] == -pair[1]);
        pthread_rwlock_unlock(&lock);
    }
    return unused;
}

static void *write_pairs(void *unused) {
    for (int i = 0; i < 2000; i++) {
        pthread_rwlock_wrlock(&lock);
        pair[0]++;
        if (i % 100 == 0) sched_yield();
        pair[1]--;
        pthread_rwlock_unlock(&lock);
    }
    return unused;
}

static void *meet(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        __atomic_fetch_add(&arrived[i], 1, __ATOMIC_RELAXED);
        int result = pthread_barrier_wait(&barrier);
        EXPECT(__atomic_load_n(&arrived[i], __ATOMIC_RELAXED) == COUNT);
        if (result == PTHREAD_BARRIER_SERIAL_THREAD) atomic_fetch_add(&serial, 1);
        pthread_spin_lock(&spin);
        spun++;
        pthread_spin_unlock(&spin);
    }
    return unused;
}

static void *try_it(void *unused) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += end.tv_nsec >= 980000000;
    end.tv_nsec = (end.tv_nsec + 20000000) % 1000000000;
    EXPECT(pthread_rwlock_tryrdlock(&lock) == EBUSY);
    EXPECT(pthread_rwlock_timedwrlock(&lock, &end) == ETIMEDOUT);
    return unused;
}

static void run(void *(*function)(void *), pthread_t *threads, int from, int to) {
    for (int i = from; i < to; i++) NEED(pthread_create(&threads[i], NULL, function, NULL) == 0);
}

static void join(pthread_t *threads, int count) {
    for (int i = 0; i < count; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
    pthread_t threads[COUNT];
    run(read_pairs, threads, 0, 4);
    run(write_pairs, threads, 4, COUNT);
    join(threads, COUNT);
    printf("%ld %ld\n", pair[0], pair[1]);
    part("read-write lock");

    NEED(pthread_barrier_init(&barrier, NULL, COUNT) == 0 && pthread_spin_init(&spin, 0) == 0);
    run(meet, threads, 0, COUNT);
    join(threads, COUNT);
    printf("%d serial, %d spun\n", atomic_load(&serial), spun);
    part("barrier");

    NEED(pthread_rwlock_wrlock(&lock) == 0);
    run(try_it, threads, 0, 1);
    join(threads, 1);
    EXPECT(pthread_rwlock_unlock(&lock) == 0 && pthread_rwlock_rdlock(&lock) == 0);
    EXPECT(pthread_rwlock_tryrdlock(&lock) == 0 && pthread_rwlock_trywrlock(&lock) == EBUSY);
    return done();
}
