// Signals to threads that compute on other processors, sleep, or are about to do either.
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>

enum { THREADS = 3, ROUNDS = 30 };

static atomic_int stop, ready, handled[THREADS];
static __thread int me;

static void on_signal(int signal) {
    (void)signal;
    atomic_fetch_add(&handled[me], 1);
}

static void begin(void *number) {
    me = (int)(intptr_t)number;
    atomic_fetch_add(&ready, 1);
}

static void *compute(void *number) {
    begin(number);
    volatile double x = 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) x = x * 0.5 + 1;
    return NULL;
}

static void *sleep_all_the_time(void *number) {
    begin(number);
    while (!atomic_load(&stop)) usleep(50);
    return NULL;
}

static void *call_all_the_time(void *number) {
    begin(number);
    while (!atomic_load(&stop)) getppid();
    return NULL;
}

// Every signal is handled before the next is sent, however long that takes.
static void one_by_one(void *(*body)(void *)) {
    pthread_t threads[THREADS];
    atomic_store(&stop, 0);
    atomic_store(&ready, 0);
    for (intptr_t i = 0; i < THREADS; i++) {
        atomic_store(&handled[i], 0);
        NEED(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    }
    while (atomic_load(&ready) < THREADS) sched_yield();
    for (int round = 1; round <= ROUNDS; round++) {
        int whom = round % THREADS, before = atomic_load(&handled[whom]);
        NEED(pthread_kill(threads[whom], SIGUSR1) == 0);
        while (atomic_load(&handled[whom]) == before) sched_yield();
        EXPECT(atomic_load(&handled[whom]) == before + 1);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

static atomic_int pings[2];
static pthread_t players[2];
static pthread_mutex_t created = PTHREAD_MUTEX_INITIALIZER;

static void on_ping(int signal) {
    (void)signal;
    atomic_fetch_add(&pings[me], 1);
}

// Both send to each other at the same time; real-time signals, so that two that are pending at once count as two.
static void *play(void *number) {
    // pthread_create(3) may return after the thread has begun.
    pthread_mutex_lock(&created);
    pthread_mutex_unlock(&created);
    begin(number);
    while (atomic_load(&ready) < 2) sched_yield();
    for (int i = 1; i <= ROUNDS; i++) {
        NEED(pthread_kill(players[1 - me], SIGRTMIN) == 0);
        while (atomic_load(&pings[me]) < i) sched_yield();
    }
    return NULL;
}

static void crossfire(void) {
    atomic_store(&ready, 0);
    pthread_mutex_lock(&created);
    for (intptr_t i = 0; i < 2; i++) NEED(pthread_create(&players[i], NULL, play, (void *)i) == 0);
    pthread_mutex_unlock(&created);
    for (int i = 0; i < 2; i++) NEED(pthread_join(players[i], NULL) == 0);
    EXPECT(pings[0] == ROUNDS && pings[1] == ROUNDS);
}

static atomic_int alarms;

static void on_alarm(int signal) {
    (void)signal;
    atomic_fetch_add(&alarms, 1);
}

// A timer's signal goes to whichever thread takes it while all compute.
static void timer(void) {
    pthread_t threads[THREADS];
    atomic_store(&stop, 0);
    for (intptr_t i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, compute, (void *)i) == 0);
    struct itimerval every = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    NEED(setitimer(ITIMER_REAL, &every, NULL) == 0);
    while (atomic_load(&alarms) < 20) sched_yield();
    NEED(setitimer(ITIMER_REAL, &never, NULL) == 0);
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
    struct sigaction action = {.sa_handler = on_signal};
    NEED(sigaction(SIGUSR1, &action, NULL) == 0);
    action.sa_handler = on_ping;
    NEED(sigaction(SIGRTMIN, &action, NULL) == 0);
    action.sa_handler = on_alarm;
    NEED(sigaction(SIGALRM, &action, NULL) == 0);
    one_by_one(compute);
    part("computing");
    one_by_one(sleep_all_the_time);
    part("sleeping");
    one_by_one(call_all_the_time);
    part("calling");
    crossfire();
    part("crossfire");
    timer();
    part("timer");
    return done();
}
