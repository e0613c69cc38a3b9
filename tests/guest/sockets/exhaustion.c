// No descriptor and no port is left: calls say so, nothing is lost, and what is given back can be had again.
#include "inet.h"

#include <net/if.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/uio.h>

enum { FEW = 40, MANY = 300 };

static void limit_files(rlim_t count) {
    struct rlimit limit;
    NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = count;
    NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static int lowest_free(void) {
    int fd = dup(0);
    NEED(fd >= 0);
    close(fd);
    return fd;
}

// A connection that waits while accept has no descriptor for it is still there afterwards.
static void descriptors(void) {
    int listener = listen4(5), client = tcp4(), held[FEW], count = 0;
    nonblocking(listener);
    NEED(connect_to(client, name_of(listener)) == 0 && write(client, "patience", 8) == 8);
    limit_files(FEW);
    while ((held[count] = dup(0)) >= 0) count++;
    int error = errno;
    EXPECT(error == EMFILE);
    EXPECT(accept(listener, NULL, NULL) == -1 && errno == EMFILE);
    EXPECT(accept4(listener, NULL, NULL, SOCK_CLOEXEC) == -1 && errno == EMFILE);
    EXPECT(socket(AF_INET, SOCK_DGRAM, 0) == -1 && errno == EMFILE);
    int pair[2];
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 && errno == EMFILE);
    EXPECT(events_of(listener, POLLIN) == POLLIN);
    close(held[--count]);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 && errno == EMFILE);
    EXPECT(lowest_free() == held[count]);
    int server = accept(listener, NULL, NULL);
    EXPECT(server == held[count]);
    char bytes[9] = "";
    EXPECT(read(server, bytes, 8) == 8);
    printf("%s\n", bytes);
    close(server);
    EXPECT(accept(listener, NULL, NULL) == -1 && errno == EAGAIN);
    close(client);
    close(listener);
    while (count > 0) close(held[--count]);
}

// Descriptors in a message for which there is no room.
static void passing(void) {
    int pair[2], held[FEW], count = 0, sent[2] = {0, 1};
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    char space[CMSG_SPACE(sizeof sent)] = {0}, byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){CMSG_LEN(sizeof sent), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(c), sent, sizeof sent);
    NEED(sendmsg(pair[0], &message, 0) == 1);
    while ((held[count] = dup(0)) >= 0) count++;
    close(held[--count]);
    EXPECT(recvmsg(pair[1], &message, 0) == 1 && (message.msg_flags & MSG_CTRUNC));
    c = CMSG_FIRSTHDR(&message);
    EXPECT(c && c->cmsg_len == CMSG_LEN(sizeof(int)) && *(int *)CMSG_DATA(c) == held[count]);
    EXPECT(dup(0) == -1 && errno == EMFILE);
    count++;
    while (count > 0) close(held[--count]);
    close(pair[0]);
    close(pair[1]);
}

// All ephemeral ports of a protocol.
static void ports(int type) {
    static int held[MANY];
    int count = 0, server = tcp4(), last;
    NEED(bind_to(server, at4("127.0.0.1", 5000)) == 0 && listen(server, 5) == 0);
    for (;; count++) {
        held[count] = socket(AF_INET, type, 0);
        NEED(held[count] >= 0);
        if (bind_to(held[count], at4("127.0.0.1", 0)) != 0) break;
    }
    printf("%d ports, then %s\n", count, strerrorname_np(errno));
    int client = socket(AF_INET, type, 0);
    union address there = at4("127.0.0.1", 5000);
    int failed = connect_to(client, there);
    printf("connect %d %s\n", failed, strerrorname_np(errno));
    failed = (int)sendto(client, "x", 1, MSG_NOSIGNAL, &there.any, size_of(&there));
    printf("send %d %s\n", failed, strerrorname_np(errno));
    close(held[count]);

    // One comes back.
    int given = ntohs(name_of(held[count / 2]).v4.sin_port);
    close(held[count / 2]);
    held[count / 2] = socket(AF_INET, type, 0);
    EXPECT(bind_to(held[count / 2], at4("127.0.0.1", 0)) == 0);
    EXPECT(ntohs(name_of(held[count / 2]).v4.sin_port) == given);
    close(held[count / 2]);
    EXPECT(connect_to(client, at4("127.0.0.1", 5000)) == 0);
    EXPECT(ntohs(name_of(client).v4.sin_port) == given);
    close(client);
    for (last = 0; last < count; last++)
        if (last != count / 2) close(held[last]);
    close(server);
}

static void set_range(const char *text) {
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r+");
    NEED(file && fputs(text, file) > 0);
    int failed = fclose(file);
    int first = 0, last = 0, error = errno;
    file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    NEED(file && fscanf(file, "%d %d", &first, &last) == 2);
    fclose(file);
    printf("%s: %s, %d to %d\n", text, failed ? strerrorname_np(error) : "set", first, last);
}

int main(void) {
    // Ports that nobody else takes. The guest's are, where this is process 1.
    if (getpid() != 1) {
        NEED(unshare(CLONE_NEWNET) == 0);
        int fd = udp4();
        struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        NEED(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
        close(fd);
    }
    descriptors();
    passing();
    limit_files(MANY);
    set_range("5 4");
    set_range("40000 40099");
    ports(SOCK_STREAM);
    ports(SOCK_DGRAM);
    return 0;
}
