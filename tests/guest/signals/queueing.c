// Real-time signals queue in order with their values; lower numbers first; limits.
#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <poll.h>

static int order[64], values[64];
static volatile sig_atomic_t count;

static void on_signal(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (count < 64) {
        order[count] = signal - SIGRTMIN;
        values[count] = info->si_value.sival_int;
    }
    if (info->si_code != SI_QUEUE || info->si_pid != getpid() || info->si_uid != getuid()) _exit(3);
    count++;
}

static void queue(int signal, int value) { EXPECT(sigqueue(getpid(), signal, (union sigval){.sival_int = value}) == 0); }

static void ordered(void) {
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < 4; i++) {
        // Each handler runs to its end before the next one.
        sigaddset(&set, SIGRTMIN + i);
        sigfillset(&action.sa_mask);
        NEED(sigaction(SIGRTMIN + i, &action, NULL) == 0);
    }
    NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    queue(SIGRTMIN + 2, 1), queue(SIGRTMIN, 2), queue(SIGRTMIN + 2, 3), queue(SIGRTMIN + 1, 4), queue(SIGRTMIN, 5);
    NEED(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
    EXPECT(count == 5);
    for (int i = 0; i < count; i++) printf("RTMIN+%d value %d\n", order[i], values[i]);
    NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    FAILS(sigqueue(getpid(), 65, (union sigval){.sival_int = 0}), EINVAL);
}

static void by_descriptor(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN), sigaddset(&set, SIGUSR1);
    NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    NEED(fd >= 0);
    struct signalfd_siginfo info[4];
    FAILS(read(fd, info, sizeof info), EAGAIN);
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    EXPECT(poll(&poller, 1, 0) == 0);
    queue(SIGRTMIN, 11), queue(SIGRTMIN, 12);
    raise(SIGUSR1);
    EXPECT(poll(&poller, 1, 0) == 1 && poller.revents == POLLIN);
    EXPECT(read(fd, info, sizeof info) == 3 * sizeof *info);
    EXPECT(info[0].ssi_signo == SIGUSR1 && info[1].ssi_int == 11 && info[2].ssi_int == 12);
    EXPECT(info[1].ssi_code == SI_QUEUE && info[1].ssi_pid == (uint32_t)getpid());
    FAILS(read(fd, info, 10), EINVAL);
    FAILS(signalfd(0, &set, 0), EINVAL);
    close(fd);
}

int main(void) {
    ordered();
    part("ordered");
    by_descriptor();
    return done();
}
