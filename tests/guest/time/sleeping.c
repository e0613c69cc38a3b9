// nanosleep, clock_nanosleep (relative and absolute), usleep; how long they take and what they refuse.
#include "check.h"

#include <signal.h>
#include <sys/time.h>

static int64_t start;
static void begin(void) { start = now_ns(CLOCK_MONOTONIC); }
// Never too short; late is allowed generously, machines are busy.
static int slept(int64_t ms) {
    int64_t ns = now_ns(CLOCK_MONOTONIC) - start;
    return ns >= ms * 1000000 && ns < (ms + 3000) * 1000000;
}

static void on_alarm(int signal) { (void)signal; }

int main(void) {
    struct timespec t = {0, 30000000}, rest;
    begin();
    EXPECT(nanosleep(&t, NULL) == 0 && slept(30));
    begin();
    EXPECT(clock_nanosleep(CLOCK_REALTIME, 0, &t, NULL) == 0 && slept(29));
    part("relative");

    begin();
    int64_t end = now_ns(CLOCK_MONOTONIC) + 40000000;
    t = (struct timespec){end / 1000000000, end % 1000000000};
    EXPECT(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0 && slept(40));
    begin();
    EXPECT(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0);
    t = (struct timespec){0, 0};
    for (int i = 0; i < 1000; i++) EXPECT(nanosleep(&t, NULL) == 0);
    part("absolute");

    t = (struct timespec){0, 1000000000};
    FAILS(nanosleep(&t, NULL), EINVAL);
    t = (struct timespec){-1, 0};
    FAILS(nanosleep(&t, NULL), EINVAL);
    EXPECT(clock_nanosleep(999, 0, &t, NULL) == EINVAL);

    // A signal ends it early and the rest is told.
    signal(SIGALRM, on_alarm);
    struct itimerval timer = {.it_value = {0, 30000}};
    EXPECT(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    t = (struct timespec){10, 0};
    begin();
    FAILS(nanosleep(&t, &rest), EINTR);
    EXPECT(slept(30) && rest.tv_sec >= 6 && rest.tv_sec < 10);
    part("interrupted");
    begin();
    EXPECT(usleep(20000) == 0 && slept(20));
    return done();
}
