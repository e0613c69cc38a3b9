// Real-time signals to threads with values, timers that signal one thread, and the limit of what may be pending.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { THREADS = 4, EACH = 50 };
static pthread_barrier_t barrier;

static void *collect(void *number) {
    // Blocked by the creator. What is for this thread comes in the order in which it was sent.
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN + 1);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < EACH; i++) {
        siginfo_t info;
        struct timespec limit = {30, 0};
        NEED(sigtimedwait(&set, &info, &limit) == SIGRTMIN + 1);
        EXPECT(info.si_code == SI_QUEUE && info.si_value.sival_int == (int)(intptr_t)number * 1000 + i);
    }
    return NULL;
}

static void to_threads(void) {
    pthread_t threads[THREADS];
    NEED(pthread_barrier_init(&barrier, NULL, THREADS + 1) == 0);
    for (intptr_t i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, collect, (void *)i) == 0);
    for (int i = 0; i < EACH; i++)
        for (int t = 0; t < THREADS; t++)
            EXPECT(pthread_sigqueue(threads[t], SIGRTMIN + 1, (union sigval){.sival_int = t * 1000 + i}) == 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

static void *own_timer(void *number) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN + 2);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 2};
    event.sigev_value.sival_ptr = number;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    timer_t timer;
    NEED(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec times = {.it_value = {0, 1000000}, .it_interval = {0, 2000000}};
    NEED(timer_settime(timer, 0, &times, NULL) == 0);
    for (int i = 0; i < 5; i++) {
        siginfo_t info;
        NEED(sigwaitinfo(&set, &info) == SIGRTMIN + 2);
        EXPECT(info.si_code == SI_TIMER && info.si_value.sival_ptr == number && info.si_overrun >= 0);
    }
    EXPECT(timer_delete(timer) == 0);
    return NULL;
}

static void timers(void) {
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, own_timer, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    event.sigev_notify_thread_id = 0x7ffffff;
    timer_t timer;
    FAILS(timer_create(CLOCK_MONOTONIC, &event, &timer), EINVAL);
}

// Ordinary signals never need the queue; real-time ones do, and say so when it is full.
static void limit(void) {
    struct rlimit old, few = {0};
    NEED(getrlimit(RLIMIT_SIGPENDING, &old) == 0);
    few = (struct rlimit){10, old.rlim_max};
    NEED(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
    int queued = 0;
    while (queued < 100 && sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = queued}) == 0) queued++;
    EXPECT(queued <= 10);
    FAILS(sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = queued}), EAGAIN);
    EXPECT(kill(getpid(), SIGUSR1) == 0);
    sigset_t set, pending;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN + 3), sigaddset(&set, SIGUSR1);
    EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGRTMIN + 3));
    siginfo_t info;
    struct timespec now = {0, 0};
    EXPECT(sigtimedwait(&set, &info, &now) == SIGUSR1);
    for (int i = 0; i < queued; i++)
        EXPECT(sigtimedwait(&set, &info, &now) == SIGRTMIN + 3 && info.si_value.sival_int == i);
    FAILS(sigtimedwait(&set, &info, &now), EAGAIN);
    NEED(setrlimit(RLIMIT_SIGPENDING, &old) == 0);
}

int main(void) {
    sigset_t all;
    sigfillset(&all);
    NEED(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
    to_threads();
    part("to threads");
    timers();
    part("timers");
    limit();
    return done();
}
