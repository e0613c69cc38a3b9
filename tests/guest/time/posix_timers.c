// timer_create: by signal with a value, by thread, without notification; overruns.
#include "check.h"

#include <pthread.h>
#include <signal.h>

static volatile sig_atomic_t signals, value, code;
static atomic_int called;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    signals++;
    value = info->si_value.sival_int;
    code = info->si_code;
}

static void on_thread(union sigval v) { atomic_store(&called, v.sival_int); }

static void by_signal(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    NEED(sigaction(SIGRTMIN, &action, NULL) == 0);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value = {.sival_int = 77}};
    timer_t timer;
    NEED(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec set = {.it_value = {0, 10000000}}, now;
    EXPECT(timer_settime(timer, 0, &set, NULL) == 0);
    for (int i = 0; i < 5000 && signals == 0; i++) sleep_ms(1);
    EXPECT(signals == 1 && value == 77 && code == SI_TIMER);
    EXPECT(timer_gettime(timer, &now) == 0 && now.it_value.tv_nsec == 0);

    // Expirations while the signal is blocked are one signal and an overrun count.
    sigset_t set_of_one, old;
    sigemptyset(&set_of_one);
    sigaddset(&set_of_one, SIGRTMIN);
    EXPECT(sigprocmask(SIG_BLOCK, &set_of_one, &old) == 0);
    set = (struct itimerspec){.it_value = {0, 5000000}, .it_interval = {0, 5000000}};
    EXPECT(timer_settime(timer, 0, &set, NULL) == 0);
    sleep_ms(60);
    siginfo_t info;
    EXPECT(sigwaitinfo(&set_of_one, &info) == SIGRTMIN && info.si_code == SI_TIMER && info.si_value.sival_int == 77);
    EXPECT(info.si_overrun >= 3 && timer_getoverrun(timer) >= 3);
    EXPECT(timer_delete(timer) == 0);
    FAILS(timer_delete(timer), EINVAL);
}

static void by_thread(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread,
                             .sigev_value = {.sival_int = 5}};
    timer_t timer;
    NEED(timer_create(CLOCK_REALTIME, &event, &timer) == 0);
    struct itimerspec set = {.it_value = {0, 10000000}};
    EXPECT(timer_settime(timer, 0, &set, NULL) == 0);
    for (int i = 0; i < 5000 && atomic_load(&called) == 0; i++) sleep_ms(1);
    EXPECT(atomic_load(&called) == 5);
    EXPECT(timer_delete(timer) == 0);
}

static void silent(void) {
    struct sigevent event = {.sigev_notify = SIGEV_NONE};
    timer_t timer;
    NEED(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    struct itimerspec set = {.it_value = {100, 0}}, now;
    EXPECT(timer_settime(timer, 0, &set, NULL) == 0);
    EXPECT(timer_gettime(timer, &now) == 0 && (now.it_value.tv_sec == 99 || now.it_value.tv_sec == 100));
    set.it_value.tv_nsec = -1;
    FAILS(timer_settime(timer, 0, &set, NULL), EINVAL);
    EXPECT(timer_delete(timer) == 0);
}

int main(void) {
    by_signal();
    part("signal");
    by_thread();
    part("thread");
    silent();
    return done();
}
