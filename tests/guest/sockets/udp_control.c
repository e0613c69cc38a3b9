// UDP: control messages both ways, and the error queue.
#include "inet.h"

#include <linux/errqueue.h>

static char buffer[100], control[512];

static struct msghdr receive(int fd, union address *from, int flags, ssize_t *count) {
    static struct iovec part = {buffer, sizeof buffer};
    struct msghdr message = {.msg_name = from,
                             .msg_namelen = sizeof *from,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof control};
    *count = recvmsg(fd, &message, flags);
    return message;
}

static void *find(struct msghdr *message, int level, int type) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == level && c->cmsg_type == type) return CMSG_DATA(c);
    return NULL;
}

static void received(void) {
    int server = udp4(), client = udp4(), count_of = 0;
    ssize_t n;
    union address from;
    NEED(bind_to(server, at4("0.0.0.0", 0)) == 0);
    EXPECT(set(server, IPPROTO_IP, IP_PKTINFO, 1) == 0 && set(server, IPPROTO_IP, IP_RECVTTL, 1) == 0);
    EXPECT(set(server, IPPROTO_IP, IP_RECVTOS, 1) == 0 && set(server, SOL_SOCKET, SO_TIMESTAMPNS, 1) == 0);
    EXPECT(set(client, IPPROTO_IP, IP_TOS, 0x10) == 0 && set(client, IPPROTO_IP, IP_TTL, 33) == 0);
    union address to = same_port(at4("127.0.0.3", 0), server);
    EXPECT(sendto(client, "x", 1, 0, &to.any, sizeof to.v4) == 1);
    struct msghdr message = receive(server, &from, 0, &n);
    EXPECT(n == 1 && message.msg_flags == 0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) count_of++;
    EXPECT(count_of == 4);
    struct in_pktinfo *info = find(&message, IPPROTO_IP, IP_PKTINFO);
    int *ttl = find(&message, IPPROTO_IP, IP_TTL);
    unsigned char *tos = find(&message, IPPROTO_IP, IP_TOS);
    struct timespec *at = find(&message, SOL_SOCKET, SO_TIMESTAMPNS);
    NEED(info && ttl && tos && at);
    EXPECT(info->ipi_ifindex == 1 && info->ipi_addr.s_addr == to.v4.sin_addr.s_addr);
    EXPECT(info->ipi_spec_dst.s_addr == to.v4.sin_addr.s_addr && *ttl == 33 && *tos == 0x10);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    EXPECT(now.tv_sec - at->tv_sec < 5 && now.tv_sec >= at->tv_sec);
    close(server), close(client);
}

static void sent(void) {
    int server = udp4(), client = udp4();
    ssize_t n;
    union address from, to;
    NEED(bind_to(server, at4("127.0.0.1", 0)) == 0);
    to = name_of(server);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(int))];
    } out = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_name = &to,
                             .msg_namelen = sizeof to.v4,
                             .msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &out,
                             .msg_controllen = sizeof out};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(struct in_pktinfo)), IPPROTO_IP, IP_PKTINFO};
    struct in_pktinfo info = {.ipi_spec_dst.s_addr = htonl(0x7f000009)};
    memcpy(CMSG_DATA(c), &info, sizeof info);
    c = CMSG_NXTHDR(&message, c);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), IPPROTO_IP, IP_TTL};
    int ttl = 7;
    memcpy(CMSG_DATA(c), &ttl, sizeof ttl);
    EXPECT(set(server, IPPROTO_IP, IP_RECVTTL, 1) == 0 && sendmsg(client, &message, 0) == 1);
    struct msghdr got = receive(server, &from, 0, &n);
    int *seen = find(&got, IPPROTO_IP, IP_TTL);
    EXPECT(n == 1 && is_at(&from, "127.0.0.9") && seen && *seen == 7);
    close(server), close(client);
}

static void six(void) {
    int server = socket(AF_INET6, SOCK_DGRAM, 0), client = socket(AF_INET6, SOCK_DGRAM, 0), old = udp4();
    ssize_t n;
    union address from, to;
    NEED(bind_to(server, at6("::", 0)) == 0);
    EXPECT(set(server, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == 0 && set(server, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1) == 0);
    EXPECT(set(server, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) == 0);
    to = same_port(at6("::1", 0), server);
    EXPECT(sendto(client, "x", 1, 0, &to.any, sizeof to.v6) == 1);
    struct msghdr message = receive(server, &from, 0, &n);
    struct in6_pktinfo *info = find(&message, IPPROTO_IPV6, IPV6_PKTINFO);
    int *hops = find(&message, IPPROTO_IPV6, IPV6_HOPLIMIT), *class = find(&message, IPPROTO_IPV6, IPV6_TCLASS);
    EXPECT(n == 1 && is_at(&from, "::1") && info && IN6_IS_ADDR_LOOPBACK(&info->ipi6_addr) && info->ipi6_ifindex == 1);
    EXPECT(hops && *hops == 64 && class && *class == 0);
    // IPv4 comes mapped.
    to = same_port(at4("127.0.0.1", 0), server);
    EXPECT(sendto(old, "x", 1, 0, &to.any, sizeof to.v4) == 1);
    message = receive(server, &from, 0, &n);
    info = find(&message, IPPROTO_IPV6, IPV6_PKTINFO);
    EXPECT(n == 1 && is_at(&from, "::ffff:127.0.0.1") && info && IN6_IS_ADDR_V4MAPPED(&info->ipi6_addr));
    EXPECT(sendto(server, "back", 4, 0, &from.any, sizeof from.v6) == 4 && recv(old, buffer, 9, 0) == 4);
    close(server), close(client), close(old);
}

static void errors(void) {
    int gone = udp4(), fd = udp4();
    ssize_t n;
    union address from, to;
    NEED(bind_to(gone, at4("127.0.0.1", 0)) == 0);
    to = name_of(gone);
    close(gone);
    EXPECT(set(fd, IPPROTO_IP, IP_RECVERR, 1) == 0);
    FAILS(recv(fd, buffer, 9, MSG_ERRQUEUE), EAGAIN);
    // With IP_RECVERR even a socket that is not connected is told.
    EXPECT(sendto(fd, "hello", 5, 0, &to.any, sizeof to.v4) == 5);
    EXPECT(events_of(fd, POLLOUT | POLLERR) == (POLLOUT | POLLERR));
    FAILS(recv(fd, buffer, 9, MSG_DONTWAIT), ECONNREFUSED);
    struct msghdr message = receive(fd, &from, MSG_ERRQUEUE, &n);
    EXPECT(n == 5 && !memcmp(buffer, "hello", 5) && (message.msg_flags & MSG_ERRQUEUE) && from.v4.sin_port == to.v4.sin_port);
    struct sock_extended_err *error = find(&message, IPPROTO_IP, IP_RECVERR);
    NEED(error != NULL);
    EXPECT(error->ee_errno == ECONNREFUSED && error->ee_origin == SO_EE_ORIGIN_ICMP);
    EXPECT(error->ee_type == 3 && error->ee_code == 3);
    struct sockaddr_in *offender = (struct sockaddr_in *)SO_EE_OFFENDER(error);
    EXPECT(offender->sin_family == AF_INET && offender->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    EXPECT(events_of(fd, POLLOUT) == POLLOUT);
    close(fd);
}

int main(void) {
    received();
    part("received");
    sent();
    part("sent");
    six();
    part("six");
    errors();
    part("errors");
    return done();
}
