// UDP: who gets what. Shared ports, the closest socket, broadcast, multicast.
#include "inet.h"

static int bound(union address a, int option) {
    int fd = socket(a.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    NEED(fd >= 0 && (option == 0 || set(fd, SOL_SOCKET, option, 1) == 0));
    NEED(bind_to(fd, a) == 0);
    return fd;
}

static int says(int fd, union address to) { return sendto(fd, "x", 1, 0, &to.any, size_of(&to)) == 1; }

// How many datagrams there are.
static int heard(int fd) {
    char byte;
    int count = 0;
    sleep_ms(2);
    while (recv(fd, &byte, 1, 0) >= 0) count++;
    return count;
}

static void closest(void) {
    int any = bound(at4("0.0.0.0", 0), SO_REUSEADDR);
    int exact = bound(same_port(at4("127.0.0.1", 0), any), SO_REUSEADDR);
    int peer = bound(name_of(exact), SO_REUSEADDR), client = bound(at4("127.0.0.1", 0), 0), other = udp4();
    NEED(connect_to(peer, name_of(client)) == 0);
    EXPECT(says(client, name_of(exact)) && heard(peer) == 1 && heard(exact) == 0 && heard(any) == 0);
    EXPECT(says(other, name_of(exact)) && heard(exact) == 1 && heard(peer) == 0 && heard(any) == 0);
    EXPECT(says(other, same_port(at4("127.0.0.2", 0), any)) && heard(any) == 1 && heard(exact) == 0);
    close(any), close(exact), close(peer), close(client), close(other);
    int dual = bound(at6("::", 0), 0), fd = udp4();
    FAILS(bind_to(fd, same_port(at4("0.0.0.0", 0), dual)), EADDRINUSE);
    EXPECT(says(fd, same_port(at4("127.0.0.1", 0), dual)) && heard(dual) == 1);
    close(dual), close(fd);
}

static void shared(void) {
    enum { GROUP = 4, SENDERS = 200 };
    int group[GROUP], total = 0;
    group[0] = bound(at4("127.0.0.1", 0), SO_REUSEPORT);
    for (int i = 1; i < GROUP; i++) group[i] = bound(name_of(group[0]), SO_REUSEPORT);
    for (int i = 0; i < SENDERS; i++) {
        int fd = udp4();
        EXPECT(says(fd, name_of(group[0])));
        close(fd);
    }
    for (int i = 0; i < GROUP; i++) {
        int count = heard(group[i]);
        EXPECT(count > SENDERS / GROUP / 5 && count < SENDERS / 2);
        total += count;
        close(group[i]);
    }
    EXPECT(total == SENDERS);
}

static void broadcast(void) {
    int first = bound(at4("0.0.0.0", 0), SO_REUSEADDR), second = bound(name_of(first), SO_REUSEADDR), fd = udp4();
    union address to = same_port(at4("127.255.255.255", 0), first);
    FAILS(sendto(fd, "x", 1, 0, &to.any, sizeof to.v4), EACCES);
    FAILS(connect_to(fd, to), EACCES);
    EXPECT(set(fd, SOL_SOCKET, SO_BROADCAST, 1) == 0 && says(fd, to));
    EXPECT(heard(first) == 1 && heard(second) == 1);
    close(first), close(second), close(fd);
}

static void multicast(void) {
    int first = bound(at4("0.0.0.0", 0), SO_REUSEADDR), second = bound(name_of(first), SO_REUSEADDR), fd = udp4();
    union address to = same_port(at4("239.1.2.3", 0), first);
    struct in_addr lo = {htonl(INADDR_LOOPBACK)}, seen = {0};
    struct ip_mreq group = {to.v4.sin_addr, lo}, wrong = {lo, lo};
    struct ip_mreqn by_index = {.imr_multiaddr = to.v4.sin_addr, .imr_ifindex = 1};
    socklen_t length = sizeof seen;
    EXPECT(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &lo, sizeof lo) == 0);
    EXPECT(getsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &seen, &length) == 0 && seen.s_addr == lo.s_addr);
    EXPECT(get(fd, IPPROTO_IP, IP_MULTICAST_TTL) == 1 && get(fd, IPPROTO_IP, IP_MULTICAST_LOOP) == 1);
    EXPECT(says(fd, to) && heard(first) == 0);
    EXPECT(setsockopt(first, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0);
    FAILS(setsockopt(first, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group), EADDRINUSE);
    FAILS(setsockopt(first, IPPROTO_IP, IP_ADD_MEMBERSHIP, &wrong, sizeof wrong), EINVAL);
    FAILS(setsockopt(first, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, 4), EINVAL);
    // The other one hears it as well, unless it wants its own groups only.
    EXPECT(says(fd, to) && heard(first) == 1 && heard(second) == 1);
    EXPECT(set(second, IPPROTO_IP, IP_MULTICAST_ALL, 0) == 0);
    EXPECT(says(fd, to) && heard(first) == 1 && heard(second) == 0);
    EXPECT(setsockopt(second, IPPROTO_IP, IP_ADD_MEMBERSHIP, &by_index, sizeof by_index) == 0);
    EXPECT(says(fd, to) && heard(first) == 1 && heard(second) == 1);
    EXPECT(setsockopt(first, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group) == 0);
    EXPECT(setsockopt(second, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group) == 0);
    FAILS(setsockopt(first, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group), EADDRNOTAVAIL);
    EXPECT(says(fd, to) && heard(first) == 0 && heard(second) == 0);
    FAILS(set(fd, IPPROTO_IP, IP_MULTICAST_TTL, 256), EINVAL);
    close(first), close(second), close(fd);
}

int main(void) {
    closest();
    part("closest");
    shared();
    part("shared");
    broadcast();
    part("broadcast");
    multicast();
    part("multicast");
    return done();
}
