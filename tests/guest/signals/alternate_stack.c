// sigaltstack: handlers run there, nested use, disabling, and its errors.
#include "check.h"

#include <signal.h>

// The C library's headers leave it to the kernel's, which clash with them.
enum { AUTODISARM = (int)(1u << 31) };

static char area[65536];
static volatile sig_atomic_t on_it, flags_inside;

static void look(int signal) {
    char here;
    on_it = &here > area && &here < area + sizeof area;
    stack_t now;
    sigaltstack(NULL, &now);
    flags_inside = now.ss_flags;
    stack_t other = {.ss_sp = area, .ss_size = sizeof area};
    if (on_it && sigaltstack(&other, NULL) != -1) _exit(3);
    if (signal == SIGUSR1) {
        // Nested: stays on the same stack.
        int outer = on_it;
        raise(SIGUSR2);
        on_it = on_it && outer;
    }
}

int main(void) {
    stack_t stack = {.ss_sp = area, .ss_size = sizeof area}, old;
    EXPECT(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);
    EXPECT(sigaltstack(&stack, &old) == 0);
    EXPECT(sigaltstack(NULL, &old) == 0 && old.ss_sp == area && old.ss_size == sizeof area && old.ss_flags == 0);
    struct sigaction action = {.sa_handler = look, .sa_flags = SA_ONSTACK};
    NEED(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    EXPECT(raise(SIGUSR1) == 0 && on_it && flags_inside == SS_ONSTACK);
    part("on the stack");

    action.sa_flags = 0;
    NEED(sigaction(SIGHUP, &action, NULL) == 0);
    EXPECT(raise(SIGHUP) == 0 && !on_it && flags_inside == 0);
    part("without SA_ONSTACK");

    stack.ss_size = 100;
    FAILS(sigaltstack(&stack, NULL), ENOMEM);
    stack.ss_size = sizeof area;
    stack.ss_flags = 0x40;
    FAILS(sigaltstack(&stack, NULL), EINVAL);
    stack.ss_flags = SS_DISABLE;
    EXPECT(sigaltstack(&stack, NULL) == 0);
    EXPECT(raise(SIGUSR2) == 0 && !on_it);
    EXPECT(sigaltstack(NULL, &old) == 0 && old.ss_flags == SS_DISABLE);

    // A stack that is taken away while in use and put back on return.
    stack.ss_flags = AUTODISARM;
    EXPECT(sigaltstack(&stack, NULL) == 0);
    EXPECT(sigaltstack(NULL, &old) == 0 && old.ss_flags == AUTODISARM);
    return done();
}
