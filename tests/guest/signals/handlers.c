// sigaction: install, query, one shot, ignore, default; what sigprocmask holds back.
#include "check.h"

#include <signal.h>
#include <sys/syscall.h>

static volatile sig_atomic_t count, last, nested_mask;

static void on_signal(int signal) {
    count++;
    last = signal;
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    nested_mask = sigismember(&now, signal) | sigismember(&now, SIGUSR2) << 1 | sigismember(&now, SIGHUP) << 2;
}

static void actions(void) {
    struct sigaction action = {.sa_handler = on_signal}, old;
    EXPECT(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    sigaddset(&action.sa_mask, SIGUSR2);
    EXPECT(sigaction(SIGUSR1, &action, NULL) == 0);
    EXPECT(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == on_signal && sigismember(&old.sa_mask, SIGUSR2));
    EXPECT(raise(SIGUSR1) == 0 && count == 1 && last == SIGUSR1);
    printf("mask in the handler: %d\n", nested_mask);
    sigset_t now;
    EXPECT(sigprocmask(SIG_BLOCK, NULL, &now) == 0 && !sigismember(&now, SIGUSR1) && !sigismember(&now, SIGUSR2));

    action.sa_flags = SA_NODEFER | SA_RESETHAND;
    EXPECT(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0 && count == 2);
    printf("with SA_NODEFER: %d\n", nested_mask);
    EXPECT(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    EXPECT(signal(SIGUSR1, SIG_IGN) == SIG_DFL && raise(SIGUSR1) == 0 && count == 2);
    EXPECT(signal(SIGCHLD, SIG_DFL) == SIG_DFL && raise(SIGCHLD) == 0 && raise(SIGURG) == 0 && raise(SIGWINCH) == 0);
    FAILS(sigaction(SIGKILL, &action, NULL), EINVAL);
    FAILS(sigaction(SIGSTOP, &action, NULL), EINVAL);
    FAILS(sigaction(65, &action, NULL), EINVAL);
    FAILS(kill(getpid(), 65), EINVAL);
    EXPECT(kill(getpid(), 0) == 0);
}

static void masks(void) {
    count = 0;
    signal(SIGUSR1, on_signal), signal(SIGUSR2, on_signal);
    sigset_t both, pending, old;
    sigemptyset(&both), sigaddset(&both, SIGUSR1), sigaddset(&both, SIGUSR2);
    EXPECT(sigprocmask(SIG_BLOCK, &both, &old) == 0 && !sigismember(&old, SIGUSR1));
    // Standard signals do not queue.
    for (int i = 0; i < 5; i++) EXPECT(kill(getpid(), SIGUSR1) == 0);
    EXPECT(raise(SIGUSR2) == 0 && count == 0);
    EXPECT(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGUSR2));
    EXPECT(!sigismember(&pending, SIGHUP));
    EXPECT(sigprocmask(SIG_UNBLOCK, &both, NULL) == 0 && count == 2);
    EXPECT(sigpending(&pending) == 0 && !sigismember(&pending, SIGUSR1));
    // Ignoring a pending signal discards it.
    EXPECT(sigprocmask(SIG_BLOCK, &both, NULL) == 0 && raise(SIGUSR1) == 0);
    signal(SIGUSR1, SIG_IGN), signal(SIGUSR1, on_signal);
    EXPECT(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && count == 2);
    // SIGKILL and SIGSTOP cannot be blocked.
    sigset_t all;
    sigfillset(&all);
    EXPECT(sigprocmask(SIG_SETMASK, &all, NULL) == 0 && sigprocmask(SIG_SETMASK, &old, &all) == 0);
    EXPECT(!sigismember(&all, SIGKILL) && !sigismember(&all, SIGSTOP) && sigismember(&all, SIGTERM));
    FAILS(sigprocmask(99, &all, NULL), EINVAL);
    FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 4), EINVAL);
}

int main(void) {
    actions();
    part("actions");
    masks();
    return done();
}
