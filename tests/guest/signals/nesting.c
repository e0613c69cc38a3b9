// Handlers inside handlers, signals raised by handlers, leaving by siglongjmp many times.
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t depth, deepest, total;
static sigjmp_buf back;

static void nest(int signal) {
    if (++depth > deepest) deepest = depth;
    total++;
    if (signal >= SIGRTMIN && signal < SIGRTMIN + 10) raise(signal + 1);
    depth--;
}

static void again(int signal) {
    // Blocked while it runs: the second one comes after this return.
    int before = depth++;
    if (total++ < 5) raise(signal);
    if (before != 0) deepest = 99;
    depth--;
}

static void leave(int signal) {
    total++;
    siglongjmp(back, signal);
}

static double fraction(int i) { return 1.0 / (i + 1); }

int main(void) {
    for (int i = 0; i <= 10; i++) signal(SIGRTMIN + i, nest);
    EXPECT(raise(SIGRTMIN) == 0);
    printf("deepest %d, total %d\n", deepest, total);
    part("nested");

    total = depth = deepest = 0;
    signal(SIGUSR1, again);
    EXPECT(raise(SIGUSR1) == 0 && total == 6 && deepest != 99);
    part("deferred");

    total = 0;
    signal(SIGUSR2, leave);
    volatile int jumps = 0;
    for (volatile int i = 0; i < 10000; i++) {
        if (sigsetjmp(back, 1) == 0) raise(SIGUSR2);
        else jumps++;
    }
    EXPECT(jumps == 10000 && total == 10000);
    sigset_t now;
    EXPECT(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && !sigismember(&now, SIGUSR2));
    part("siglongjmp");

    // Interrupted at arbitrary places, the computation stays right.
    total = 0;
    struct sigaction action = {.sa_handler = nest, .sa_flags = SA_RESTART};
    NEED(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval timer = {.it_value = {0, 1000}, .it_interval = {0, 1000}};
    NEED(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    double sum = 0, expected = 0;
    for (int round = 0; round < 200 || (total < 20 && round < 20000); round++) {
        sum = 0;
        for (int i = 0; i < 20000; i++) sum += fraction(i);
        if (expected == 0) expected = sum;
        EXPECT(sum == expected);
    }
    timer = (struct itimerval){0};
    setitimer(ITIMER_REAL, &timer, NULL);
    printf("%.12f\n", sum);
    EXPECT(total >= 20);
    return done();
}
