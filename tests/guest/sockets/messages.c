// Messages: vectors, control messages, descriptors that travel, many at a time; and files that go to a socket.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>


static int s[2];
static char byte = 'x';
static struct iovec iov = {&byte, 1};

static ssize_t send_rights(int count, const int *fds) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
    msg.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
    memcpy(CMSG_DATA(&control.header), fds, (size_t)count * sizeof(int));
    return sendmsg(s[0], &msg, 0);
}

static struct msghdr received;
static union {
    struct cmsghdr header;
    char bytes[128];
} control;

static ssize_t receive(size_t room, int flags) {
    memset(&control, 0, sizeof control);
    received = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_flags = -1};
    received.msg_control = room ? &control : NULL;
    received.msg_controllen = room;
    return recvmsg(s[1], &received, flags);
}

static void rights(void) {
    int p[2], fds[2];
    char got = 0;
    NEED(pipe(p) == 0);
    EXPECT(send_rights(2, (int[]){p[0], p[1]}) == 1 && receive(64, MSG_CMSG_CLOEXEC) == 1);
    EXPECT(received.msg_flags == MSG_CMSG_CLOEXEC && received.msg_controllen == CMSG_SPACE(8));
    EXPECT(control.header.cmsg_len == CMSG_LEN(8) && control.header.cmsg_type == SCM_RIGHTS);
    memcpy(fds, CMSG_DATA(&control.header), sizeof fds);
    EXPECT(fcntl(fds[0], F_GETFD) == FD_CLOEXEC && write(fds[1], "y", 1) == 1 && read(p[0], &got, 1) == 1 && got == 'y');
    close(fds[0]);
    close(fds[1]);
    EXPECT(send_rights(2, (int[]){p[0], p[1]}) == 1 && receive(20, 0) == 1);
    EXPECT(received.msg_flags == MSG_CTRUNC && received.msg_controllen == 20 && control.header.cmsg_len == 20);
    memcpy(fds, CMSG_DATA(&control.header), sizeof(int));
    EXPECT(fcntl(fds[0], F_GETFD) == 0 && close(fds[0]) == 0);
    for (size_t room = 0; room < 20; room += 16) {
        EXPECT(send_rights(1, &p[0]) == 1 && receive(room, 0) == 1);
        EXPECT(received.msg_flags == MSG_CTRUNC && received.msg_controllen == 0);
    }
    // Descriptors that nobody received are closed: the pipe has no writer then.
    EXPECT(send_rights(1, &p[1]) == 1 && close(p[1]) == 0 && read(s[1], &got, 1) == 1);
    EXPECT(read(p[0], &got, 1) == 0);
    FAILS(send_rights(2, (int[]){p[0], 99}), EBADF);
    close(p[0]);
}

static void lengths(void) {
    struct cmsghdr header = {.cmsg_len = 8, .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &header, .msg_controllen = sizeof header};
    FAILS(sendmsg(s[0], &msg, 0), EINVAL);
    header.cmsg_len = sizeof header + 1;
    FAILS(sendmsg(s[0], &msg, 0), EINVAL);
    header.cmsg_len = sizeof header;
    header.cmsg_type = 77;
    FAILS(sendmsg(s[0], &msg, 0), EINVAL);
    header.cmsg_level = 77;
    EXPECT(sendmsg(s[0], &msg, 0) == 1 && receive(0, 0) == 1 && received.msg_flags == 0);
    msg.msg_controllen = sizeof header - 1;
    EXPECT(sendmsg(s[0], &msg, 0) == 1 && receive(0, 0) == 1);
}

static void credentials(void) {
    int on = 1;
    struct ucred who;
    NEED(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
    EXPECT(write(s[0], "x", 1) == 1 && receive(64, 0) == 1 && received.msg_controllen == CMSG_SPACE(sizeof who));
    EXPECT(control.header.cmsg_type == SCM_CREDENTIALS && control.header.cmsg_len == CMSG_LEN(sizeof who));
    memcpy(&who, CMSG_DATA(&control.header), sizeof who);
    EXPECT(who.pid == getpid() && who.uid == getuid() && who.gid == getgid());
    EXPECT(write(s[0], "x", 1) == 1 && receive(20, 0) == 1 && received.msg_flags == MSG_CTRUNC);
    EXPECT(received.msg_controllen == 20 && control.header.cmsg_len == 20);
    on = 0;
    NEED(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
}

static void many(void) {
    int d[2];
    char texts[3][4] = {"one", "two", "six"}, into[3][4] = {{0}};
    struct iovec iovs[6];
    struct mmsghdr out[3] = {0}, in[3] = {0};
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, d) == 0);
    for (int i = 0; i < 3; i++) {
        iovs[i] = (struct iovec){texts[i], 3};
        iovs[3 + i] = (struct iovec){into[i], i == 2 ? 2 : 4};
        out[i].msg_hdr.msg_iov = &iovs[i];
        in[i].msg_hdr.msg_iov = &iovs[3 + i];
        out[i].msg_hdr.msg_iovlen = in[i].msg_hdr.msg_iovlen = 1;
    }
    EXPECT(sendmmsg(d[0], out, 3, 0) == 3 && out[2].msg_len == 3);
    struct timespec limit = {5, 0};
    EXPECT(recvmmsg(d[1], in, 3, 0, &limit) == 3 && in[0].msg_len == 3 && in[2].msg_len == 2);
    EXPECT(in[2].msg_hdr.msg_flags == MSG_TRUNC && in[0].msg_hdr.msg_flags == 0 && limit.tv_sec == 4);
    EXPECT(memcmp(into[1], "two", 3) == 0 && memcmp(into[2], "si", 3) == 0);
    EXPECT(sendmmsg(d[0], out, 1, 0) == 1 && recvmmsg(d[1], in, 3, MSG_WAITFORONE, NULL) == 1);
    FAILS(recvmmsg(d[1], in, 3, MSG_DONTWAIT, NULL), EAGAIN);
    EXPECT(send(d[0], "long", 4, 0) == 4 && recv(d[1], into, 2, MSG_TRUNC) == 4);
    close(d[0]);
    close(d[1]);
}

static void files(void) {
    char bytes[16] = {0};
    off_t offset = 2;
    loff_t place = 0;
    int p[2], fd = memfd_create("data", 0);
    NEED(pipe(p) == 0 && write(fd, "0123456789", 10) == 10);
    EXPECT(sendfile(s[0], fd, &offset, 100) == 8 && offset == 10 && recv(s[1], bytes, 16, 0) == 8);
    EXPECT(memcmp(bytes, "23456789", 8) == 0 && sendfile(s[0], fd, &offset, 100) == 0);
    FAILS(sendfile(fd, s[0], NULL, 1), EINVAL);
    EXPECT(write(s[0], "hello", 5) == 5 && splice(s[1], NULL, p[1], NULL, 100, 0) == 5);
    EXPECT(splice(p[0], NULL, s[0], NULL, 3, 0) == 3 && splice(p[0], NULL, s[0], NULL, 100, 0) == 2);
    EXPECT(recv(s[1], bytes, 16, 0) == 5 && memcmp(bytes, "hello", 5) == 0);
    FAILS(splice(p[0], NULL, s[0], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
    FAILS(splice(p[0], NULL, s[0], &place, 1, 0), EINVAL);
    close(p[1]);
    EXPECT(splice(p[0], NULL, s[0], NULL, 1, 0) == 0);
    close(p[0]);
    close(fd);
}

int main(void) {
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    rights();
    lengths();
    credentials();
    many();
    files();
    return done();
}
