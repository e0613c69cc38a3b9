// Listening: backlog, ports, SO_REUSEADDR, SO_REUSEPORT, dual stack, TCP_DEFER_ACCEPT.
#include "inet.h"

static void backlog(void) {
    int listener = listen4(1), fds[4];
    nonblocking(listener);
    // One more than the backlog is let in; the next one waits.
    for (int i = 0; i < 3; i++) {
        fds[i] = tcp4();
        nonblocking(fds[i]);
        FAILS(connect_to(fds[i], name_of(listener)), EINPROGRESS);
        if (i < 2) EXPECT(events_of(fds[i], POLLOUT) == POLLOUT);
    }
    sleep_ms(20);
    EXPECT(events_of(fds[2], 0) == 0);
    FAILS(connect_to(fds[2], name_of(listener)), EALREADY);
    FAILS(send(fds[2], "x", 1, 0), EAGAIN);
    int accepted = accept(listener, NULL, NULL);
    EXPECT(accepted >= 0);
    close(accepted);
    struct pollfd p = {.fd = fds[2], .events = POLLOUT};
    EXPECT(poll(&p, 1, 10000) == 1 && p.revents == POLLOUT);
    EXPECT(connect_to(fds[2], name_of(listener)) == 0);
    for (int i = 0; i < 2; i++) {
        accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        EXPECT(accepted >= 0 && (fcntl(accepted, F_GETFL) & O_NONBLOCK) && fcntl(accepted, F_GETFD) == FD_CLOEXEC);
        close(accepted);
    }
    FAILS(accept(listener, NULL, NULL), EAGAIN);
    EXPECT(listen(listener, 10) == 0 && get(listener, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    for (int i = 0; i < 3; i++) close(fds[i]);
    close(listener);
}

static int try_bind(union address a, int option) {
    int fd = socket(a.any.sa_family, SOCK_STREAM, 0);
    NEED(fd >= 0 && (option == 0 || set(fd, SOL_SOCKET, option, 1) == 0));
    if (bind_to(fd, a) == 0) return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void reuse(void) {
    int first = try_bind(at4("127.0.0.1", 0), SO_REUSEADDR);
    union address here = name_of(first), all = same_port(at4("0.0.0.0", 0), first);
    FAILS(try_bind(here, 0), EADDRINUSE);
    FAILS(try_bind(all, 0), EADDRINUSE);
    int elsewhere = try_bind(same_port(at4("127.0.0.2", 0), first), 0);
    EXPECT(elsewhere >= 0);
    close(elsewhere);
    int second = try_bind(all, SO_REUSEADDR);
    EXPECT(second >= 0 && listen(first, 1) == 0);
    FAILS(listen(second, 1), EADDRINUSE);
    FAILS(try_bind(here, SO_REUSEADDR), EADDRINUSE);
    close(first), close(second);
    // A connection of a listener that is gone stands only against those that do not want to reuse.
    int p[2];
    first = try_bind(at4("127.0.0.1", 0), SO_REUSEADDR);
    here = name_of(first);
    NEED(listen(first, 1) == 0);
    p[0] = tcp4();
    NEED(connect_to(p[0], here) == 0);
    p[1] = accept(first, NULL, NULL);
    close(first);
    FAILS(try_bind(here, 0), EADDRINUSE);
    second = try_bind(here, SO_REUSEADDR);
    EXPECT(second >= 0 && listen(second, 1) == 0);
    close(second), close(p[0]), close(p[1]);
}

static void share(void) {
    enum { GROUP = 4, CLIENTS = 200 };
    int group[GROUP], clients[CLIENTS], total = 0;
    group[0] = try_bind(at4("127.0.0.1", 0), SO_REUSEPORT);
    for (int i = 1; i < GROUP; i++) group[i] = try_bind(name_of(group[0]), SO_REUSEPORT);
    FAILS(try_bind(name_of(group[0]), 0), EADDRINUSE);
    for (int i = 0; i < GROUP; i++) {
        NEED(group[i] >= 0 && listen(group[i], CLIENTS) == 0);
        nonblocking(group[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = tcp4();
        NEED(connect_to(clients[i], name_of(group[0])) == 0);
    }
    for (int i = 0; i < GROUP; i++) {
        int count = 0, fd;
        while ((fd = accept(group[i], NULL, NULL)) >= 0) count++, close(fd);
        EXPECT(count > CLIENTS / GROUP / 5 && count < CLIENTS / 2);
        total += count;
        close(group[i]);
    }
    EXPECT(total == CLIENTS);
    for (int i = 0; i < CLIENTS; i++) close(clients[i]);
}

static void dual_stack(void) {
    int dual = try_bind(at6("::", 0), 0), only = socket(AF_INET6, SOCK_STREAM, 0);
    EXPECT(get(dual, IPPROTO_IPV6, IPV6_V6ONLY) == 0 && listen(dual, 5) == 0);
    int fd = tcp4();
    EXPECT(connect_to(fd, same_port(at4("127.0.0.1", 0), dual)) == 0);
    union address peer;
    socklen_t length = sizeof peer;
    int server = accept(dual, &peer.any, &length);
    EXPECT(length == sizeof peer.v6 && is_at(&peer, "::ffff:127.0.0.1"));
    union address own = name_of(server);
    EXPECT(is_at(&own, "::ffff:127.0.0.1"));
    close(fd), close(server);
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    EXPECT(connect_to(fd, same_port(at6("::ffff:127.0.0.1", 0), dual)) == 0);
    close(fd);
    FAILS(try_bind(same_port(at4("0.0.0.0", 0), dual), 0), EADDRINUSE);
    EXPECT(set(only, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0 && bind_to(only, at6("::", 0)) == 0 && listen(only, 1) == 0);
    FAILS(set(only, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL);
    fd = try_bind(same_port(at4("0.0.0.0", 0), only), 0);
    EXPECT(fd >= 0);
    int client = tcp4();
    FAILS(connect_to(client, same_port(at4("127.0.0.1", 0), only)), ECONNREFUSED);
    close(client), close(fd), close(dual), close(only);
}

static void deferred(void) {
    int listener = listen4(5), fd = tcp4();
    nonblocking(listener);
    EXPECT(set(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 30) == 0 && get(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT) == 31);
    EXPECT(connect_to(fd, name_of(listener)) == 0);
    sleep_ms(20);
    FAILS(accept(listener, NULL, NULL), EAGAIN);
    EXPECT(send(fd, "x", 1, 0) == 1 && events_of(listener, POLLIN) == POLLIN);
    int server = accept(listener, NULL, NULL);
    char byte = 0;
    EXPECT(server >= 0 && recv(server, &byte, 1, MSG_DONTWAIT) == 1 && byte == 'x');
    close(fd), close(server), close(listener);
}

static void ephemeral(void) {
    enum { MANY = 200 };
    int fds[MANY];
    static char seen[65536];
    for (int i = 0; i < MANY; i++) {
        fds[i] = try_bind(at4("127.0.0.1", 0), 0);
        int port = ntohs(name_of(fds[i]).v4.sin_port);
        EXPECT(port >= 32768 && port <= 60999 && !seen[port]);
        seen[port] = 1;
    }
    for (int i = 0; i < MANY; i++) close(fds[i]);
    // listen takes a port if there is none.
    int fd = tcp4();
    EXPECT(listen(fd, 1) == 0 && name_of(fd).v4.sin_port != 0);
    close(fd);
}

int main(void) {
    backlog();
    part("backlog");
    reuse();
    part("reuse");
    share();
    part("share");
    dual_stack();
    part("dual stack");
    deferred();
    part("deferred");
    ephemeral();
    part("ephemeral");
    return done();
}
