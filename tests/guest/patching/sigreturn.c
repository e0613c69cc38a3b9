// Returning from handlers: nested, on another stack, in great number; and the restorer keeps the bytes by which
// unwinders and debuggers know a signal frame. (signals/unwinding.cpp has unwinders.)
#include "check.h"

#include <signal.h>
#include <sys/syscall.h>

enum { ROUNDS = 2000 };
static volatile int outer_runs, inner_runs;

static void inner(int signal) {
    (void)signal;
    inner_runs++;
}

static void outer(int signal) {
    (void)signal;
    outer_runs++;
    raise(SIGUSR2);
}

int main(void) {
    static const unsigned char bytes[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
    static char stack[65536];
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction first = {.sa_handler = outer, .sa_flags = SA_ONSTACK}, second = {.sa_handler = inner};
    NEED(sigaltstack(&other, NULL) == 0);
    NEED(sigaction(SIGUSR1, &first, NULL) == 0 && sigaction(SIGUSR2, &second, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        volatile double kept = i * 0.5;
        raise(SIGUSR1);
        EXPECT(kept == i * 0.5);
    }
    EXPECT(outer_runs == ROUNDS && inner_runs == ROUNDS);
    struct {
        void *handler;
        unsigned long flags;
        const unsigned char *restorer;
        unsigned long mask;
    } action = {0};
    NEED(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, sizeof action.mask) == 0 && action.restorer != NULL);
    EXPECT(memcmp(action.restorer, bytes, sizeof bytes) == 0);
    sigset_t mask;
    NEED(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
    EXPECT(!sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGUSR2));
    return done();
}
