// SCM_RIGHTS: pipes and files go through sockets of every type.
#include "unix_sockets.h"

#include <fcntl.h>
#include <sys/stat.h>

static int s[2];

static ssize_t send_files(int fd, const char *bytes, const int *files, int n) {
    char control[CMSG_SPACE(254 * sizeof(int))] = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, strlen(bytes)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    message.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
    memcpy(CMSG_DATA(header), files, (size_t)n * sizeof(int));
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

// Answers how many bytes came; there was room for `room` files, and `*n` came.
static ssize_t receive_files(int fd, size_t size, int *files, int room, int *n, int *flags) {
    char control[CMSG_SPACE(8 * sizeof(int))], bytes[64];
    struct iovec into = {bytes, size};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control};
    message.msg_controllen = room == 0 ? 0 : CMSG_LEN((size_t)room * sizeof(int));
    ssize_t got = recvmsg(fd, &message, *flags);
    *flags = message.msg_flags, *n = 0;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got >= 0 && header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        *n = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(files, CMSG_DATA(header), (size_t)*n * sizeof(int));
    }
    return got;
}

static void pass(int type) {
    int p[2], got[8], n, flags = MSG_CMSG_CLOEXEC;
    char bytes[16];
    NEED(socketpair(AF_UNIX, type, 0, s) == 0 && pipe(p) == 0);
    int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    NEED(write(file, "content", 7) == 7);
    EXPECT(send_files(s[0], "x", (int[]){p[1], file}, 2) == 1);
    // What is in flight stays open, with its position.
    close(p[1]), close(file);
    EXPECT(receive_files(s[1], 9, got, 8, &n, &flags) == 1 && n == 2 && flags == MSG_CMSG_CLOEXEC);
    EXPECT(fcntl(got[0], F_GETFD) == FD_CLOEXEC && fcntl(got[0], F_GETFL) == O_WRONLY);
    EXPECT(write(got[0], "through", 7) == 7 && read(p[0], bytes, 16) == 7);
    EXPECT(lseek(got[1], 0, SEEK_CUR) == 7 && pread(got[1], bytes, 16, 0) == 7 && memcmp(bytes, "content", 7) == 0);
    close(got[0]), close(got[1]);
    EXPECT(read(p[0], bytes, 16) == 0);
    close(p[0]), close(s[0]), close(s[1]);
}

static void boundaries(void) {
    int p[2], got[8], n, flags = 0;
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
    EXPECT(write(s[0], "A", 1) == 1 && send_files(s[0], "BB", p, 1) == 2 && write(s[0], "C", 1) == 1);
    EXPECT(send_files(s[0], "DD", p, 2) == 2 && send_files(s[0], "EE", p, 1) == 2);
    EXPECT(receive_files(s[1], 9, got, 8, &n, &flags) == 3 && n == 1);
    close(got[0]);
    EXPECT(receive_files(s[1], 2, got, 8, &n, &flags) == 2 && n == 2);
    close(got[0]), close(got[1]);
    EXPECT(receive_files(s[1], 9, got, 8, &n, &flags) == 3 && n == 1);
    close(got[0]);
    // Peeking gives descriptors of its own.
    EXPECT(send_files(s[0], "F", p, 1) == 1 && (flags = MSG_PEEK) && receive_files(s[1], 9, got, 8, &n, &flags) == 1);
    EXPECT(n == 1 && close(got[0]) == 0 && (flags = 0) == 0 && receive_files(s[1], 9, got, 8, &n, &flags) == 1 && n == 1);
    close(got[0]), close(p[0]), close(p[1]), close(s[0]), close(s[1]);
}

static void unreceived(void) {
    int p[2], got[8], n, flags = 0;
    char byte;
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe2(p, O_NONBLOCK) == 0);
    int writers[2] = {p[1], dup(p[1])};
    // Room for one of two: the other is closed, and it is told.
    EXPECT(send_files(s[0], "x", writers, 2) == 1 && receive_files(s[1], 9, got, 1, &n, &flags) == 1);
    EXPECT(n == 1 && flags == MSG_CTRUNC);
    close(got[0]);
    // No room, or a plain read.
    flags = 0;
    EXPECT(send_files(s[0], "x", writers, 1) == 1 && receive_files(s[1], 9, got, 0, &n, &flags) == 1 && flags == MSG_CTRUNC);
    EXPECT(send_files(s[0], "x", writers, 2) == 1 && read(s[1], &byte, 1) == 1);
    // Left in the queue of a socket that is closed.
    EXPECT(send_files(s[0], "x", writers, 2) == 1);
    close(writers[0]), close(writers[1]);
    FAILS(read(p[0], &byte, 1), EAGAIN);
    close(s[0]), close(s[1]);
    EXPECT(read(p[0], &byte, 1) == 0);
    close(p[0]);
}

static void socket_in_itself(void) {
    int got[8], n, flags = 0, inner[2];
    char byte;
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, inner) == 0);
    EXPECT(send_files(inner[0], "deep", (int[]){s[0]}, 1) == 4 && send_files(s[0], "x", (int[]){inner[1]}, 1) == 1);
    close(inner[1]);
    EXPECT(receive_files(s[1], 9, got, 8, &n, &flags) == 1 && n == 1);
    EXPECT(receive_files(got[0], 9, got + 1, 7, &n, &flags) == 4 && n == 1);
    EXPECT(write(got[1], "y", 1) == 1 && read(s[1], &byte, 1) == 1);
    close(got[0]), close(got[1]), close(inner[0]), close(s[0]), close(s[1]);
}

static void errors(void) {
    int many[254];
    for (int i = 0; i < 254; i++) many[i] = 0;
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    FAILS(send_files(s[0], "x", many, 254), EINVAL);
    FAILS(send_files(s[0], "x", (int[]){0, 9999}, 2), EBADF);
    EXPECT(send_files(s[0], "x", many, 253) == 1);
    char byte;
    EXPECT(read(s[1], &byte, 1) == 1);
    FAILS(recv(s[1], &byte, 1, MSG_DONTWAIT), EAGAIN);
    close(s[0]), close(s[1]);
}

int main(void) {
    enter_scratch();
    pass(SOCK_STREAM);
    pass(SOCK_DGRAM);
    pass(SOCK_SEQPACKET);
    part("pass");
    boundaries();
    part("boundaries");
    unreceived();
    part("unreceived");
    socket_in_itself();
    part("socket in itself");
    errors();
    return done();
}
