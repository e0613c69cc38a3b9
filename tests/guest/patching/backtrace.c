// backtrace() from a signal handler that interrupted a system call sees every frame below the call.
#include "check.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/time.h>

static int ends[2], before, during;
static void *frames_before[64], *frames_during[64];

static void handler(int signal) {
    (void)signal;
    during = backtrace(frames_during, 64);
}

static __attribute__((noinline)) long innermost(void) {
    char byte;
    before = backtrace(frames_before, 64);
    long result = read(ends[0], &byte, 1);
    __asm__ volatile("" ::: "memory");
    return result;
}
static __attribute__((noinline)) long middle(void) { return innermost() + 1; }
static __attribute__((noinline)) long outer(void) { return middle() + 1; }

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    struct itimerval soon = {.it_value = {0, 50000}};
    NEED(pipe(ends) == 0);
    NEED(sigaction(SIGALRM, &action, NULL) == 0);
    NEED(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    EXPECT(outer() == -1 + 2);
    // On top of innermost() and its callers: read, the signal frame and the handler.
    EXPECT(before >= 4);
    EXPECT(during >= before + 3);
    // The callers of innermost() are the same in both.
    for (int i = 1; i < before; i++) EXPECT(frames_before[before - i] == frames_during[during - i]);
    return done();
}
