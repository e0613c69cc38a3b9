// Preemption and fairness between threads that never call the kernel; yielding; affinity calls.
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>

static atomic_int stop;
static volatile unsigned long progress[4];

static void *work(void *number) {
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) progress[(intptr_t)number]++;
    return NULL;
}

static void *floating_point(void *seed) {
    double x = (double)(intptr_t)seed;
    for (int i = 0; i < 20000000; i++) x = x * 0.999999 + 1.5;
    double *result = malloc(sizeof *result);
    *result = x;
    return result;
}

static void fairness(void) {
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    sleep_ms(400);
    atomic_store(&stop, 1);
    for (int i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
    unsigned long most = 0, least = ~0ul;
    for (int i = 0; i < 4; i++) {
        if (progress[i] > most) most = progress[i];
        if (progress[i] < least) least = progress[i];
    }
    EXPECT(least > most / 50);
}

static void state_is_kept(void) {
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, floating_point, (void *)(i * 1000)) == 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        NEED(pthread_join(threads[i], &result) == 0);
        printf("%.9f\n", *(double *)result);
        free(result);
    }
}

static void *nothing(void *unused) { return unused; }
static void on_alarm(int signal) { (void)signal; }

// A thread that computes is preempted even if the timer has fired early for something else, when nobody waited.
static void after_an_early_timer(void) {
    NEED(signal(SIGALRM, on_alarm) != SIG_ERR);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        NEED(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
        struct itimerval soon = {{0, 0}, {0, 1000}};
        int64_t until = now_ns(CLOCK_MONOTONIC) + 2000000;
        NEED(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        while (now_ns(CLOCK_MONOTONIC) < until) {}
        atomic_store(&stop, 0);
        NEED(pthread_create(&thread, NULL, work, NULL) == 0);
        sched_yield();
        atomic_store(&stop, 1);
        NEED(pthread_join(thread, NULL) == 0);
    }
}

static void calls(void) {
    cpu_set_t set;
    EXPECT(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    int cpu = sched_getcpu();
    EXPECT(cpu >= 0 && CPU_ISSET(cpu, &set));
    EXPECT(sched_setaffinity(0, sizeof set, &set) == 0);
    CPU_ZERO(&set);
    FAILS(sched_setaffinity(0, sizeof set, &set), EINVAL);
    EXPECT(sched_yield() == 0 && sched_getscheduler(0) == SCHED_OTHER);
    EXPECT(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_OTHER) == 0);
    errno = 0;
    EXPECT(getpriority(PRIO_PROCESS, 0) >= -20);
    EXPECT(sysconf(_SC_NPROCESSORS_ONLN) >= 1 && sysconf(_SC_NPROCESSORS_CONF) >= sysconf(_SC_NPROCESSORS_ONLN));
}

static void *own_policy(void *unused) {
    (void)unused;
    return (void *)(intptr_t)sched_getscheduler(0);
}

// A policy is told as it was set, and is inherited by threads and processes without the flag that resets others.
static void policies(void) {
    struct sched_param none = {0};
    for (int policy = SCHED_BATCH;; policy = SCHED_IDLE) {
        EXPECT(sched_setscheduler(0, policy | SCHED_RESET_ON_FORK, &none) == 0);
        EXPECT(sched_getscheduler(0) == (policy | SCHED_RESET_ON_FORK));
        pthread_t thread;
        void *told;
        NEED(pthread_create(&thread, NULL, own_policy, NULL) == 0 && pthread_join(thread, &told) == 0);
        EXPECT((intptr_t)told == policy);
        pid_t child = fork();
        NEED(child >= 0);
        if (child == 0) _exit(sched_getscheduler(0));
        int status;
        NEED(waitpid(child, &status, 0) == child);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == policy);
        if (policy == SCHED_IDLE) break;
    }
    EXPECT(sched_setscheduler(0, SCHED_OTHER, &none) == 0 && sched_getscheduler(0) == SCHED_OTHER);
}

int main(void) {
    fairness();
    part("fair");
    after_an_early_timer();
    part("preempted");
    state_is_kept();
    part("state is kept");
    calls();
    policies();
    return done();
}
