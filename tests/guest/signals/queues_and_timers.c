// Real-time signals: order and limits; timers of all kinds and their overruns; CPU-time timers.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

static int order[64], arrived;
static void note(int signal, siginfo_t *info, void *context) {
    (void)context;
    order[arrived++] = (signal - SIGRTMIN) * 100 + info->si_value.sival_int;
}

static void real_time_order(void) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    sigset_t set, old;
    sigemptyset(&set);
    for (int i = 0; i < 3; i++) sigaddset(&set, SIGRTMIN + i), sigaction(SIGRTMIN + i, &action, NULL), sigaddset(&action.sa_mask, SIGRTMIN + i);
    for (int i = 0; i < 3; i++) action.sa_mask = set, sigaction(SIGRTMIN + i, &action, NULL);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 0; i < 3; i++)
        for (int s = 2; s >= 0; s--) NEED(sigqueue(getpid(), SIGRTMIN + s, (union sigval){.sival_int = i}) == 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    // Handlers that block each other nest in the order of the frames: the last set up runs first.
    for (int i = 0; i < arrived; i++) printf("%d ", order[i]);
    printf("\n");
}

static void limits(void) {
    struct rlimit old, few = {0};
    NEED(getrlimit(RLIMIT_SIGPENDING, &old) == 0);
    few.rlim_max = old.rlim_max, few.rlim_cur = 3;
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN + 5), sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    NEED(setrlimit(RLIMIT_SIGPENDING, &few) == 0);
    int queued = 0, error = 0;
    while (queued < 10 && sigqueue(getpid(), SIGRTMIN + 5, (union sigval){.sival_int = queued}) == 0) queued++;
    error = errno;
    // Natively what the user's other processes have queued counts as well.
    EXPECT(queued <= 3 && error == EAGAIN);
    // kill(2) of an ordinary signal never fails for want of room; a real-time one sent by it does not queue.
    EXPECT(kill(getpid(), SIGUSR1) == 0);
    siginfo_t info;
    struct timespec none = {0, 0};
    for (int i = 0; i <= queued; i++) EXPECT(sigtimedwait(&set, &info, &none) > 0);
    NEED(setrlimit(RLIMIT_SIGPENDING, &old) == 0);
    while (sigtimedwait(&set, &info, &none) > 0) {}
    FAILS(sigtimedwait(&set, &info, &none), EAGAIN);
    FAILS(sigqueue(getpid(), 65, (union sigval){0}), EINVAL);
    EXPECT(sigqueue(getpid(), 0, (union sigval){0}) == 0);
}

static void waits(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGUSR2), sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    siginfo_t info;
    struct timespec soon = {0, 20000000}, bad = {0, 1000000000};
    FAILS(sigtimedwait(&set, &info, &soon), EAGAIN);
    FAILS(sigtimedwait(&set, &info, &bad), EINVAL);
    FAILS(syscall(SYS_rt_sigtimedwait, &set, &info, &soon, 4), EINVAL);
    pthread_kill(pthread_self(), SIGUSR2), kill(getpid(), SIGUSR1);
    int first = sigwaitinfo(&set, &info);
    printf("%s code %d, ", strsignal(first), info.si_code);
    first = sigwaitinfo(&set, &info);
    printf("%s code %d\n", strsignal(first), info.si_code);
    int number = 0;
    EXPECT(raise(SIGRTMIN) == 0 && sigwait(&set, &number) == 0 && number == SIGRTMIN);
}

static timer_t timer(clockid_t clock, int notify, int signal, int value) {
    struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_int = value};
    if (notify == SIGEV_THREAD_ID) event._sigev_un._tid = gettid();
    timer_t id;
    NEED(timer_create(clock, &event, &id) == 0);
    return id;
}

static void set(timer_t id, long ms, long every) {
    struct itimerspec spec = {{every / 1000, every % 1000 * 1000000}, {ms / 1000, ms % 1000 * 1000000}};
    EXPECT(timer_settime(id, 0, &spec, NULL) == 0);
}

static void posix_timers(void) {
    sigset_t mask;
    sigemptyset(&mask), sigaddset(&mask, SIGRTMIN + 1), sigaddset(&mask, SIGALRM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    siginfo_t info;
    struct timespec second = {2, 0};
    timer_t none = timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
    set(none, 10, 0);
    struct itimerspec left;
    sleep_ms(30);
    EXPECT(timer_gettime(none, &left) == 0 && left.it_value.tv_nsec == 0 && timer_getoverrun(none) == 0);
    EXPECT(timer_delete(none) == 0);

    timer_t own = timer(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 1, 77);
    set(own, 10, 10);
    sleep_ms(65);
    EXPECT(sigtimedwait(&mask, &info, &second) == SIGRTMIN + 1 && info.si_code == SI_TIMER && info.si_value.sival_int == 77);
    EXPECT(info.si_overrun >= 4 && timer_getoverrun(own) == info.si_overrun);
    set(own, 0, 0);
    // What was queued before the timer was set anew or deleted is about the past.
    struct timespec zero = {0, 0};
    for (int i = 0; i < 2; i++) {
        set(own, 5, 0);
        sleep_ms(20);
        if (i) timer_delete(own);
        else set(own, 10000, 0);
        printf("a signal from before: %s\n", sigtimedwait(&mask, &info, &zero) > 0 ? "delivered" : "gone");
    }

    // Without a sigevent: SIGALRM with the timer's number.
    timer_t plain;
    NEED(timer_create(CLOCK_REALTIME, NULL, &plain) == 0);
    set(plain, 5, 0);
    EXPECT(sigtimedwait(&mask, &info, &second) == SIGALRM && info.si_code == SI_TIMER);
    FAILS(timer_settime(plain, 0, &(struct itimerspec){{0, 0}, {0, 1000000000}}, NULL), EINVAL);
    EXPECT(timer_delete(plain) == 0);
    FAILS(timer_settime(plain, 0, &(struct itimerspec){{0, 0}, {1, 0}}, NULL), EINVAL);
    FAILS(timer_delete(plain), EINVAL);
}

static volatile sig_atomic_t ticks;
static void tick(int signal) { (void)signal, ticks++; }

static void burn(int64_t ns) {
    int64_t until = now_ns(CLOCK_PROCESS_CPUTIME_ID) + ns;
    while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < until) {}
}

static void cpu_timers(void) {
    for (int kind = ITIMER_VIRTUAL; kind <= ITIMER_PROF; kind++) {
        signal(kind == ITIMER_VIRTUAL ? SIGVTALRM : SIGPROF, tick);
        struct itimerval spec = {{0, 10000}, {0, 10000}}, old;
        ticks = 0;
        NEED(setitimer(kind, &spec, NULL) == 0);
        sleep_ms(60);
        int asleep = ticks;
        for (int i = 0; i < 100 && ticks < 3; i++) burn(10000000);
        EXPECT(asleep <= 1 && ticks >= 3);
        EXPECT(setitimer(kind, &(struct itimerval){0}, &old) == 0 && old.it_interval.tv_usec == 10000);
    }
}

int main(void) {
    real_time_order();
    part("order");
    limits();
    part("limits");
    waits();
    part("waits");
    posix_timers();
    part("posix timers");
    cpu_timers();
    return done();
}
