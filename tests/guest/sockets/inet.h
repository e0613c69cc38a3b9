// What the programs about AF_INET and AF_INET6 share.
#ifndef INET_H
#define INET_H

#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static inline union address at4(const char *ip, int port) {
    union address a = {.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    NEED(inet_pton(AF_INET, ip, &a.v4.sin_addr) == 1);
    return a;
}

static inline union address at6(const char *ip, int port) {
    union address a = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}};
    NEED(inet_pton(AF_INET6, ip, &a.v6.sin6_addr) == 1);
    return a;
}

static inline socklen_t size_of(const union address *a) {
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

static inline int bind_to(int fd, union address a) { return bind(fd, &a.any, size_of(&a)); }
static inline int connect_to(int fd, union address a) { return connect(fd, &a.any, size_of(&a)); }

static inline union address name_of(int fd) {
    union address a;
    socklen_t length = sizeof a;
    NEED(getsockname(fd, &a.any, &length) == 0 && length == size_of(&a));
    return a;
}

// The same port at another address.
static inline union address same_port(union address a, int fd) {
    a.v4.sin_port = name_of(fd).v4.sin_port;
    return a;
}

static inline const char *ip_text(const union address *a, char *into) {
    const void *ip = a->any.sa_family == AF_INET6 ? (const void *)&a->v6.sin6_addr : &a->v4.sin_addr;
    return inet_ntop(a->any.sa_family, ip, into, INET6_ADDRSTRLEN);
}

static inline int is_at(const union address *a, const char *ip) {
    char text[INET6_ADDRSTRLEN];
    return strcmp(ip_text(a, text), ip) == 0;
}

static inline int set(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}

static inline int get(int fd, int level, int name) {
    int value = -12345;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) == 0 ? value : -54321;
}

static inline int tcp4(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    NEED(fd >= 0);
    return fd;
}

static inline int udp4(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    NEED(fd >= 0);
    return fd;
}

// A listening socket at some port of 127.0.0.1.
static inline int listen4(int backlog) {
    int fd = tcp4();
    NEED(bind_to(fd, at4("127.0.0.1", 0)) == 0 && listen(fd, backlog) == 0);
    return fd;
}

// Both ends of a connection.
static inline void make_pair(int pair[2]) {
    int listener = listen4(1);
    pair[0] = tcp4();
    NEED(connect_to(pair[0], name_of(listener)) == 0);
    pair[1] = accept(listener, NULL, NULL);
    NEED(pair[1] >= 0);
    close(listener);
}

// The events that hold, at the latest when `wanted` do.
static inline int events_of(int fd, int wanted) {
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};
    for (int tries = 0; tries < 1000; tries++) {
        NEED(poll(&p, 1, 0) >= 0);
        if (p.revents == wanted) break;
        sleep_ms(1);
    }
    return p.revents;
}

static inline void nonblocking(int fd) { NEED(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0); }

#endif
