// UDP over loopback: sending, receiving, connected sockets, refusals, wrong uses.
#include "inet.h"

#define WRITABLE POLLOUT

static char buffer[70000];

static int bound(const char *ip) {
    int fd = udp4();
    NEED(bind_to(fd, at4(ip, 0)) == 0);
    return fd;
}

static ssize_t send_to(int fd, const char *text, union address to) {
    return sendto(fd, text, strlen(text), 0, &to.any, size_of(&to));
}

static ssize_t receive(int fd) { return recv(fd, buffer, sizeof buffer, MSG_DONTWAIT); }

static void plain(void) {
    int server = bound("127.0.0.1"), client = udp4(), n = 0;
    union address from, to = name_of(server);
    socklen_t length = sizeof from;
    EXPECT(events_of(client, WRITABLE) == WRITABLE && name_of(client).v4.sin_port == 0);
    FAILS(send(client, "x", 1, 0), EDESTADDRREQ);
    EXPECT(send_to(client, "question", to) == 8 && send_to(client, "", to) == 0 && send_to(client, "more", to) == 4);
    EXPECT(name_of(client).v4.sin_port != 0);
    EXPECT(events_of(server, WRITABLE | POLLIN) == (WRITABLE | POLLIN));
    EXPECT(ioctl(server, FIONREAD, &n) == 0 && n == 8);
    EXPECT(recv(server, buffer, 4, MSG_PEEK) == 4 && recv(server, buffer, 4, MSG_PEEK | MSG_TRUNC) == 8);
    EXPECT(recvfrom(server, buffer, sizeof buffer, 0, &from.any, &length) == 8 && !memcmp(buffer, "question", 8));
    EXPECT(length == sizeof from.v4 && is_at(&from, "127.0.0.1") && from.v4.sin_port == name_of(client).v4.sin_port);
    EXPECT(receive(server) == 0);
    struct iovec part = {buffer, 2};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    EXPECT(recvmsg(server, &message, 0) == 2 && message.msg_flags == MSG_TRUNC && message.msg_namelen == 0);
    FAILS(receive(server), EAGAIN);
    close(client), close(server);
}

static void sizes(void) {
    int server = bound("127.0.0.1"), client = udp4();
    union address to = name_of(server);
    EXPECT(sendto(client, buffer, 65507, 0, &to.any, sizeof to.v4) == 65507 && receive(server) == 65507);
    FAILS(sendto(client, buffer, 65508, 0, &to.any, sizeof to.v4), EMSGSIZE);
    FAILS(sendto(client, buffer, 70000, 0, &to.any, sizeof to.v4), EMSGSIZE);
    // What finds no room is dropped, and the sender does not know.
    EXPECT(set(server, SOL_SOCKET, SO_RCVBUF, 10000) == 0);
    for (int i = 0; i < 100; i++) EXPECT(sendto(client, buffer, 1000, 0, &to.any, sizeof to.v4) == 1000);
    int count = 0;
    while (receive(server) == 1000) count++;
    EXPECT(count > 3 && count < 40);
    close(client), close(server);
}

static void connected(void) {
    int server = bound("127.0.0.1"), client = udp4(), stranger = udp4();
    union address peer;
    socklen_t length = sizeof peer;
    FAILS(getpeername(client, &peer.any, &length), ENOTCONN);
    EXPECT(connect_to(client, name_of(server)) == 0 && getpeername(client, &peer.any, &length) == 0);
    union address own = name_of(client);
    EXPECT(is_at(&own, "127.0.0.1") && own.v4.sin_port != 0 && peer.v4.sin_port == name_of(server).v4.sin_port);
    EXPECT(send_to(stranger, "no", own) == 2);
    FAILS(receive(client), EAGAIN);
    EXPECT(send_to(server, "yes", own) == 3 && receive(client) == 3);
    EXPECT(send(client, "1", 1, 0) == 1 && write(client, "2", 1) == 1 && receive(server) == 1 && read(server, buffer, 9) == 1);
    struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    EXPECT(connect(client, &unspecified, sizeof unspecified) == 0);
    FAILS(getpeername(client, &peer.any, &length), ENOTCONN);
    own = name_of(client);
    EXPECT(is_at(&own, "0.0.0.0"));
    FAILS(send(client, "x", 1, 0), EDESTADDRREQ);
    close(client), close(server), close(stranger);
}

static void refused(void) {
    int server = bound("127.0.0.1"), client = udp4(), stranger = udp4();
    union address to = name_of(server);
    EXPECT(connect_to(client, to) == 0);
    close(server);
    EXPECT(send(client, "1", 1, 0) == 1 && events_of(client, WRITABLE | POLLERR) == (WRITABLE | POLLERR));
    FAILS(send(client, "2", 1, 0), ECONNREFUSED);
    EXPECT(send(client, "3", 1, 0) == 1);
    FAILS(receive(client), ECONNREFUSED);
    FAILS(receive(client), EAGAIN);
    EXPECT(send(client, "4", 1, 0) == 1 && get(client, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
    EXPECT(get(client, SOL_SOCKET, SO_ERROR) == 0);
    // Who is not connected hears nothing.
    EXPECT(send_to(stranger, "x", to) == 1);
    sleep_ms(5);
    EXPECT(events_of(stranger, WRITABLE) == WRITABLE && get(stranger, SOL_SOCKET, SO_ERROR) == 0);
    close(client), close(stranger);
}

static void shut_down(void) {
    int fd = bound("127.0.0.1"), peer = bound("127.0.0.1");
    FAILS(shutdown(fd, SHUT_RD), ENOTCONN);
    EXPECT(recv(fd, buffer, 1, 0) == 0);
    EXPECT(events_of(fd, WRITABLE | POLLIN | POLLRDHUP) == (WRITABLE | POLLIN | POLLRDHUP));
    EXPECT(connect_to(fd, name_of(peer)) == 0 && shutdown(fd, SHUT_WR) == 0);
    FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT(events_of(fd, WRITABLE | POLLIN | POLLRDHUP | POLLHUP) == (WRITABLE | POLLIN | POLLRDHUP | POLLHUP));
    close(fd), close(peer);
}

static void wrong_uses(void) {
    int fd = bound("127.0.0.1"), other = udp4();
    union address a = at4("127.0.0.1", 0), six = at6("::1", 80);
    FAILS(listen(fd, 1), EOPNOTSUPP);
    FAILS(accept(fd, NULL, NULL), EOPNOTSUPP);
    FAILS(send_to(fd, "x", a), EINVAL);
    FAILS(send_to(fd, "x", six), EAFNOSUPPORT);
    FAILS(bind_to(fd, a), EINVAL);
    FAILS(bind_to(other, name_of(fd)), EADDRINUSE);
    FAILS(bind_to(other, at4("192.0.2.1", 0)), EADDRNOTAVAIL);
    FAILS(send(fd, "x", 1, MSG_OOB), EOPNOTSUPP);
    FAILS(recv(fd, buffer, 1, MSG_OOB | MSG_DONTWAIT), EAGAIN);
    FAILS(set(fd, IPPROTO_TCP, TCP_NODELAY, 1), ENOPROTOOPT);
    EXPECT(get(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM && get(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP);
    close(fd), close(other);
}

int main(void) {
    plain();
    part("plain");
    sizes();
    part("sizes");
    connected();
    part("connected");
    refused();
    part("refused");
    shut_down();
    part("shut down");
    wrong_uses();
    part("wrong uses");
    return done();
}
