// timerfd: one shot, periodic, absolute, disarmed, non-blocking.
#include "check.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

static uint64_t expirations(int fd) {
    uint64_t count = 0;
    return read(fd, &count, 8) == 8 ? count : 0;
}

// An interval goes on when it is read: until then an edge is seen once, and many short ones leave time to read.
static void intervals(void) {
    enum { MANY = 256 };
    struct itimerspec set = {.it_value = {0, 1000000}, .it_interval = {0, 1000000}};
    struct pollfd timers[MANY];
    for (int i = 0; i < MANY; i++) {
        timers[i] = (struct pollfd){.fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), .events = POLLIN};
        NEED(timers[i].fd >= 0 && timerfd_settime(timers[i].fd, 0, &set, NULL) == 0);
    }
    for (int round = 0; round < 20; round++) {
        NEED(poll(timers, MANY, 5000) > 0);
        for (int i = 0; i < MANY; i++)
            if (timers[i].revents) EXPECT(expirations(timers[i].fd) >= 1);
    }
    for (int i = 1; i < MANY; i++) close(timers[i].fd);
    int fd = timers[0].fd, edges = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    NEED(edges >= 0 && epoll_ctl(edges, EPOLL_CTL_ADD, fd, &event) == 0);
    EXPECT(epoll_wait(edges, &event, 1, 5000) == 1);
    sleep_ms(20);
    // The timer may have been read just before, and so gone off once more.
    epoll_wait(edges, &event, 1, 0);
    EXPECT(epoll_wait(edges, &event, 1, 50) == 0);
    EXPECT(expirations(fd) >= 1 && epoll_wait(edges, &event, 1, 5000) == 1);
    close(edges);
    close(fd);
}

int main(void) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    NEED(fd >= 0);
    uint64_t count;
    FAILS(read(fd, &count, 8), EAGAIN);
    struct itimerspec set = {.it_value = {0, 20000000}}, now;
    EXPECT(timerfd_settime(fd, 0, &set, NULL) == 0);
    EXPECT(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_nsec > 0);
    FAILS(read(fd, &count, 8), EAGAIN);
    struct pollfd poller = {.fd = fd, .events = POLLIN};
    EXPECT(poll(&poller, 1, 5000) == 1 && poller.revents == POLLIN);
    EXPECT(expirations(fd) == 1);
    FAILS(read(fd, &count, 8), EAGAIN);
    EXPECT(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_nsec == 0);
    part("one shot");

    set = (struct itimerspec){.it_value = {0, 10000000}, .it_interval = {0, 10000000}};
    EXPECT(timerfd_settime(fd, 0, &set, NULL) == 0);
    sleep_ms(105);
    uint64_t ticks = expirations(fd);
    EXPECT(ticks >= 9 && ticks < 300);
    EXPECT(poll(&poller, 1, 5000) == 1 && expirations(fd) >= 1);
    struct itimerspec off = {0};
    EXPECT(timerfd_settime(fd, 0, &off, &now) == 0 && now.it_interval.tv_nsec == 10000000);
    sleep_ms(30);
    FAILS(read(fd, &count, 8), EAGAIN);
    close(fd);
    part("periodic");

    // A blocking read waits for an absolute time.
    fd = timerfd_create(CLOCK_REALTIME, 0);
    int64_t end = now_ns(CLOCK_REALTIME) + 30000000;
    set = (struct itimerspec){.it_value = {end / 1000000000, end % 1000000000}};
    EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0);
    EXPECT(expirations(fd) == 1 && now_ns(CLOCK_REALTIME) >= end);
    // A time in the past expires at once.
    set = (struct itimerspec){.it_value = {1, 0}};
    EXPECT(timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, NULL) == 0 && expirations(fd) == 1);
    part("absolute");

    intervals();
    part("intervals");

    char small[4];
    FAILS(read(fd, small, 4), EINVAL);
    set.it_value.tv_nsec = 1000000000;
    FAILS(timerfd_settime(fd, 0, &set, NULL), EINVAL);
    FAILS(timerfd_settime(0, 0, &off, NULL), EINVAL);
    FAILS(timerfd_create(999, 0), EINVAL);
    return done();
}
