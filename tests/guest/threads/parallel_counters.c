// Threads on all processors at once: atomic operations, locks, and what each is told about the processor that it is on.
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/rseq.h>

enum { THREADS = 4, ROUNDS = 20000 };

static atomic_long by_atomic;
static long by_mutex, by_spinlock;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_spinlock_t spinlock;

static void *count(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&by_atomic, 1);
        pthread_mutex_lock(&mutex);
        by_mutex++;
        pthread_mutex_unlock(&mutex);
        if (i % 16 == 0) {
            pthread_spin_lock(&spinlock);
            by_spinlock++;
            pthread_spin_unlock(&spinlock);
        }
    }
    return NULL;
}

static void counters(void) {
    pthread_t threads[THREADS];
    NEED(pthread_spin_init(&spinlock, PTHREAD_PROCESS_PRIVATE) == 0);
    for (int i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, count, NULL) == 0);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
    EXPECT(by_atomic == THREADS * ROUNDS);
    EXPECT(by_mutex == THREADS * ROUNDS);
    EXPECT(by_spinlock == THREADS * ROUNDS / 16);
}

static unsigned rseq_cpu(void) {
    struct rseq *area = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    return __rseq_size ? __atomic_load_n(&area->cpu_id, __ATOMIC_RELAXED) : ~0u;
}

// Moves from processor to processor and asks where it is in every way.
static void *wander(void *allowed) {
    cpu_set_t *all = allowed;
    double x = 1.0;
    for (int round = 0; round < 40; round++) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, all)) continue;
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            NEED(sched_setaffinity(0, sizeof one, &one) == 0);
            unsigned told = 0, node = 1;
            EXPECT(getcpu(&told, &node) == 0 && told == (unsigned)cpu && node == 0);
            EXPECT(sched_getcpu() == cpu);
            EXPECT(rseq_cpu() == (unsigned)cpu || rseq_cpu() == ~0u);
            x = x * 1.5 + cpu - cpu;
            if (x > 1e6) x = 1.0;
            if (round % 8 == 0) sched_yield();
            if (round % 16 == 0) usleep(1);
            EXPECT(sched_getcpu() == cpu);
        }
    }
    EXPECT(sched_setaffinity(0, sizeof *all, all) == 0);
    return NULL;
}

static void wandering(void) {
    pthread_t threads[THREADS];
    cpu_set_t all;
    NEED(sched_getaffinity(0, sizeof all, &all) == 0);
    EXPECT(sysconf(_SC_NPROCESSORS_ONLN) >= CPU_COUNT(&all));
    for (int i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, wander, &all) == 0);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

// Somebody else decides where a thread runs: one that computes, and one that sleeps.
static atomic_int stop, at_cpu;

static void *compute(void *unused) {
    (void)unused;
    while (!atomic_load(&stop)) atomic_store(&at_cpu, sched_getcpu());
    return NULL;
}

static void pushed_about(void) {
    pthread_t thread;
    cpu_set_t all;
    NEED(sched_getaffinity(0, sizeof all, &all) == 0);
    NEED(pthread_create(&thread, NULL, compute, NULL) == 0);
    for (int round = 0; round < 10; round++) {
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (!CPU_ISSET(cpu, &all)) continue;
            cpu_set_t one, got;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            NEED(pthread_setaffinity_np(thread, sizeof one, &one) == 0);
            EXPECT(pthread_getaffinity_np(thread, sizeof got, &got) == 0 && CPU_EQUAL(&got, &one));
            while (atomic_load(&at_cpu) != cpu) sched_yield();
        }
    }
    atomic_store(&stop, 1);
    NEED(pthread_join(thread, NULL) == 0);
}

int main(void) {
    counters();
    part("counters");
    wandering();
    part("wandering");
    pushed_about();
    part("pushed about");
    return done();
}
