// epoll: level, edge, one-shot, exclusive, nesting, closing, errors.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

static int ep;
static struct epoll_event events[16];

static void add(int fd, uint32_t flags) {
    struct epoll_event event = {.events = flags, .data.u64 = 1000u + (uint64_t)fd};
    EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
}

static int wait_now(void) { return epoll_wait(ep, events, 16, 0); }

static void level(void) {
    int p[2];
    char byte;
    NEED(pipe(p) == 0);
    add(p[0], EPOLLIN);
    EXPECT(wait_now() == 0);
    EXPECT(write(p[1], "ab", 2) == 2 && wait_now() == 1 && events[0].events == EPOLLIN);
    EXPECT(events[0].data.u64 == 1000u + (uint64_t)p[0]);
    EXPECT(read(p[0], &byte, 1) == 1 && wait_now() == 1 && read(p[0], &byte, 1) == 1 && wait_now() == 0);
    close(p[1]);
    EXPECT(wait_now() == 1 && events[0].events == EPOLLHUP);
    close(p[0]);
    EXPECT(wait_now() == 0);
}

static void edge(void) {
    int p[2];
    char byte;
    NEED(pipe2(p, O_NONBLOCK) == 0);
    add(p[0], EPOLLIN | EPOLLET);
    EXPECT(write(p[1], "ab", 2) == 2 && wait_now() == 1 && wait_now() == 0);
    EXPECT(read(p[0], &byte, 1) == 1 && wait_now() == 0);
    EXPECT(write(p[1], "c", 1) == 1 && wait_now() == 1 && wait_now() == 0);
    // Changing the entry arms it again.
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = 7};
    EXPECT(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &event) == 0 && wait_now() == 1 && events[0].data.fd == 7);
    EXPECT(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL) == 0);
    close(p[0]), close(p[1]);
}

static void once(void) {
    int p[2];
    NEED(pipe(p) == 0);
    add(p[0], EPOLLIN | EPOLLONESHOT);
    EXPECT(write(p[1], "ab", 2) == 2 && wait_now() == 1 && wait_now() == 0);
    EXPECT(write(p[1], "ab", 2) == 2 && wait_now() == 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
    EXPECT(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &event) == 0 && wait_now() == 1 && wait_now() == 0);
    close(p[0]), close(p[1]);
}

static void many(void) {
    // Events beyond the array come with the next call.
    int p[8][2];
    for (int i = 0; i < 8; i++) {
        NEED(pipe(p[i]) == 0);
        add(p[i][0], EPOLLIN);
        EXPECT(write(p[i][1], "x", 1) == 1);
    }
    int seen = 0;
    for (int round = 0; round < 4; round++) {
        int n = epoll_wait(ep, events, 3, 0);
        EXPECT(n == 3);
        for (int i = 0; i < n; i++) seen |= 1 << (events[i].data.u64 - 1000 - (uint64_t)p[0][0]) / 2;
    }
    EXPECT(seen == 0xff);
    // A duplicate keeps the entry alive after the descriptor is closed.
    int copy = dup(p[0][0]);
    close(p[0][0]);
    EXPECT(wait_now() == 8);
    close(copy);
    EXPECT(wait_now() == 7);
    for (int i = 0; i < 8; i++) close(p[i][0]), close(p[i][1]);
}

static void *write_later(void *fd) {
    sleep_ms(30);
    EXPECT(write((int)(intptr_t)fd, "x", 1) == 1);
    return NULL;
}

static void blocking_and_nested(void) {
    int p[2], outer = epoll_create1(0);
    NEED(pipe(p) == 0 && outer >= 0);
    add(p[0], EPOLLIN);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5};
    EXPECT(epoll_ctl(outer, EPOLL_CTL_ADD, ep, &event) == 0);
    FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, outer, &event), ELOOP);
    EXPECT(epoll_wait(outer, events, 1, 20) == 0);
    pthread_t writer;
    NEED(pthread_create(&writer, NULL, write_later, (void *)(intptr_t)p[1]) == 0);
    EXPECT(epoll_wait(outer, events, 1, 10000) == 1 && events[0].data.u32 == 5);
    EXPECT(epoll_wait(ep, events, 1, 10000) == 1);
    NEED(pthread_join(writer, NULL) == 0);
    EXPECT(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], NULL) == 0);
    close(outer);
}

static void errors(void) {
    struct epoll_event event = {.events = EPOLLIN};
    int p[2], file = open("/tmp", O_RDONLY);
    NEED(pipe(p) == 0);
    FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, file, &event), EPERM);
    FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &event), EINVAL);
    FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, 999, &event), EBADF);
    FAILS(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &event), ENOENT);
    FAILS(epoll_ctl(ep, EPOLL_CTL_DEL, p[0], &event), ENOENT);
    FAILS(epoll_ctl(ep, 9, p[0], &event), EINVAL);
    add(p[0], EPOLLIN);
    FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event), EEXIST);
    FAILS(epoll_wait(p[0], events, 1, 0), EINVAL);
    FAILS(epoll_wait(ep, events, 0, 0), EINVAL);
    FAILS(epoll_create1(0x40), EINVAL);
    FAILS(syscall(SYS_epoll_create, 0), EINVAL);
}

int main(void) {
    ep = epoll_create1(EPOLL_CLOEXEC);
    NEED(ep >= 0);
    EXPECT(fcntl(ep, F_GETFD) == FD_CLOEXEC);
    level();
    part("level");
    edge();
    part("edge");
    once();
    part("one shot");
    many();
    part("many");
    blocking_and_nested();
    part("blocking and nested");
    errors();
    return done();
}
