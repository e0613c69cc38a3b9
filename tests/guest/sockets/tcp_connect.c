// connect: non-blocking, refused, again, dissolved; what poll and SO_ERROR say meanwhile.
#include "inet.h"

#define OVER (POLLIN | POLLOUT | POLLRDHUP | POLLHUP)

static union address nobody(void) {
    int fd = tcp4();
    NEED(bind_to(fd, at4("127.0.0.1", 0)) == 0);
    union address a = name_of(fd);
    close(fd);
    return a;
}

static void not_blocking(void) {
    int listener = listen4(5);
    int fd = tcp4();
    EXPECT(events_of(fd, POLLOUT | POLLHUP) == (POLLOUT | POLLHUP));
    nonblocking(fd);
    FAILS(connect_to(fd, name_of(listener)), EINPROGRESS);
    EXPECT(events_of(fd, POLLOUT) == POLLOUT);
    EXPECT(get(fd, SOL_SOCKET, SO_ERROR) == 0);
    EXPECT(connect_to(fd, name_of(listener)) == 0);
    FAILS(connect_to(fd, name_of(listener)), EISCONN);
    EXPECT(events_of(listener, POLLIN) == POLLIN);
    union address local = name_of(fd), peer;
    EXPECT(is_at(&local, "127.0.0.1") && local.v4.sin_port != 0);
    socklen_t length = sizeof peer;
    EXPECT(getpeername(fd, &peer.any, &length) == 0 && peer.v4.sin_port == name_of(listener).v4.sin_port);
    close(fd), close(listener);
}

static void refused(void) {
    union address to = nobody();
    int fd = tcp4();
    FAILS(connect_to(fd, to), ECONNREFUSED);
    FAILS(connect_to(fd, to), ECONNREFUSED);
    nonblocking(fd);
    FAILS(connect_to(fd, to), EINPROGRESS);
    EXPECT(events_of(fd, OVER | POLLERR) == (OVER | POLLERR));
    EXPECT(get(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
    EXPECT(get(fd, SOL_SOCKET, SO_ERROR) == 0);
    EXPECT(events_of(fd, OVER) == OVER);
    union address peer;
    socklen_t length = sizeof peer;
    FAILS(getpeername(fd, &peer.any, &length), ENOTCONN);
    FAILS(connect_to(fd, to), ECONNABORTED);
    // What has failed may succeed later.
    int listener = tcp4();
    NEED(set(listener, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
    NEED(bind_to(listener, to) == 0 && listen(listener, 1) == 0);
    FAILS(connect_to(fd, to), EINPROGRESS);
    EXPECT(events_of(fd, POLLOUT) == POLLOUT);
    close(fd), close(listener);
}

static void dissolved(void) {
    int pair[2], listener = listen4(5);
    make_pair(pair);
    struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    EXPECT(connect(pair[0], &unspecified, sizeof unspecified) == 0);
    EXPECT(events_of(pair[0], POLLOUT | POLLHUP | POLLERR) == (POLLOUT | POLLHUP | POLLERR));
    char byte;
    FAILS(recv(pair[1], &byte, 1, 0), ECONNRESET);
    FAILS(recv(pair[0], &byte, 1, 0), ECONNRESET);
    EXPECT(events_of(pair[0], POLLOUT | POLLHUP) == (POLLOUT | POLLHUP));
    FAILS(recv(pair[0], &byte, 1, 0), ENOTCONN);
    EXPECT(connect_to(pair[0], name_of(listener)) == 0);
    EXPECT(send(pair[0], "x", 1, 0) == 1);
    close(pair[0]), close(pair[1]), close(listener);
}

static void addresses(void) {
    int listener = tcp4();
    NEED(bind_to(listener, at4("0.0.0.0", 0)) == 0 && listen(listener, 5) == 0);
    // Any address of the loopback network, and the unspecified one.
    const char *ips[] = {"127.0.0.1", "127.1.2.3", "0.0.0.0"};
    const char *servers[] = {"127.0.0.1", "127.1.2.3", "127.0.0.1"};
    for (int i = 0; i < 3; i++) {
        int fd = tcp4();
        EXPECT(connect_to(fd, same_port(at4(ips[i], 0), listener)) == 0);
        union address peer, local = name_of(fd);
        socklen_t length = sizeof peer;
        int server = accept(listener, &peer.any, &length);
        EXPECT(is_at(&local, "127.0.0.1") && peer.v4.sin_port == local.v4.sin_port);
        union address own = name_of(server);
        EXPECT(is_at(&own, servers[i]));
        close(fd), close(server);
    }
    // From an address and a port of one's choice.
    int fd = tcp4();
    EXPECT(bind_to(fd, at4("127.9.9.9", 0)) == 0);
    union address before = name_of(fd);
    EXPECT(connect_to(fd, same_port(at4("127.0.0.1", 0), listener)) == 0);
    union address after = name_of(fd);
    EXPECT(is_at(&after, "127.9.9.9") && before.v4.sin_port == after.v4.sin_port);
    close(fd), close(listener);
}

int main(void) {
    not_blocking();
    part("not blocking");
    refused();
    part("refused");
    dissolved();
    part("dissolved");
    addresses();
    part("addresses");
    return done();
}
