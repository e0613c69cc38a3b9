// Descriptors on their way between Unix sockets: they live while they are under way and end with what carries them; seqpacket.
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

static ssize_t send_fds(int to, const int *fds, int count) {
    char byte = 'f', control[CMSG_SPACE(sizeof(int) * 300)] = {0};
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    return sendmsg(to, &message, 0);
}

// The number of descriptors that came.
static int receive_fds(int from, int *fds, int room, int *flags) {
    char byte, control[CMSG_SPACE(sizeof(int) * 16)];
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room ? control : NULL, .msg_controllen = room ? CMSG_SPACE(sizeof(int) * room) : 0};
    ssize_t got = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
    *flags = message.msg_flags;
    if (got < 0) return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL) return 0;
    int count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(header), sizeof(int) * count);
    return count;
}

// The other end sees the end of file when nobody has the write end any more.
static int has_ended(int reader) {
    struct pollfd p = {reader, POLLIN, 0};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

static void in_flight(void) {
    int pair[2], pipes[2], fds[4], flags;
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(pipes) == 0);
    EXPECT(send_fds(pair[0], &pipes[1], 1) == 1 && close(pipes[1]) == 0 && !has_ended(pipes[0]));
    EXPECT(receive_fds(pair[1], fds, 1, &flags) == 1 && (fcntl(fds[0], F_GETFD) & FD_CLOEXEC));
    EXPECT(write(fds[0], "x", 1) == 1 && close(fds[0]) == 0 && has_ended(pipes[0]) == 1);
    close(pipes[0]);
    // Nobody takes it: it ends with the socket that it waits at.
    NEED(pipe(pipes) == 0);
    EXPECT(send_fds(pair[0], &pipes[1], 1) == 1 && close(pipes[1]) == 0);
    EXPECT(close(pair[1]) == 0 && has_ended(pipes[0]));
    close(pipes[0]), close(pair[0]);
    // There is no room for it: it is closed, and the message says so.
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && pipe(pipes) == 0);
    int three[3] = {pipes[1], pipes[1], pipes[1]};
    EXPECT(send_fds(pair[0], three, 3) == 1 && close(pipes[1]) == 0);
    EXPECT(receive_fds(pair[1], fds, 0, &flags) == 0 && (flags & MSG_CTRUNC) && has_ended(pipes[0]));
    close(pipes[0]), close(pair[0]), close(pair[1]);
}

static void limits(void) {
    int pair[2], many[300];
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    for (int i = 0; i < 300; i++) many[i] = pair[0];
    EXPECT(send_fds(pair[0], many, 253) == 1);
    FAILS(send_fds(pair[0], many, 254), EINVAL);
    many[1] = 999;
    FAILS(send_fds(pair[0], many, 2), EBADF);
    close(pair[0]), close(pair[1]);
}

static int sockets_there_are(void) {
    FILE *list = fopen("/proc/net/unix", "r");
    NEED(list != NULL);
    int lines = 0;
    for (int c; (c = getc(list)) != EOF;) lines += c == '\n';
    fclose(list);
    return lines;
}

static void close_another(void) {
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    EXPECT(fd >= 0 && close(fd) == 0);
}

// Two sockets that are on their way through each other are unreachable: sending and closing has them looked for.
static void cycles(void) {
    int pair[2], before = sockets_there_are();
    for (int i = 0; i < 2000; i++) {
        NEED(socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_DGRAM, 0, pair) == 0);
        // Too many are in flight for somebody without privileges.
        while (send_fds(pair[0], &pair[1], 1) < 0 && errno == ETOOMANYREFS) close_another();
        while (send_fds(pair[1], &pair[0], 1) < 0 && errno == ETOOMANYREFS) close_another();
        close(pair[0]), close(pair[1]);
    }
    for (int i = 0; i < 100; i++) close_another();
    // Linux closes what it has found a little later. Others on the machine have sockets as well.
    for (int i = 0; i < 2000 && sockets_there_are() > before + 1000; i++) sleep_ms(5);
    EXPECT(sockets_there_are() <= before + 1000);
}

static void seqpacket(void) {
    int pair[2];
    char text[16];
    NEED(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    EXPECT(send(pair[0], "first", 5, 0) == 5 && send(pair[0], "", 0, 0) == 0 && send(pair[0], "third", 5, 0) == 5);
    EXPECT(recv(pair[1], text, 3, 0) == 3 && memcmp(text, "fir", 3) == 0);
    EXPECT(recv(pair[1], text, sizeof text, 0) == 0);
    EXPECT(recv(pair[1], text, 2, MSG_TRUNC) == 5);
    FAILS(recv(pair[1], text, 1, MSG_DONTWAIT), EAGAIN);
    EXPECT(send(pair[0], "last", 4, MSG_EOR) == 4 && close(pair[0]) == 0);
    EXPECT(recv(pair[1], text, sizeof text, 0) == 4 && recv(pair[1], text, sizeof text, 0) == 0);
    FAILS(send(pair[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(pair[1]);
}

int main(void) {
    in_flight();
    part("in flight");
    limits();
    part("limits");
    cycles();
    part("cycles");
    seqpacket();
    return done();
}
