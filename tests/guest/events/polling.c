// poll and ppoll: readiness, hang-up, invalid descriptors, time limits, signal masks.
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t count;
static void on_signal(int signal) { (void)signal, count++; }

static void *write_later(void *fd) {
    sleep_ms(30);
    EXPECT(write((int)(intptr_t)fd, "x", 1) == 1);
    return NULL;
}

static void readiness(void) {
    int p[2];
    NEED(pipe(p) == 0);
    struct pollfd set[3] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}, {-1, POLLIN, 7}};
    EXPECT(poll(set, 3, 0) == 1 && set[0].revents == 0 && set[1].revents == POLLOUT && set[2].revents == 0);
    EXPECT(write(p[1], "x", 1) == 1 && poll(set, 3, -1) == 2 && set[0].revents == POLLIN);
    static char block[65536];
    EXPECT(write(p[1], block, 65535) == 65535 && poll(set, 2, 0) == 1 && set[1].revents == 0);
    close(p[1]);
    EXPECT(poll(set, 1, 0) == 1 && set[0].revents == (POLLIN | POLLHUP));
    EXPECT(read(p[0], block, sizeof block) == 65536 && poll(set, 1, 0) == 1 && set[0].revents == POLLHUP);
    EXPECT(poll(&set[1], 1, 0) == 1 && set[1].revents == POLLNVAL);
    close(p[0]);
    NEED(pipe(p) == 0);
    close(p[0]);
    struct pollfd writer = {p[1], POLLOUT, 0};
    EXPECT(poll(&writer, 1, 0) == 1 && writer.revents == (POLLOUT | POLLERR));
    close(p[1]);
    int fd = open("file", O_CREAT | O_RDWR, 0600);
    struct pollfd file = {fd, POLLIN | POLLOUT | POLLPRI, 0};
    EXPECT(poll(&file, 1, 0) == 1 && file.revents == (POLLIN | POLLOUT));
    close(fd);
}

static void time_limits(void) {
    int64_t start = now_ns(CLOCK_MONOTONIC);
    EXPECT(poll(NULL, 0, 20) == 0 && now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    int p[2];
    NEED(pipe(p) == 0);
    struct pollfd one = {p[0], POLLIN, 0};
    struct timespec limit = {0, 20000000};
    start = now_ns(CLOCK_MONOTONIC);
    EXPECT(ppoll(&one, 1, &limit, NULL) == 0 && now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    limit.tv_nsec = -1;
    FAILS(ppoll(&one, 1, &limit, NULL), EINVAL);
    FAILS(poll((struct pollfd *)8, 1, 0), EFAULT);
    pthread_t writer;
    NEED(pthread_create(&writer, NULL, write_later, (void *)(intptr_t)p[1]) == 0);
    EXPECT(poll(&one, 1, 10000) == 1 && one.revents == POLLIN);
    NEED(pthread_join(writer, NULL) == 0);
}

static void masks(void) {
    sigset_t blocked, none;
    sigemptyset(&none), sigemptyset(&blocked), sigaddset(&blocked, SIGUSR1);
    signal(SIGUSR1, on_signal);
    NEED(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0 && raise(SIGUSR1) == 0);
    struct timespec limit = {10, 0};
    EXPECT(count == 0);
    FAILS(ppoll(NULL, 0, &limit, &none), EINTR);
    EXPECT(count == 1);
    EXPECT(raise(SIGUSR1) == 0 && poll(NULL, 0, 10) == 0 && count == 1);
}

int main(void) {
    enter_scratch();
    readiness();
    part("readiness");
    time_limits();
    part("time limits");
    masks();
    return done();
}
