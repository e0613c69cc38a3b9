// The lists of sockets and the counters in /proc/net, as netstat and ss read them.
#include "inet.h"

#include <stddef.h>
#include <sys/stat.h>
#include <sys/un.h>

static char text[1 << 20];

static char *slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    NEED(fd >= 0);
    size_t length = 0;
    for (ssize_t got; (got = read(fd, text + length, sizeof text - 1 - length)) > 0;) length += (size_t)got;
    text[length] = 0;
    close(fd);
    return text;
}

static unsigned long inode_of(int fd) {
    struct stat status;
    NEED(fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode));
    char link[64], shown[64], expected[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, shown, sizeof shown - 1);
    NEED(length > 0);
    shown[length] = 0;
    snprintf(expected, sizeof expected, "socket:[%lu]", (unsigned long)status.st_ino);
    EXPECT(strcmp(shown, expected) == 0);
    return status.st_ino;
}

struct entry {
    char local[40], remote[40];
    unsigned local_port, remote_port, state, sent, received, uid;
    size_t length;
};

static struct entry look(const char *file, unsigned long wanted) {
    struct entry found = {.state = 99};
    FILE *lines = fopen(file, "r");
    NEED(lines != NULL);
    for (char line[512]; found.state == 99 && fgets(line, sizeof line, lines) != NULL;) {
        struct entry e = {.length = strcspn(line, "\n")};
        unsigned long inode;
        int got = sscanf(line, " %*u: %39[0-9A-F]:%4X %39[0-9A-F]:%4X %2X %8X:%8X %*2x:%*8x %*8x %u %*d %lu", e.local,
                         &e.local_port, e.remote, &e.remote_port, &e.state, &e.sent, &e.received, &e.uid, &inode);
        if (got == 9 && inode == wanted) found = e;
    }
    fclose(lines);
    return found;
}

// The line of `file` with the inode of `fd`. Lines may be passed over while sockets of others come and go.
static struct entry find(const char *file, int fd) {
    unsigned long wanted = inode_of(fd);
    struct entry e = look(file, wanted);
    for (int i = 0; i < 5 && e.state == 99; i++) e = look(file, wanted);
    return e;
}

static int port_of(int fd) { return ntohs(name_of(fd).v4.sin_port); }

static void tcp(void) {
    int listener = listen4(5), client = tcp4();
    struct entry e = find("/proc/net/tcp", listener);
    EXPECT(strcmp(e.local, "0100007F") == 0 && strcmp(e.remote, "00000000") == 0 && e.length == 149);
    EXPECT(e.local_port == (unsigned)port_of(listener) && e.remote_port == 0 && e.uid == getuid());
    EXPECT(e.state == 10 && e.received == 0);
    EXPECT(connect_to(client, name_of(listener)) == 0);
    e = find("/proc/net/tcp", listener);
    EXPECT(e.received == 1);
    int server = accept(listener, NULL, NULL);
    EXPECT(send(client, "12345", 5, 0) == 5);
    sleep_ms(10);
    e = find("/proc/net/tcp", server);
    EXPECT(e.state == 1 && e.received == 5 && e.local_port == (unsigned)port_of(listener));
    EXPECT(e.remote_port == (unsigned)port_of(client));
    EXPECT(find("/proc/net/tcp", listener).received == 0);
    EXPECT(find("/proc/net/tcp6", server).state == 99 && find("/proc/net/udp", server).state == 99);
    shutdown(client, SHUT_WR);
    // The peer's acknowledgement of the end takes a while.
    sleep_ms(200);
    EXPECT(find("/proc/net/tcp", server).state == 8 && find("/proc/net/tcp", client).state == 5);
    close(client), close(server), close(listener);

    int six = socket(AF_INET6, SOCK_STREAM, 0);
    EXPECT(bind_to(six, at6("::1", 0)) == 0 && listen(six, 1) == 0);
    e = find("/proc/net/tcp6", six);
    EXPECT(strcmp(e.local, "00000000000000000000000001000000") == 0 && e.state == 10);
    close(six);
}

static void datagrams(void) {
    int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), six = socket(AF_INET6, SOCK_DGRAM, 0);
    EXPECT(bind_to(a, at4("127.0.0.1", 0)) == 0 && connect_to(b, name_of(a)) == 0 && bind_to(six, at6("::", 0)) == 0);
    struct entry e = find("/proc/net/udp", a);
    EXPECT(e.state == 7 && e.length == 127 && e.local_port == (unsigned)port_of(a) && e.received == 0);
    e = find("/proc/net/udp", b);
    EXPECT(e.state == 1 && e.remote_port == (unsigned)port_of(a) && strcmp(e.remote, "0100007F") == 0);
    EXPECT(send(b, "x", 1, 0) == 1);
    sleep_ms(10);
    EXPECT(find("/proc/net/udp", a).received > 0);
    e = find("/proc/net/udp6", six);
    EXPECT(e.state == 7 && strcmp(e.local, "00000000000000000000000000000000") == 0);
    close(a), close(b), close(six);
}

