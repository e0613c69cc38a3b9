// alarm, setitimer (real, virtual, profiling) and getitimer.
#include "check.h"

#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t count[64];
static void on_signal(int signal) { count[signal]++; }

static void wait_for(int signal, int wanted) {
    for (int i = 0; i < 5000 && count[signal] < wanted; i++) sleep_ms(1);
    EXPECT(count[signal] >= wanted);
}

static void real_time(void) {
    struct itimerval timer = {.it_value = {0, 20000}, .it_interval = {0, 10000}}, now;
    EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    EXPECT(getitimer(ITIMER_REAL, &now) == 0 && now.it_interval.tv_usec == 10000 && now.it_value.tv_usec <= 20000);
    wait_for(SIGALRM, 3);
    timer = (struct itimerval){0};
    EXPECT(setitimer(ITIMER_REAL, &timer, &now) == 0 && now.it_interval.tv_usec == 10000);
    sleep_ms(30);
    int before = count[SIGALRM];
    sleep_ms(40);
    EXPECT(count[SIGALRM] == before);
}

static void alarms(void) {
    count[SIGALRM] = 0;
    EXPECT(alarm(100) == 0);
    unsigned left = alarm(1);
    EXPECT(left == 100 || left == 99);
    EXPECT(pause() == -1 && errno == EINTR && count[SIGALRM] == 1);
    EXPECT(alarm(5) == 0 && alarm(0) >= 4);
}

static void processor_time(int which, int signal) {
    struct itimerval timer = {.it_value = {0, 20000}};
    EXPECT(setitimer(which, &timer, NULL) == 0);
    int64_t start = now_ns(CLOCK_MONOTONIC);
    while (count[signal] == 0 && now_ns(CLOCK_MONOTONIC) - start < 5000000000ll) {}
    EXPECT(count[signal] == 1);
}

int main(void) {
    struct sigaction action = {.sa_handler = on_signal};
    const int signals[] = {SIGALRM, SIGVTALRM, SIGPROF};
    for (int i = 0; i < 3; i++) NEED(sigaction(signals[i], &action, NULL) == 0);
    real_time();
    part("real");
    alarms();
    part("alarm");
    processor_time(ITIMER_VIRTUAL, SIGVTALRM);
    part("virtual");
    processor_time(ITIMER_PROF, SIGPROF);
    struct itimerval wrong = {.it_value = {0, 1000000}};
    FAILS(setitimer(ITIMER_REAL, &wrong, NULL), EINVAL);
    FAILS(setitimer(9, &wrong, NULL), EINVAL);
    return done();
}
