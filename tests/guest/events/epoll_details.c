// epoll(7): exclusive watchers, instances that watch each other, edge-triggered reports, descriptors that are closed.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static int add(int epoll, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static int modify(int epoll, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event);
}

static int ready(int epoll) {
    struct epoll_event events[8];
    return epoll_wait(epoll, events, 8, 0);
}

static atomic_int waiting, woken;

static void *wait_exclusively(void *shared) {
    int epoll = epoll_create1(0);
    NEED(epoll >= 0 && add(epoll, *(int *)shared, EPOLLIN | EPOLLEXCLUSIVE | EPOLLET) == 0);
    atomic_fetch_add(&waiting, 1);
    struct epoll_event event;
    if (epoll_wait(epoll, &event, 1, 400) == 1) atomic_fetch_add(&woken, 1);
    close(epoll);
    return NULL;
}

static void *wait_alike(void *shared) {
    int epoll = epoll_create1(0);
    NEED(epoll >= 0 && add(epoll, *(int *)shared, EPOLLIN | EPOLLET) == 0);
    atomic_fetch_add(&waiting, 1);
    struct epoll_event event;
    if (epoll_wait(epoll, &event, 1, 400) == 1) atomic_fetch_add(&woken, 1);
    close(epoll);
    return NULL;
}

static int woken_of(int count, void *(*run)(void *)) {
    int fd = eventfd(0, EFD_NONBLOCK);
    pthread_t threads[8];
    atomic_store(&waiting, 0), atomic_store(&woken, 0);
    for (int i = 0; i < count; i++) NEED(pthread_create(&threads[i], NULL, run, &fd) == 0);
    while (atomic_load(&waiting) < count) sleep_ms(1);
    sleep_ms(50);
    EXPECT(write(fd, &(uint64_t){1}, 8) == 8);
    for (int i = 0; i < count; i++) NEED(pthread_join(threads[i], NULL) == 0);
    close(fd);
    return atomic_load(&woken);
}

static void exclusive(void) {
    EXPECT(woken_of(4, wait_alike) == 4);
    EXPECT(woken_of(4, wait_exclusively) == 1);
    int epoll = epoll_create1(0), inner = epoll_create1(0), fd = eventfd(0, 0);
    FAILS(add(epoll, inner, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    FAILS(add(epoll, fd, EPOLLIN | EPOLLONESHOT | EPOLLEXCLUSIVE), EINVAL);
    FAILS(add(epoll, fd, EPOLLIN | EPOLLPRI | EPOLLEXCLUSIVE), EINVAL);
    EXPECT(add(epoll, fd, EPOLLIN | EPOLLEXCLUSIVE) == 0);
    FAILS(modify(epoll, fd, EPOLLIN), EINVAL);
    FAILS(modify(epoll, fd, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
    close(epoll), close(inner), close(fd);
}

static void nested(void) {
    int chain[8];
    for (int i = 0; i < 8; i++) chain[i] = epoll_create1(0);
    FAILS(add(chain[0], chain[0], EPOLLIN), EINVAL);
    EXPECT(add(chain[1], chain[0], EPOLLIN) == 0);
    FAILS(add(chain[0], chain[1], EPOLLIN), ELOOP);
    EXPECT(add(chain[2], chain[1], EPOLLIN) == 0);
    FAILS(add(chain[0], chain[2], EPOLLIN), ELOOP);
    EXPECT(add(chain[3], chain[2], EPOLLIN) == 0);
    EXPECT(add(chain[4], chain[3], EPOLLIN) == 0);
    FAILS(add(chain[5], chain[4], EPOLLIN), ELOOP);
    EXPECT(epoll_ctl(chain[4], EPOLL_CTL_DEL, chain[3], NULL) == 0);
    int fd = eventfd(0, 0);
    EXPECT(add(chain[0], fd, EPOLLIN) == 0 && ready(chain[3]) == 0);
    EXPECT(write(fd, &(uint64_t){1}, 8) == 8);
    EXPECT(ready(chain[3]) == 1 && ready(chain[3]) == 1 && ready(chain[0]) == 1);
    EXPECT(read(fd, &(uint64_t){0}, 8) == 8 && ready(chain[3]) == 0 && ready(chain[0]) == 0);
    close(chain[0]);
    EXPECT(write(fd, &(uint64_t){1}, 8) == 8 && ready(chain[1]) == 0);
    for (int i = 1; i < 8; i++) close(chain[i]);
    close(fd);
}

static void edges(void) {
    int epoll = epoll_create1(0), fds[2], copy;
    NEED(pipe2(fds, O_NONBLOCK) == 0);
    EXPECT(add(epoll, fds[0], EPOLLIN | EPOLLET) == 0 && ready(epoll) == 0);
    EXPECT(write(fds[1], "a", 1) == 1 && ready(epoll) == 1 && ready(epoll) == 0);
    EXPECT(write(fds[1], "b", 1) == 1 && ready(epoll) == 1 && ready(epoll) == 0);
    EXPECT(modify(epoll, fds[0], EPOLLIN | EPOLLET) == 0 && ready(epoll) == 1);
    EXPECT(modify(epoll, fds[0], EPOLLIN | EPOLLONESHOT) == 0 && ready(epoll) == 1);
    EXPECT(write(fds[1], "c", 1) == 1 && ready(epoll) == 0);
    EXPECT(modify(epoll, fds[0], 0) == 0 && ready(epoll) == 0);
    // A description that is open elsewhere goes on reporting; the descriptor is gone, so that nothing can take it out.
    EXPECT(modify(epoll, fds[0], EPOLLIN) == 0);
    copy = dup(fds[0]);
    close(fds[0]);
    EXPECT(ready(epoll) == 1);
    FAILS(epoll_ctl(epoll, EPOLL_CTL_DEL, fds[0], NULL), EBADF);
    close(copy);
    EXPECT(ready(epoll) == 0);
    close(epoll), close(fds[1]);
}

static void hang_ups(void) {
    int epoll = epoll_create1(0), pair[2];
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    EXPECT(add(epoll, pair[0], EPOLLIN | EPOLLRDHUP) == 0);
    struct epoll_event event;
    EXPECT(shutdown(pair[1], SHUT_WR) == 0);
    EXPECT(epoll_wait(epoll, &event, 1, 0) == 1 && event.events == (EPOLLIN | EPOLLRDHUP));
    close(pair[1]);
    EXPECT(epoll_wait(epoll, &event, 1, 0) == 1 && event.events == (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
    int file = open("/proc/self/exe", O_RDONLY);
    FAILS(add(epoll, file, EPOLLIN), EPERM);
    FAILS(epoll_wait(epoll, &event, 0, 0), EINVAL);
    FAILS(epoll_wait(file, &event, 1, 0), EINVAL);
    FAILS(epoll_wait(epoll, (void *)8, 1, 0), EFAULT);
    close(epoll), close(pair[0]), close(file);
}

int main(void) {
    exclusive();
    part("exclusive");
    nested();
    part("nested");
    edges();
    part("edges");
    hang_ups();
    return done();
}
