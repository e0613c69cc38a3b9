// timerfd: arming again, what a waiter sees of it, the clocks, cancelling; signalfd: what a read gives.
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

static int64_t ns(struct timespec t) { return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec; }

static int arm(int fd, long ms, long every, int flags) {
    struct itimerspec spec = {{every / 1000, every % 1000 * 1000000}, {ms / 1000, ms % 1000 * 1000000}};
    return timerfd_settime(fd, flags, &spec, NULL);
}

static int readable(int fd, int ms) { return poll(&(struct pollfd){fd, POLLIN, 0}, 1, ms); }

static uint64_t ticks(int fd) {
    uint64_t count = 0;
    return read(fd, &count, 8) == 8 ? count : 0;
}

static void again(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    EXPECT(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    // Later: what was due does not come.
    EXPECT(arm(fd, 30, 0, 0) == 0 && arm(fd, 10000, 0, 0) == 0);
    EXPECT(readable(fd, 80) == 0 && epoll_wait(epoll, &event, 1, 0) == 0);
    FAILS(read(fd, &(uint64_t){0}, 8), EAGAIN);
    // Sooner.
    EXPECT(arm(fd, 10, 0, 0) == 0 && readable(fd, 2000) == 1 && epoll_wait(epoll, &event, 1, 0) == 1);
    // An expiration that nobody read is forgotten.
    EXPECT(arm(fd, 10000, 0, 0) == 0 && readable(fd, 0) == 0);
    EXPECT(arm(fd, 1, 0, 0) == 0 && readable(fd, 2000) == 1 && arm(fd, 0, 0, 0) == 0 && readable(fd, 0) == 0);
    FAILS(read(fd, &(uint64_t){0}, 8), EAGAIN);
    struct itimerspec left;
    EXPECT(timerfd_gettime(fd, &left) == 0 && ns(left.it_value) == 0 && ns(left.it_interval) == 0);
    // Disarmed with an interval: the interval is kept.
    EXPECT(arm(fd, 0, 7, 0) == 0 && timerfd_gettime(fd, &left) == 0);
    printf("interval of a disarmed timer %ld\n", (long)ns(left.it_interval));
    // Periodic: all that was missed in one read.
    EXPECT(arm(fd, 10, 10, 0) == 0);
    sleep_ms(55);
    uint64_t count = ticks(fd);
    EXPECT(count >= 5);
    EXPECT(timerfd_gettime(fd, &left) == 0 && ns(left.it_value) > 0 && ns(left.it_value) <= 10000000);
    // The past, absolutely.
    EXPECT(arm(fd, 1, 0, TFD_TIMER_ABSTIME) == 0 && readable(fd, 2000) == 1 && ticks(fd) == 1);
    EXPECT(arm(fd, 1, 1000, TFD_TIMER_ABSTIME) == 0 && readable(fd, 2000) == 1 && ticks(fd) > 1);
    close(fd), close(epoll);
}

static void *arm_soon(void *fd) {
    sleep_ms(30);
    EXPECT(arm(*(int *)fd, 20, 0, 0) == 0);
    return NULL;
}

static void while_reading(void) {
    int fd = timerfd_create(CLOCK_BOOTTIME, 0);
    pthread_t thread;
    EXPECT(arm(fd, 60000, 0, 0) == 0);
    NEED(pthread_create(&thread, NULL, arm_soon, &fd) == 0);
    EXPECT(ticks(fd) == 1);
    pthread_join(thread, NULL);
    close(fd);
}

static void arguments(void) {
    FAILS(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    FAILS(timerfd_create(CLOCK_TAI, 0), EINVAL);
    FAILS(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    struct itimerspec spec = {{0, 0}, {0, 1000000000}};
    FAILS(timerfd_settime(fd, 0, &spec, NULL), EINVAL);
    spec = (struct itimerspec){{0, 0}, {-1, 0}};
    FAILS(timerfd_settime(fd, 0, &spec, NULL), EINVAL);
    spec = (struct itimerspec){{0, -1}, {1, 0}};
    FAILS(timerfd_settime(fd, 0, &spec, NULL), EINVAL);
    spec = (struct itimerspec){{0, 0}, {1, 0}};
    FAILS(timerfd_settime(fd, 4, &spec, NULL), EINVAL);
    FAILS(timerfd_settime(0, 0, &spec, NULL), EINVAL);
    FAILS(timerfd_settime(99, 0, &spec, NULL), EBADF);
    FAILS(timerfd_settime(fd, 0, NULL, NULL), EFAULT);
    FAILS(read(fd, &(uint32_t){0}, 4), EINVAL);
    FAILS(write(fd, "12345678", 8), EINVAL);
    EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) == 0);
    close(fd);
}

static void signals(void) {
    sigset_t set, other;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGRTMIN), sigaddset(&set, SIGKILL);
    sigemptyset(&other), sigaddset(&other, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL), sigprocmask(SIG_BLOCK, &other, NULL);
    int fd = signalfd(-1, &set, SFD_NONBLOCK);
    struct signalfd_siginfo info[4];
    FAILS(read(fd, info, sizeof info), EAGAIN);
    FAILS(read(fd, info, sizeof info[0] - 1), EINVAL);
    EXPECT(kill(getpid(), SIGUSR2) == 0 && readable(fd, 0) == 0);
    for (int i = 0; i < 2; i++) EXPECT(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i + 7}) == 0);
    EXPECT(kill(getpid(), SIGUSR1) == 0 && raise(SIGUSR1) == 0);
    EXPECT(readable(fd, 0) == 1);
    EXPECT(read(fd, info, sizeof info) == 4 * sizeof info[0]);
    for (int i = 0; i < 4; i++)
        printf("%s code %d value %d pid %d\n", info[i].ssi_signo == (uint32_t)SIGRTMIN ? "SIGRTMIN" : strsignal(info[i].ssi_signo),
               info[i].ssi_code, info[i].ssi_int, info[i].ssi_pid == (uint32_t)getpid());
    EXPECT(readable(fd, 0) == 0);
    // The same descriptor for another set.
    EXPECT(signalfd(fd, &other, 0) == fd && readable(fd, 0) == 1);
    EXPECT(read(fd, info, sizeof info) == sizeof info[0] && info[0].ssi_signo == SIGUSR2);
    FAILS(signalfd(0, &set, 0), EINVAL);
    FAILS(signalfd(99, &set, 0), EBADF);
    FAILS(signalfd(-1, &set, 1), EINVAL);
    FAILS(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
    close(fd);
}

int main(void) {
    again();
    part("again");
    while_reading();
    part("while reading");
    arguments();
    part("arguments");
    signals();
    return done();
}
