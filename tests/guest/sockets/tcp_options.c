// Socket options of TCP: defaults, what becomes of values, refusals.
#include "inet.h"

struct row {
    int level, name, initial, value, then;
};

// What differs between kernels' settings is not asked for.
static const struct row rows[] = {
    {SOL_SOCKET, SO_REUSEADDR, 0, 7, 1},
    {SOL_SOCKET, SO_REUSEPORT, 0, 1, 1},
    {SOL_SOCKET, SO_KEEPALIVE, 0, -1, 1},
    {SOL_SOCKET, SO_OOBINLINE, 0, 1, 1},
    {SOL_SOCKET, SO_BROADCAST, 0, 1, 1},
    {SOL_SOCKET, SO_SNDBUF, -1, 10000, 20000},
    {SOL_SOCKET, SO_SNDBUF, -1, 1, 4608},
    {SOL_SOCKET, SO_RCVBUF, -1, 10000, 20000},
    {SOL_SOCKET, SO_RCVBUF, -1, 1, 2304},
    {SOL_SOCKET, SO_RCVLOWAT, 1, 0, 1},
    {SOL_SOCKET, SO_PRIORITY, 0, 6, 6},
    {SOL_SOCKET, SO_TIMESTAMP, 0, 1, 1},
    {SOL_SOCKET, SO_TYPE, SOCK_STREAM, -1, -1},
    {SOL_SOCKET, SO_DOMAIN, AF_INET, -1, -1},
    {SOL_SOCKET, SO_PROTOCOL, IPPROTO_TCP, -1, -1},
    {SOL_SOCKET, SO_ACCEPTCONN, 0, -1, -1},
    {SOL_SOCKET, SO_ERROR, 0, -1, -1},
    {IPPROTO_TCP, TCP_NODELAY, 0, 5, 1},
    {IPPROTO_TCP, TCP_CORK, 0, 1, 1},
    {IPPROTO_TCP, TCP_KEEPIDLE, 7200, 60, 60},
    {IPPROTO_TCP, TCP_KEEPINTVL, 75, 10, 10},
    {IPPROTO_TCP, TCP_KEEPCNT, 9, 3, 3},
    {IPPROTO_TCP, TCP_SYNCNT, 6, 2, 2},
    {IPPROTO_TCP, TCP_LINGER2, 60, -5, -1},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT, 0, 4, 7},
    {IPPROTO_TCP, TCP_MAXSEG, 536, 1000, 1000},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP, 0, 7, 1152},
    {IPPROTO_TCP, TCP_QUICKACK, 1, 0, 0},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, 0, 5000, 5000},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 0, 16384, 16384},
    {IPPROTO_IP, IP_TTL, 64, 10, 10},
    {IPPROTO_IP, IP_TTL, 10, -1, 64},
    {IPPROTO_IP, IP_TOS, 0, 0x13, 0x10},
    {IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_WANT, IP_PMTUDISC_DO, IP_PMTUDISC_DO},
    {IPPROTO_IP, IP_FREEBIND, 0, 1, 1},
    {IPPROTO_IP, IP_RECVERR, 0, 1, 1},
    {IPPROTO_IP, IP_PKTINFO, 0, 1, 1},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 0, 1, 1},
};

static const struct row rows6[] = {
    {IPPROTO_IPV6, IPV6_V6ONLY, 0, 1, 1},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 64, 9, 9},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9, -1, 64},
    {IPPROTO_IPV6, IPV6_TCLASS, 0, 0x20, 0x20},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, 0, 1, 1},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 0, 1, 1},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, 0, 1, 1},
    {IPPROTO_IPV6, IPV6_RECVERR, 0, 1, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1, 0, 0},
    {IPPROTO_IP, IP_TTL, 64, 10, 10},
    {SOL_SOCKET, SO_DOMAIN, AF_INET6, -1, -1},
};

static void check(int fd, const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        int initial = get(fd, r->level, r->name), result = 0, then = r->then;
        if (r->initial == -1) initial = -1;
        if (r->then != -1 || r->value != -1) {
            result = set(fd, r->level, r->name, r->value);
            then = get(fd, r->level, r->name);
        }
        if (initial != r->initial || result != 0 || then != r->then) {
            fprintf(stderr, "option %d %d: %d, set %d, %d\n", r->level, r->name, initial, result, then);
            atomic_fetch_add(&check_failures, 1);
        }
    }
}

