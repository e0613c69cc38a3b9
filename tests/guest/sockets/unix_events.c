// What poll and epoll say through the life of Unix sockets.
#include "unix_sockets.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>

enum { READ = POLLIN | POLLRDNORM, WRITE = POLLOUT | POLLWRNORM | POLLWRBAND };

static char buffer[300000];

static int events(int fd) {
    struct pollfd watched = {fd, READ | WRITE | POLLPRI | POLLRDBAND | POLLRDHUP, 0};
    return poll(&watched, 1, 0) < 0 ? -1 : watched.revents;
}

static void single(void) {
    int stream = socket(AF_UNIX, SOCK_STREAM, 0), packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    int datagrams = socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT(events(stream) == (WRITE | POLLHUP) && events(packets) == (WRITE | POLLHUP) && events(datagrams) == WRITE);
    EXPECT(shutdown(stream, SHUT_RDWR) == 0 && events(stream) == (READ | WRITE | POLLRDHUP | POLLHUP));
    close(stream), close(packets), close(datagrams);
}

static void connection(int type) {
    int listener = unix_listener(type, "@events", 1), client = socket(AF_UNIX, type, 0);
    EXPECT(events(listener) == 0 && unix_connect(client, "@events") == 0 && events(listener) == READ);
    int server = accept(listener, NULL, NULL);
    EXPECT(events(listener) == 0 && events(client) == WRITE && events(server) == WRITE);
    EXPECT(send(client, "x", 1, 0) == 1 && events(server) == (READ | WRITE) && events(client) == WRITE);
    EXPECT(recv(server, buffer, 9, 0) == 1 && events(server) == WRITE);
    EXPECT(shutdown(client, SHUT_WR) == 0 && events(client) == WRITE && events(server) == (READ | WRITE | POLLRDHUP));
    EXPECT(send(server, "unread", 6, 0) == 6);
    close(server);
    EXPECT(events(client) == (READ | WRITE | POLLRDHUP | POLLHUP));
    close(client);
    client = socket(AF_UNIX, type, 0);
    EXPECT(unix_connect(client, "@events") == 0 && send(client, "unread", 6, 0) == 6);
    close(listener);
    EXPECT(events(client) == (READ | WRITE | POLLRDHUP | POLLHUP | POLLERR));
    FAILS(recv(client, buffer, 9, 0), ECONNRESET);
    EXPECT(events(client) == (READ | WRITE | POLLRDHUP | POLLHUP));
    close(client);
}

static void *drain(void *argument) {
    int fd = (int)(intptr_t)argument;
    sleep_ms(30);
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {}
    return NULL;
}

static void writable(int type) {
    int s[2];
    NEED(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s) == 0);
    while (send(s[0], buffer, 4096, 0) > 0) {}
    FAILS(send(s[0], buffer, 1, 0), EAGAIN);
    EXPECT(events(s[0]) == 0 && events(s[1]) == (READ | WRITE));
    struct pollfd watched = {s[0], POLLOUT, 0};
    pthread_t reader;
    NEED(pthread_create(&reader, NULL, drain, (void *)(intptr_t)s[1]) == 0);
    EXPECT(poll(&watched, 1, 10000) == 1 && watched.revents == POLLOUT);
    pthread_join(reader, NULL);
    EXPECT(events(s[0]) == WRITE);
    close(s[0]), close(s[1]);
}

static void edges(void) {
    int s[2], ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET}, got;
    NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
    EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &event) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
    EXPECT(write(s[1], "ab", 2) == 2 && epoll_wait(ep, &got, 1, 0) == 1 && got.events == EPOLLIN);
    EXPECT(epoll_wait(ep, &got, 1, 0) == 0);
    EXPECT(write(s[1], "c", 1) == 1 && epoll_wait(ep, &got, 1, 0) == 1 && got.events == EPOLLIN);
    EXPECT(shutdown(s[1], SHUT_WR) == 0 && epoll_wait(ep, &got, 1, 0) == 1 && got.events == (EPOLLIN | EPOLLRDHUP));
    EXPECT(epoll_wait(ep, &got, 1, 0) == 0);
    close(s[1]);
    EXPECT(epoll_wait(ep, &got, 1, 0) == 1 && got.events == (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
    EXPECT(read(s[0], buffer, 9) == 3 && read(s[0], buffer, 9) == 0);
    close(s[0]), close(ep);
}

static void *late_writer(void *argument) {
    sleep_ms(30);
    EXPECT(write((int)(intptr_t)argument, "late", 4) == 4);
    return NULL;
}

static void waiting(void) {
    int s[2], ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 5}, got;
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &event) == 0);
    pthread_t writer;
    NEED(pthread_create(&writer, NULL, late_writer, (void *)(intptr_t)s[1]) == 0);
    EXPECT(epoll_wait(ep, &got, 1, 10000) == 1 && got.events == EPOLLIN && got.data.u32 == 5);
    EXPECT(read(s[0], buffer, 9) == 4);
    pthread_join(writer, NULL);
    // A blocking read ends when the other end closes.
    NEED(pthread_create(&writer, NULL, late_writer, (void *)(intptr_t)s[1]) == 0);
    EXPECT(read(s[0], buffer, 9) == 4);
    pthread_join(writer, NULL);
    // A timeout.
    struct timeval time = {0, 20000};
    EXPECT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
    FAILS(read(s[0], buffer, 9), EAGAIN);
    close(s[0]), close(s[1]), close(ep);
}

int main(void) {
    single();
    connection(SOCK_STREAM);
    connection(SOCK_SEQPACKET);
    part("connection");
    writable(SOCK_STREAM);
    writable(SOCK_DGRAM);
    writable(SOCK_SEQPACKET);
    part("writable");
    edges();
    part("edges");
    waiting();
    return done();
}
