// sigsuspend, sigwait, sigwaitinfo, sigtimedwait, pause.
#include "check.h"

#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t count;
static void on_signal(int signal) { (void)signal, count++; }

static void in_ms(int ms) {
    struct itimerval timer = {.it_value = {ms / 1000, ms % 1000 * 1000}};
    NEED(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

int main(void) {
    sigset_t blocked, old, none, now;
    sigemptyset(&none), sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM), sigaddset(&blocked, SIGUSR1), sigaddset(&blocked, SIGRTMIN);
    signal(SIGALRM, on_signal), signal(SIGUSR1, on_signal);
    NEED(sigprocmask(SIG_BLOCK, &blocked, &old) == 0);

    in_ms(20);
    FAILS(sigsuspend(&none), EINTR);
    EXPECT(count == 1 && sigprocmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGALRM));
    // A signal that is already pending ends it at once.
    EXPECT(raise(SIGUSR1) == 0 && count == 1);
    FAILS(sigsuspend(&none), EINTR);
    EXPECT(count == 2);
    part("sigsuspend");

    siginfo_t info;
    int got = 0;
    EXPECT(raise(SIGUSR1) == 0 && sigwaitinfo(&blocked, &info) == SIGUSR1 && info.si_signo == SIGUSR1);
    // The C library shows SI_TKILL as SI_USER here.
    EXPECT(info.si_pid == getpid() && info.si_code == SI_USER && count == 2);
    EXPECT(kill(getpid(), SIGUSR1) == 0 && sigwaitinfo(&blocked, &info) == SIGUSR1 && info.si_code == SI_USER);
    in_ms(20);
    EXPECT(sigwait(&blocked, &got) == 0 && got == SIGALRM && count == 2);
    part("sigwaitinfo");

    struct timespec limit = {0, 20000000};
    int64_t start = now_ns(CLOCK_MONOTONIC);
    FAILS(sigtimedwait(&blocked, &info, &limit), EAGAIN);
    EXPECT(now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    limit = (struct timespec){0, 0};
    FAILS(sigtimedwait(&blocked, &info, &limit), EAGAIN);
    limit.tv_nsec = -1;
    FAILS(sigtimedwait(&blocked, &info, &limit), EINVAL);
    in_ms(10);
    limit = (struct timespec){10, 0};
    EXPECT(sigtimedwait(&blocked, &info, &limit) == SIGALRM && info.si_code == SI_KERNEL);
    part("sigtimedwait");

    // A signal outside the set interrupts the wait.
    sigset_t usr1;
    sigemptyset(&usr1), sigaddset(&usr1, SIGUSR1);
    NEED(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && sigprocmask(SIG_BLOCK, &usr1, NULL) == 0);
    in_ms(20);
    FAILS(sigwaitinfo(&usr1, &info), EINTR);
    EXPECT(count == 3);
    in_ms(20);
    FAILS(pause(), EINTR);
    EXPECT(count == 4);
    return done();
}
