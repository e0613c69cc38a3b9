// The program counter that a signal handler sees is one of the original program: the address after the `syscall`,
// or the `syscall` itself when the call will be restarted. Resuming there goes on correctly.
#include "sites.h"

#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

static int ends[2];
static volatile uintptr_t seen_rip;
static volatile long seen_rax;
static volatile int feed;

static void handler(int signal, siginfo_t *info, void *context) {
    const ucontext_t *interrupted = context;
    (void)signal, (void)info;
    seen_rip = (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
    seen_rax = interrupted->uc_mcontext.gregs[REG_RAX];
    if (feed) NEED(write(ends[1], "z", 1) == 1);
}

static long interrupted_read(const struct site *site, int flags, char *byte) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    struct itimerval soon = {.it_value = {0, 20000}};
    NEED(sigaction(SIGALRM, &action, NULL) == 0);
    NEED(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    seen_rip = 0;
    seen_rax = 0;
    return site->call(SYS_read, ends[0], (long)byte, 1, 0);
}

int main(void) {
    NEED(pipe(ends) == 0);
    for (int i = 0; i < SITES; i++) {
        char byte = 0;
        part(sites[i].name);
        feed = 0;
        EXPECT(interrupted_read(&sites[i], 0, &byte) == -EINTR);
        EXPECT(seen_rip == (uintptr_t)address_of(&sites[i]) + 2);
        EXPECT(seen_rax == -EINTR);
        if (address_of(&sites[i]) == site_t4) EXPECT(t4_result == -EINTR);
        feed = 1;
        EXPECT(interrupted_read(&sites[i], SA_RESTART, &byte) == 1);
        EXPECT(byte == 'z');
        EXPECT(seen_rip == (uintptr_t)address_of(&sites[i]));
        EXPECT(seen_rax == SYS_read);
        if (address_of(&sites[i]) == site_t4) EXPECT(t4_result == 1);
    }
    return done();
}