// Flags, type, state and path of the line with the inode of `fd`.
static void unix_line(int fd, char *into, size_t room) {
    unsigned long wanted = inode_of(fd), inode;
    char *line = slurp("/proc/net/unix"), *rest;
    into[0] = 0;
    while ((line = strtok_r(line, "\n", &rest)) != NULL) {
        unsigned references, protocol, flags, type, state;
        int at = 0;
        if (sscanf(line, "%*x: %8x %8x %8x %4x %2x %lu%n", &references, &protocol, &flags, &type, &state, &inode, &at) == 6 &&
            inode == wanted)
            snprintf(into, room, "%08x %04x %02x%s", flags, type, state, line + at);
        line = NULL;
    }
}

static void unix_sockets(void) {
    char shown[200];
    int fds[2], listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0compat-proc-net"};
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 16;
    EXPECT(bind(listener, (struct sockaddr *)&name, length) == 0 && listen(listener, 1) == 0);
    unix_line(listener, shown, sizeof shown);
    EXPECT(strcmp(shown, "00010000 0005 01 @compat-proc-net") == 0);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    unix_line(fds[1], shown, sizeof shown);
    EXPECT(strcmp(shown, "00000000 0001 03") == 0);
    close(listener), close(fds[0]), close(fds[1]);
}

// The value under `name` in the group `title` of a file of two lines for each group.
static long counter(const char *file, const char *title, const char *name) {
    char *names = strstr(slurp(file), title), *values = names ? strchr(names, '\n') : NULL, *a, *b;
    NEED(values != NULL);
    *values++ = 0;
    EXPECT(strncmp(values, title, strlen(title)) == 0);
    values[strcspn(values, "\n")] = 0;
    long found = -1000;
    char *word = strtok_r(names, " ", &a), *value = strtok_r(values, " ", &b);
    for (; word != NULL && value != NULL; word = strtok_r(NULL, " ", &a), value = strtok_r(NULL, " ", &b))
        if (strcmp(word, name) == 0) found = atol(value);
    EXPECT(word == NULL && value == NULL);
    return found;
}

static void counters(void) {
    const char *snmp = "/proc/net/snmp";
    EXPECT(counter(snmp, "Ip:", "DefaultTTL") == 64 && counter(snmp, "Icmp:", "InMsgs") >= 0);
    long active = counter(snmp, "Tcp:", "ActiveOpens"), passive = counter(snmp, "Tcp:", "PassiveOpens");
    long sent = counter(snmp, "Udp:", "OutDatagrams");
    EXPECT(counter("/proc/net/netstat", "TcpExt:", "ListenOverflows") >= 0);
    EXPECT(counter("/proc/net/netstat", "IpExt:", "InOctets") >= 0);
    int listener = listen4(5), client = tcp4(), datagram = socket(AF_INET, SOCK_DGRAM, 0);
    EXPECT(connect_to(client, name_of(listener)) == 0);
    EXPECT(connect_to(datagram, name_of(listener)) == 0 && send(datagram, "x", 1, 0) == 1);
    EXPECT(counter(snmp, "Tcp:", "ActiveOpens") > active && counter(snmp, "Tcp:", "PassiveOpens") > passive);
    EXPECT(counter(snmp, "Tcp:", "CurrEstab") >= 2 && counter(snmp, "Udp:", "OutDatagrams") > sent);
    EXPECT(counter(snmp, "Tcp:", "MaxConn") == -1 && counter(snmp, "UdpLite:", "InDatagrams") >= 0);

    int used, inuse, alloc, udp;
    EXPECT(sscanf(slurp("/proc/net/sockstat"),
                  "sockets: used %d\nTCP: inuse %d orphan %*d tw %*d alloc %d mem %*d\nUDP: inuse %d mem", &used, &inuse,
                  &alloc, &udp) == 4);
    EXPECT(used >= 3 && inuse >= 2 && alloc >= 2);
    EXPECT(sscanf(slurp("/proc/net/sockstat6"), "TCP6: inuse %d\nUDP6: inuse %d\n", &inuse, &udp) == 2);
    EXPECT(strstr(slurp("/proc/net/protocols"), "\nTCP  ") != NULL);
    close(client), close(listener), close(datagram);
}

static void loopback(void) {
    unsigned long before[2], after[2];
    for (int i = 0; i < 2; i++) {
        char *line = strstr(slurp("/proc/net/dev"), "lo:");
        NEED(line != NULL);
        unsigned long *figures = i == 0 ? before : after;
        EXPECT(sscanf(line, "lo: %lu %lu", &figures[0], &figures[1]) == 2);
        if (i == 1) break;
        int listener = listen4(1), client = tcp4();
        EXPECT(connect_to(client, name_of(listener)) == 0 && send(client, text, 1000, 0) == 1000);
        close(client), close(listener);
    }
    EXPECT(after[0] >= before[0] + 1000 && after[1] > before[1]);
}

int main(void) {
    static const char header[] =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ";
    EXPECT(strncmp(slurp("/proc/net/tcp"), header, sizeof header - 1) == 0 && strcspn(text, "\n") == 149);
    EXPECT(strncmp(slurp("/proc/net/raw"), header, sizeof header - 2) == 0);
    EXPECT(strstr(slurp("/proc/net/udp"), "inode ref pointer drops") != NULL && strcspn(text, "\n") == 127);
    tcp();
    part("tcp");
    datagrams();
    part("datagrams");
    unix_sockets();
    part("unix sockets");
    counters();
    part("counters");
    loopback();
    part("loopback");
    return done();
}
