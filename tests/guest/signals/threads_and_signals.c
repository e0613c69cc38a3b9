// Signals and threads: directed ones, masks of their own, handlers of all, a signal in every blocked thread.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

enum { COUNT = 8 };
static pthread_t threads[COUNT];
static atomic_int handled[COUNT], ready;
static _Thread_local int me = -1;
static int pipes[2];

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (signal == SIGUSR1 && info->si_code == SI_TKILL && me >= 0) atomic_fetch_add(&handled[me], 1);
}

static void *wait_in_read(void *number) {
    me = (int)(intptr_t)number;
    atomic_fetch_add(&ready, 1);
    char byte;
    ssize_t n = read(pipes[0], &byte, 1);
    return (void *)(intptr_t)(n == -1 && errno == EINTR);
}

static void directed(void) {
    NEED(pipe(pipes) == 0);
    for (intptr_t i = 0; i < COUNT; i++) NEED(pthread_create(&threads[i], NULL, wait_in_read, (void *)i) == 0);
    while (atomic_load(&ready) < COUNT) sleep_ms(1);
    sleep_ms(20);
    for (int i = COUNT - 1; i >= 0; i--) {
        EXPECT(pthread_kill(threads[i], SIGUSR1) == 0);
        void *interrupted;
        EXPECT(pthread_join(threads[i], &interrupted) == 0 && interrupted != NULL);
        EXPECT(atomic_load(&handled[i]) == 1);
    }
}

static void *take_them(void *unused) {
    (void)unused;
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    for (intptr_t n = 0;; n++) {
        siginfo_t info;
        if (sigwaitinfo(&set, &info) != SIGUSR2 || info.si_code != SI_QUEUE) return (void *)-1;
        if (info.si_value.sival_int == 0) return (void *)n;
    }
}

static void to_the_process(void) {
    // Blocked everywhere, a dedicated thread takes them.
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    NEED(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    pthread_t taker;
    NEED(pthread_create(&taker, NULL, take_them, NULL) == 0);
    for (int i = 20; i >= 0; i--) {
        NEED(sigqueue(getpid(), SIGUSR2, (union sigval){.sival_int = i}) == 0);
        sigset_t pending;
        do sleep_ms(1);
        while (sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2));
    }
    void *taken;
    EXPECT(pthread_join(taker, &taken) == 0 && taken == (void *)20);
    FAILS(syscall(SYS_tgkill, getpid(), 0x3fffffff, SIGUSR1), ESRCH);
    FAILS(syscall(SYS_tgkill, -1, 1, SIGUSR1), EINVAL);
    EXPECT(syscall(SYS_tgkill, getpid(), gettid(), 0) == 0);
}

static atomic_int spinning = 1;
static void stop(int signal) { (void)signal, atomic_store(&spinning, 0); }
static void *spin(void *unused) {
    while (atomic_load(&spinning)) {}
    return unused;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    NEED(sigaction(SIGUSR1, &action, NULL) == 0);
    directed();
    part("directed");
    to_the_process();
    part("to the process");
    // A thread that never calls the kernel is reached too.
    signal(SIGHUP, stop);
    pthread_t spinner;
    NEED(pthread_create(&spinner, NULL, spin, NULL) == 0);
    sleep_ms(20);
    EXPECT(pthread_kill(spinner, SIGHUP) == 0 && pthread_join(spinner, NULL) == 0);
    return done();
}