static void refusals(int fd) {
    FAILS(set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 0), EINVAL);
    FAILS(set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 32768), EINVAL);
    FAILS(set(fd, IPPROTO_TCP, TCP_KEEPCNT, 128), EINVAL);
    FAILS(set(fd, IPPROTO_TCP, TCP_MAXSEG, 5), EINVAL);
    FAILS(set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, -1), EINVAL);
    FAILS(set(fd, IPPROTO_IP, IP_TTL, 0), EINVAL);
    FAILS(set(fd, IPPROTO_IP, IP_TTL, 256), EINVAL);
    FAILS(set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 1), EINVAL);
    FAILS(set(fd, SOL_SOCKET, SO_ACCEPTCONN, 1), ENOPROTOOPT);
    FAILS(set(fd, SOL_SOCKET, SO_ERROR, 1), ENOPROTOOPT);
    FAILS(set(fd, SOL_SOCKET, 9999, 1), ENOPROTOOPT);
    FAILS(set(fd, IPPROTO_TCP, 9999, 1), ENOPROTOOPT);
    FAILS(set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), ENOPROTOOPT);
    FAILS(set(fd, IPPROTO_UDP, 1, 1), ENOPROTOOPT);
    FAILS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, "x", 1), EINVAL);
    FAILS(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, "x", 1), EINVAL);
    FAILS(setsockopt(fd, SOL_SOCKET, SO_LINGER, "1234", 4), EINVAL);
    FAILS(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "none0", 6), ENODEV);
    FAILS(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "no-such", 7), ENOENT);
    union address a;
    int length = sizeof a;
    FAILS(getsockopt(fd, IPPROTO_IP, IP_MTU, &a, (socklen_t *)&length), ENOTCONN);
}

static void texts(int fd) {
    char name[16] = "";
    socklen_t length = sizeof name;
    EXPECT(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
    EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0 && length == 16 && !strcmp(name, "reno"));
    length = sizeof name;
    EXPECT(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length) == 0 && length == 0);
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) == 0);
    length = sizeof name;
    EXPECT(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length) == 0 && length == 3 && !strcmp(name, "lo"));
    // One byte is enough for IP's.
    unsigned char byte = 0;
    length = 1;
    EXPECT(setsockopt(fd, IPPROTO_IP, IP_TTL, "\x09", 1) == 0);
    EXPECT(getsockopt(fd, IPPROTO_IP, IP_TTL, &byte, &length) == 0 && length == 1 && byte == 9);
    struct linger linger = {.l_onoff = 5, .l_linger = 7};
    length = sizeof linger;
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    EXPECT(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) == 0 && linger.l_onoff == 1 && linger.l_linger == 7);
}

static void inherited(void) {
    int listener = listen4(1), fd = tcp4();
    EXPECT(set(listener, IPPROTO_TCP, TCP_NODELAY, 1) == 0 && set(listener, SOL_SOCKET, SO_KEEPALIVE, 1) == 0);
    NEED(connect_to(fd, name_of(listener)) == 0);
    int server = accept(listener, NULL, NULL);
    EXPECT(get(server, IPPROTO_TCP, TCP_NODELAY) == 1 && get(server, SOL_SOCKET, SO_KEEPALIVE) == 1);
    struct tcp_info info;
    socklen_t length = sizeof info;
    EXPECT(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && length >= 104);
    EXPECT(info.tcpi_state == TCP_ESTABLISHED && info.tcpi_snd_mss > 500 && info.tcpi_rto > 0);
    length = sizeof info;
    EXPECT(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_LISTEN);
    EXPECT(get(fd, IPPROTO_IP, IP_MTU) == 65535);
    shutdown(fd, SHUT_WR);
    sleep_ms(5);
    length = sizeof info;
    EXPECT(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_CLOSE_WAIT);
    close(fd), close(server), close(listener);
}

int main(void) {
    int fd = tcp4(), fd6 = socket(AF_INET6, SOCK_STREAM, 0);
    check(fd, rows, sizeof rows / sizeof *rows);
    part("values");
    check(fd6, rows6, sizeof rows6 / sizeof *rows6);
    part("values of IPv6");
    refusals(tcp4());
    part("refusals");
    texts(fd);
    part("texts");
    inherited();
    part("inherited");
    return done();
}
