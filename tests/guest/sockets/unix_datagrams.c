// Datagrams: names, who may send to whom, full queues, receivers that go.
#include "unix_sockets.h"

#include <poll.h>
#include <pthread.h>

static char buffer[64];

static int bound(const char *name) {
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    NEED(fd >= 0 && unix_bind(fd, name) == 0);
    return fd;
}

static int is_from(int fd, const char *text) {
    struct unix_name wanted = unix_name(text), from = {.length = sizeof from.address};
    if (recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from.address, &from.length) < 0) return 0;
    if (text[0] == 0) return from.length == 0;
    return from.length == wanted.length && memcmp(&from.address, &wanted.address, from.length) == 0;
}

static void conversation(void) {
    int server = bound("server"), client = bound("@datagram-client"), unnamed = socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT(unix_send_to(client, "ask", 0, "server") == 3 && is_from(server, "@datagram-client"));
    EXPECT(unix_send_to(server, "answer", 0, "@datagram-client") == 6 && is_from(client, "server"));
    EXPECT(unix_send_to(unnamed, "x", 0, "server") == 1 && is_from(server, ""));
    EXPECT(unix_connect(unnamed, "server") == 0 && is_named(unnamed, 1, "server"));
    EXPECT(send(unnamed, "x", 1, 0) == 1 && unix_send_to(unnamed, "y", 0, "@datagram-client") == 1);
    close(server);
    FAILS(send(unnamed, "x", 1, 0), ECONNREFUSED);
    FAILS(send(unnamed, "x", 1, 0), ENOTCONN);
    FAILS(unix_send_to(client, "x", 0, "server"), ECONNREFUSED);
    close(client), close(unnamed);
    EXPECT(unlink("server") == 0);
}

static void connected(void) {
    int a = bound("a"), b = bound("b"), c = socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT(unix_connect(a, "b") == 0);
    FAILS(unix_send_to(c, "x", 0, "a"), EPERM);
    FAILS(unix_connect(c, "a"), EPERM);
    EXPECT(unix_send_to(b, "x", 0, "a") == 1 && unix_connect(b, "a") == 0);
    // Giving up the association loses what came through it, and the other end hears of it.
    struct sockaddr nothing = {.sa_family = AF_UNSPEC};
    EXPECT(connect(a, &nothing, sizeof nothing) == 0);
    FAILS(recv(a, buffer, 9, MSG_DONTWAIT), EAGAIN);
    EXPECT(int_option(b, SO_ERROR) == ECONNRESET && int_option(b, SO_ERROR) == 0);
    FAILS(send(a, "x", 1, 0), ENOTCONN);
    EXPECT(unix_send_to(c, "x", 0, "a") == 1);
    close(a), close(b), close(c);
}

static void *late_reader(void *argument) {
    sleep_ms(50);
    EXPECT(recv((int)(intptr_t)argument, buffer, 9, 0) == 1);
    return NULL;
}

static void full(void) {
    int server = bound("@full"), client = socket(AF_UNIX, SOCK_DGRAM, 0), sent = 0;
    while (unix_send_to(client, "x", MSG_DONTWAIT, "@full") == 1) sent++;
    FAILS(unix_send_to(client, "x", MSG_DONTWAIT, "@full"), EAGAIN);
    EXPECT(sent == 11);
    EXPECT(unix_connect(client, "@full") == 0);
    struct pollfd watched = {client, POLLOUT, 0};
    EXPECT(poll(&watched, 1, 0) == 0);
    pthread_t reader;
    NEED(pthread_create(&reader, NULL, late_reader, (void *)(intptr_t)server) == 0);
    EXPECT(poll(&watched, 1, 10000) == 1 && watched.revents == POLLOUT && send(client, "y", 1, 0) == 1);
    pthread_join(reader, NULL);
    NEED(pthread_create(&reader, NULL, late_reader, (void *)(intptr_t)server) == 0);
    EXPECT(send(client, "z", 1, 0) == 1);
    pthread_join(reader, NULL);
    close(server), close(client);
}

static void itself(void) {
    int me = bound("@me");
    EXPECT(unix_connect(me, "@me") == 0);
    for (int i = 0; i < 20; i++) EXPECT(send(me, "x", 1, MSG_DONTWAIT) == 1);
    EXPECT(is_from(me, "@me"));
    close(me);
}

static void shut(void) {
    int s[2];
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    EXPECT(shutdown(s[1], SHUT_RD) == 0);
    FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT(recv(s[1], buffer, 1, 0) == 0 && send(s[1], "x", 1, 0) == 1);
    close(s[0]), close(s[1]);
}

int main(void) {
    enter_scratch();
    conversation();
    part("conversation");
    connected();
    part("connected");
    full();
    part("full");
    itself();
    shut();
    return done();
}
