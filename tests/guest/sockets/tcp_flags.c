// MSG_* flags, buffers that fill up, FIONREAD, low water, wrong uses.
#include "inet.h"

static char buffer[1 << 16];

static void flags(void) {
    int p[2], n = 0;
    make_pair(p);
    EXPECT(send(p[0], "0123456789", 10, MSG_MORE) == 10 && send(p[0], "ab", 2, 0) == 2);
    EXPECT(recv(p[1], buffer, 12, MSG_WAITALL) == 12 && !memcmp(buffer, "0123456789ab", 12));
    EXPECT(send(p[0], "0123456789", 10, 0) == 10);
    EXPECT(events_of(p[1], POLLIN | POLLOUT) == (POLLIN | POLLOUT));
    EXPECT(ioctl(p[1], FIONREAD, &n) == 0 && n == 10);
    EXPECT(recv(p[1], buffer, 4, MSG_PEEK) == 4 && recv(p[1], buffer, 100, MSG_PEEK) == 10);
    // On a stream MSG_TRUNC throws away.
    EXPECT(recv(p[1], NULL, 3, MSG_TRUNC) == 3);
    EXPECT(recv(p[1], buffer, 100, MSG_DONTWAIT) == 7 && buffer[0] == '3');
    FAILS(recv(p[1], buffer, 1, MSG_DONTWAIT), EAGAIN);
    FAILS(recv(p[1], buffer, 1, MSG_OOB), EINVAL);
    FAILS(recv(p[1], buffer, 1, MSG_ERRQUEUE), EAGAIN);
    EXPECT(send(p[0], NULL, 0, 0) == 0 && recv(p[1], NULL, 0, MSG_DONTWAIT) <= 0);
    EXPECT(ioctl(p[0], SIOCATMARK, &n) == 0 && n == 0);
    // An address does not matter any more.
    union address a = at4("127.0.0.1", 1);
    EXPECT(sendto(p[0], "x", 1, 0, &a.any, sizeof a.v4) == 1 && recv(p[1], buffer, 1, 0) == 1);
    close(p[0]), close(p[1]);
}

static void filling(void) {
    int p[2];
    make_pair(p);
    nonblocking(p[0]);
    size_t sent = 0, got = 0;
    ssize_t n;
    while ((n = send(p[0], buffer, sizeof buffer, 0)) > 0) sent += (size_t)n;
    EXPECT(n == -1 && sent > 100000);
    FAILS(send(p[0], buffer, 1, 0), EAGAIN);
    EXPECT(events_of(p[0], 0) == 0);
    while (got < sent && (n = recv(p[1], buffer, sizeof buffer, 0)) > 0) got += (size_t)n;
    EXPECT(got == sent && events_of(p[0], POLLOUT) == POLLOUT);
    close(p[0]), close(p[1]);
    // A smaller buffer holds less.
    make_pair(p);
    nonblocking(p[0]);
    EXPECT(set(p[0], SOL_SOCKET, SO_SNDBUF, 5000) == 0);
    for (sent = 0; (n = send(p[0], buffer, 1000, 0)) > 0;) sent += (size_t)n;
    EXPECT(sent >= 1000 && sent < 2000000);
    close(p[0]), close(p[1]);
}

static void low_water(void) {
    int p[2];
    make_pair(p);
    EXPECT(set(p[1], SOL_SOCKET, SO_RCVLOWAT, 5) == 0 && send(p[0], "1234", 4, 0) == 4);
    sleep_ms(10);
    EXPECT(events_of(p[1], POLLOUT) == POLLOUT);
    EXPECT(send(p[0], "5", 1, 0) == 1 && events_of(p[1], POLLIN | POLLOUT) == (POLLIN | POLLOUT));
    close(p[0]), close(p[1]);
}

static void timeouts(void) {
    int p[2];
    make_pair(p);
    struct timeval soon = {.tv_usec = 30000};
    EXPECT(setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon) == 0);
    int64_t before = now_ns(CLOCK_MONOTONIC);
    FAILS(recv(p[0], buffer, 1, 0), EAGAIN);
    EXPECT(now_ns(CLOCK_MONOTONIC) - before >= 29000000);
    close(p[0]), close(p[1]);
}

static void wrong_uses(void) {
    int fd = tcp4(), listener = listen4(1), p[2], n;
    make_pair(p);
    union address a = at4("127.0.0.1", 1), six = at6("::1", 1);
    socklen_t length = sizeof a;
    FAILS(recv(fd, buffer, 1, 0), ENOTCONN);
    FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
    FAILS(shutdown(fd, SHUT_RD), ENOTCONN);
    FAILS(shutdown(p[0], 3), EINVAL);
    FAILS(accept(fd, NULL, NULL), EINVAL);
    FAILS(accept(p[0], NULL, NULL), EINVAL);
    FAILS(getpeername(fd, &a.any, &length), ENOTCONN);
    FAILS(listen(p[0], 1), EINVAL);
    FAILS(connect_to(listener, a), EISCONN);
    FAILS(connect_to(p[0], a), EISCONN);
    FAILS(recv(listener, buffer, 1, 0), ENOTCONN);
    FAILS(send(listener, "x", 1, MSG_NOSIGNAL), EPIPE);
    FAILS(ioctl(listener, FIONREAD, &n), EINVAL);
    FAILS(connect(fd, &a.any, 4), EINVAL);
    FAILS(connect_to(fd, six), EAFNOSUPPORT);
    FAILS(bind_to(fd, six), EAFNOSUPPORT);
    FAILS(bind_to(listener, a), EINVAL);
    FAILS(bind_to(p[0], at4("127.0.0.1", 0)), EINVAL);
    FAILS(bind_to(fd, at4("192.0.2.1", 0)), EADDRNOTAVAIL);
    FAILS(connect_to(fd, at4("239.1.2.3", 80)), ENETUNREACH);
    FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
    FAILS(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
    FAILS(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
    FAILS(socket(AF_INET, SOCK_STREAM, 300), EINVAL);
    FAILS(socket(AF_INET, 77, 0), EINVAL);
    FAILS(lseek(p[0], 0, SEEK_SET), ESPIPE);
    close(fd), close(listener), close(p[0]), close(p[1]);
}

int main(void) {
    flags();
    part("flags");
    filling();
    part("filling");
    low_water();
    part("low water");
    timeouts();
    part("timeouts");
    wrong_uses();
    part("wrong uses");
    return done();
}
