// eventfd: counter, semaphore mode, limits; and with timerfd together in epoll.
#include "check.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

static uint64_t take(int fd) {
    uint64_t value = 0;
    return read(fd, &value, 8) == 8 ? value : 0;
}

static void counter(void) {
    int fd = eventfd(3, EFD_NONBLOCK);
    NEED(fd >= 0);
    uint64_t value = 4;
    EXPECT(write(fd, &value, 8) == 8 && take(fd) == 7);
    FAILS(read(fd, &value, 8), EAGAIN);
    value = UINT64_MAX;
    FAILS(write(fd, &value, 8), EINVAL);
    value = UINT64_MAX - 1;
    EXPECT(write(fd, &value, 8) == 8);
    value = 1;
    FAILS(write(fd, &value, 8), EAGAIN);
    EXPECT(take(fd) == UINT64_MAX - 1);
    FAILS(write(fd, &value, 4), EINVAL);
    FAILS(read(fd, &value, 4), EINVAL);
    close(fd);
    fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    EXPECT(take(fd) == 1 && take(fd) == 1);
    FAILS(read(fd, &value, 8), EAGAIN);
    close(fd);
    FAILS(eventfd(0, 0x10), EINVAL);
}

static void *count_down(void *fd) {
    uint64_t total = 0;
    while (total < 1000) total += take((int)(intptr_t)fd);
    return (void *)total;
}

static void between_threads(void) {
    int fd = eventfd(0, 0);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, count_down, (void *)(intptr_t)fd) == 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t one = 1;
        EXPECT(write(fd, &one, 8) == 8);
    }
    void *total;
    NEED(pthread_join(thread, &total) == 0);
    printf("%lu\n", (unsigned long)total);
}

static void event_loop(void) {
    int ep = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), wake = eventfd(0, EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = timer};
    EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, timer, &event) == 0);
    event.data.fd = wake;
    EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, wake, &event) == 0);
    struct itimerspec every = {.it_value = {0, 5000000}, .it_interval = {0, 5000000}};
    EXPECT(timerfd_settime(timer, 0, &every, NULL) == 0);
    int ticks = 0, wakes = 0;
    while (ticks < 10) {
        struct epoll_event ready[2];
        int n = epoll_wait(ep, ready, 2, 5000);
        EXPECT(n > 0);
        if (n <= 0) break;
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == wake) {
                wakes += (int)take(wake);
            } else {
                ticks += (int)take(timer);
                uint64_t one = 1;
                EXPECT(write(wake, &one, 8) == 8);
            }
        }
    }
    EXPECT(ticks >= 10 && wakes >= 1);
}

int main(void) {
    counter();
    part("counter");
    between_threads();
    part("between threads");
    event_loop();
    return done();
}
