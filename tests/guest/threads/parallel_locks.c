// Threads that wait for each other across processors: futexes, conditions, barriers, reader-writer locks, semaphores.
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/syscall.h>

enum { THREADS = 4, ROUNDS = 1500 };

static atomic_uint turn;

static long futex(atomic_uint *word, int operation, unsigned value) {
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

// One of two that hand a word to each other: no wake-up may be lost.
static void *hand_over(void *number) {
    unsigned me = (unsigned)(intptr_t)number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        for (unsigned now; (now = atomic_load(&turn)) % 2 != me;) futex(&turn, FUTEX_WAIT, now);
        atomic_fetch_add(&turn, 1);
        futex(&turn, FUTEX_WAKE, 1);
    }
    return NULL;
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, emptied = PTHREAD_COND_INITIALIZER;
static int slots, produced, consumed;

static void *produce(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (slots == 3) pthread_cond_wait(&emptied, &mutex);
        slots++, produced++;
        pthread_mutex_unlock(&mutex);
        pthread_cond_signal(&filled);
    }
    return NULL;
}

static void *consume(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        while (slots == 0) pthread_cond_wait(&filled, &mutex);
        slots--, consumed++;
        pthread_mutex_unlock(&mutex);
        pthread_cond_signal(&emptied);
    }
    return NULL;
}

static pthread_barrier_t barrier;
static int steps[THREADS];

static void *in_step(void *number) {
    for (int i = 1; i <= 200; i++) {
        steps[(intptr_t)number] = i;
        pthread_barrier_wait(&barrier);
        for (int other = 0; other < THREADS; other++) EXPECT(steps[other] == i);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static volatile int left, right;

static void *read_and_write(void *number) {
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 8 == (intptr_t)number) {
            pthread_rwlock_wrlock(&rwlock);
            left++;
            right++;
        } else {
            pthread_rwlock_rdlock(&rwlock);
            EXPECT(left == right);
        }
        pthread_rwlock_unlock(&rwlock);
    }
    return NULL;
}

static sem_t semaphore;
static atomic_int inside;

static void *enter(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        while (sem_wait(&semaphore) != 0) EXPECT(errno == EINTR);
        EXPECT(atomic_fetch_add(&inside, 1) < 2);
        atomic_fetch_sub(&inside, 1);
        sem_post(&semaphore);
    }
    return NULL;
}

static void run(int count, void *(*first)(void *), void *(*second)(void *)) {
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < count; i++)
        NEED(pthread_create(&threads[i], NULL, i % 2 ? second : first, (void *)i) == 0);
    for (int i = 0; i < count; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
    run(2, hand_over, hand_over);
    EXPECT(turn == 2 * ROUNDS);
    part("futexes");
    run(THREADS, produce, consume);
    EXPECT(produced == THREADS / 2 * ROUNDS && consumed == produced && slots == 0);
    part("conditions");
    NEED(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    run(THREADS, in_step, in_step);
    part("barriers");
    run(THREADS, read_and_write, read_and_write);
    EXPECT(left == right && left > 0);
    part("reader-writer locks");
    NEED(sem_init(&semaphore, 0, 2) == 0);
    run(THREADS, enter, enter);
    part("semaphores");
    return done();
}
