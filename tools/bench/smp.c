// Threads: what they cost where there is one processor for them, and where there are two. Prints one line a row: NAME NANOSECONDS.
// The best of a few rounds counts: what disturbs a round only makes it longer.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, LOCKS = 200000, CONTENDED = 50000, CREATED = 300, PINGS = 2000, SIGNALS = 5000, CONTENDERS = 4 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile long counter;
static int there[2], back[2];

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

// On the first processor alone, or wherever the program may be.
static void pin(int first_only) {
    static cpu_set_t all;
    cpu_set_t one;
    if (CPU_COUNT(&all) == 0) require(sched_getaffinity(0, sizeof all, &all) == 0, "sched_getaffinity");
    int cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    require(sched_setaffinity(0, sizeof one, first_only ? &one : &all) == 0, "sched_setaffinity");
}

static void *nothing(void *unused) { return unused; }

static void start(pthread_t *thread, void *(*body)(void *)) {
    require(pthread_create(thread, NULL, body, NULL) == 0, "pthread_create");
}

static void *lock_often(void *unused) {
    for (int i = 0; i < CONTENDED; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}

static int do_uncontended(void) {
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return LOCKS;
}

static int do_contended(void) {
    pthread_t threads[CONTENDERS];
    for (int i = 0; i < CONTENDERS; i++) start(&threads[i], lock_often);
    for (int i = 0; i < CONTENDERS; i++) pthread_join(threads[i], NULL);
    return CONTENDED * CONTENDERS;
}

static int do_create(void) {
    for (int i = 0; i < CREATED; i++) {
        pthread_t thread;
        start(&thread, nothing);
        pthread_join(thread, NULL);
    }
    return CREATED;
}

static void *answer(void *unused) {
    char byte;
    for (int i = 0; i < PINGS; i++) {
        require(read(there[0], &byte, 1) == 1, "read");
        require(write(back[1], &byte, 1) == 1, "write");
    }
    return unused;
}

static int do_pings(void) {
    pthread_t thread;
    char byte = 0;
    start(&thread, answer);
    for (int i = 0; i < PINGS; i++) {
        require(write(there[1], &byte, 1) == 1, "write");
        require(read(back[0], &byte, 1) == 1, "read");
    }
    pthread_join(thread, NULL);
    return PINGS;
}

static void on_signal(int signal) { counter += signal; }

static int do_signals(void) {
    for (int i = 0; i < SIGNALS; i++) raise(SIGUSR1);
    return SIGNALS;
}

static void measure(const char *name, int first_only, int (*body)(void)) {
    int64_t best = INT64_MAX;
    int count = 1;
    pin(first_only);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t begin = now();
        count = body();
        int64_t took = now() - begin;
        if (took < best) best = took;
    }
    printf("%s %.1f\n", name, (double)best / count);
    fflush(stdout);
}

int main(void) {
    require(pipe(there) == 0 && pipe(back) == 0, "pipe");
    require(signal(SIGUSR1, on_signal) != SIG_ERR, "signal");
    // Before there is a second thread, the C library's mutexes take a short cut.
    pthread_t thread;
    start(&thread, nothing);
    pthread_join(thread, NULL);
    measure("mutex-uncontended", 1, do_uncontended);
    measure("thread-create-join", 1, do_create);
    measure("pipe-ping-pong-one-cpu", 1, do_pings);
    measure("signal-to-self", 1, do_signals);
    measure("mutex-contended-4-threads", 0, do_contended);
    measure("pipe-ping-pong", 0, do_pings);
    return 0;
}
