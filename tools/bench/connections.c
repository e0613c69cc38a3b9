// Connections as a client of redis makes them: how many a second, or many that only wait.
//   connections rate ADDRESS PORT SECONDS   opens, asks QUIT, reads to the end; prints connections a second
//   connections idle ADDRESS PORT COUNT     opens them, asks PING on each, prints "ready", keeps them until its input ends
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { AT_ONCE = 32 };

static struct sockaddr_in server = {.sin_family = AF_INET};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void open_one(int epoll) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) fail("connect");
    struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
}

// Connected: ask. Nothing is left to write afterwards.
static void ask_quit(int epoll, int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    if (error != 0) fail("connect");
    if (send(fd, "QUIT\r\n", 6, MSG_NOSIGNAL) != 6) fail("send");
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) < 0) fail("epoll_ctl");
}

// 1 when the server has closed the connection.
static int ended(int fd) {
    char answer[64];
    for (;;) {
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        if (got == 0) return 1;
        if (got < 0 && errno == EAGAIN) return 0;
        if (got < 0) fail("recv");
    }
}

static void rate(double seconds) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < AT_ONCE; i++) open_one(epoll);
    long done = 0;
    double start = now(), end = start + seconds;
    while (now() < end) {
        struct epoll_event events[AT_ONCE];
        int count = epoll_wait(epoll, events, AT_ONCE, 10000);
        if (count <= 0) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (events[i].events & EPOLLOUT) {
                ask_quit(epoll, fd);
            } else if (ended(fd)) {
                close(fd);
                done++;
                open_one(epoll);
            }
        }
    }
    printf("%.1f\n", done / (now() - start));
}

static void idle(long count) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (long i = 0; i < count; i++) {
        char answer[7];
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) fail("socket");
        // They end by a reset: many runs would use up the ports, which TIME_WAIT holds for a minute.
        struct linger reset = {.l_onoff = 1};
        if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0) fail("setsockopt");
        if (connect(fd, (struct sockaddr *)&server, sizeof server) < 0) fail("connect");
        if (send(fd, "PING\r\n", 6, MSG_NOSIGNAL) != 6) fail("send");
        if (recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer) fail("recv");
    }
    puts("ready");
    fflush(stdout);
    while (getchar() != EOF) {
    }
}

int main(int argc, char **argv) {
    if (argc != 5 || inet_pton(AF_INET, argv[2], &server.sin_addr) != 1) return 2;
    server.sin_port = htons(atoi(argv[3]));
    if (strcmp(argv[1], "rate") == 0) {
        rate(atof(argv[4]));
    } else {
        idle(atol(argv[4]));
    }
    return 0;
}
