// Edge-triggered epoll over TCP: many small messages and full buffers, and no edge is lost.
#include "inet.h"

#include <pthread.h>
#include <sys/epoll.h>

enum { CONNECTIONS = 20, ROUNDS = 300, BULK = 4 << 20 };

static union address server;

// Reads whatever there is, only when epoll says so, and sends it back.
static void *echo(void *argument) {
    int ep = *(int *)argument, open = CONNECTIONS;
    struct epoll_event events[8];
    char buffer[64];
    while (open > 0) {
        int n = epoll_wait(ep, events, 8, 10000);
        NEED(n > 0);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            ssize_t got;
            while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0) NEED(send(fd, buffer, (size_t)got, 0) == got);
            if (got == 0) close(fd), open--;
        }
    }
    return NULL;
}

static void *talk(void *argument) {
    int fd = (int)(intptr_t)argument;
    char buffer[64];
    for (int i = 0; i < ROUNDS; i++) {
        int n = snprintf(buffer, sizeof buffer, "message %d", i);
        NEED(send(fd, buffer, (size_t)n, 0) == n);
        char answer[64];
        NEED(recv(fd, answer, (size_t)n, MSG_WAITALL) == n && memcmp(answer, buffer, (size_t)n) == 0);
    }
    close(fd);
    return NULL;
}

static void small_messages(void) {
    int listener = listen4(CONNECTIONS), ep = epoll_create1(0);
    server = name_of(listener);
    pthread_t echoing, talking[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) {
        int client = tcp4();
        NEED(connect_to(client, server) == 0);
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
        NEED(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
        NEED(pthread_create(&talking[i], NULL, talk, (void *)(intptr_t)client) == 0);
    }
    NEED(pthread_create(&echoing, NULL, echo, &ep) == 0);
    for (int i = 0; i < CONNECTIONS; i++) pthread_join(talking[i], NULL);
    pthread_join(echoing, NULL);
    close(listener), close(ep);
}

static void *drain(void *argument) {
    int fd = *(int *)argument;
    static char buffer[100000];
    size_t got = 0;
    ssize_t n;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) got += (size_t)n;
    EXPECT(n == 0 && got == BULK);
    return NULL;
}

// Writes until the buffer is full, then waits for the edge.
static void bulk(void) {
    int p[2], ep = epoll_create1(0);
    make_pair(p);
    nonblocking(p[0]);
    struct epoll_event event = {.events = EPOLLOUT | EPOLLET};
    NEED(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &event) == 0);
    pthread_t reader;
    NEED(pthread_create(&reader, NULL, drain, &p[1]) == 0);
    static char buffer[30000];
    for (size_t sent = 0; sent < BULK;) {
        size_t wanted = BULK - sent < sizeof buffer ? BULK - sent : sizeof buffer;
        ssize_t n = send(p[0], buffer, wanted, 0);
        if (n >= 0) {
            sent += (size_t)n;
            continue;
        }
        int error = errno;
        NEED(error == EAGAIN && epoll_wait(ep, &event, 1, 10000) == 1);
    }
    shutdown(p[0], SHUT_WR);
    pthread_join(reader, NULL);
    close(p[0]), close(p[1]), close(ep);
}

// The edges themselves.
static void edges(void) {
    int p[2], ep = epoll_create1(0);
    make_pair(p);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET}, got;
    NEED(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &event) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
    EXPECT(send(p[0], "a", 1, 0) == 1 && epoll_wait(ep, &got, 1, 1000) == 1 && got.events == EPOLLIN);
    EXPECT(epoll_wait(ep, &got, 1, 0) == 0);
    // More data is a new edge, even if nothing was read.
    EXPECT(send(p[0], "b", 1, 0) == 1 && epoll_wait(ep, &got, 1, 1000) == 1 && got.events == EPOLLIN);
    EXPECT(shutdown(p[0], SHUT_WR) == 0 && epoll_wait(ep, &got, 1, 1000) == 1);
    EXPECT(got.events == (EPOLLIN | EPOLLRDHUP) && epoll_wait(ep, &got, 1, 0) == 0);
    close(p[0]), close(p[1]), close(ep);
}

int main(void) {
    edges();
    part("edges");
    small_messages();
    part("small messages");
    bulk();
    part("bulk");
    return done();
}
