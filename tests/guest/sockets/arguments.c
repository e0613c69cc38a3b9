// Calls on sockets: which argument is looked at first, and lengths that are given and given back.
#include "check.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

// Volatile, so that the compiler does not see how bad it is.
static void *volatile bad_address = (void *)1;
#define BAD bad_address

static int file, s[2];
static struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0arguments"};
static const socklen_t name_len = offsetof(struct sockaddr_un, sun_path) + 10;

static void making(void) {
    int fds[2] = {5, 6};
    FAILS(socket(77, SOCK_STREAM | 0x10, 0), EINVAL);
    FAILS(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    FAILS(socket(AF_UNIX, 15, 0), EINVAL);
    FAILS(socketpair(77, SOCK_STREAM, 0, BAD), EFAULT);
    FAILS(socketpair(AF_UNIX, SOCK_STREAM | 64, 0, BAD), EINVAL);
    FAILS(socketpair(AF_UNIX, SOCK_STREAM, 0, BAD), EFAULT);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    EXPECT(fcntl(fds[0], F_GETFD) == FD_CLOEXEC && fcntl(fds[1], F_GETFL) == (O_RDWR | O_NONBLOCK));
    close(fds[0]);
    close(fds[1]);
}

static void names(void) {
    struct sockaddr_storage place;
    socklen_t len = sizeof place;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    FAILS(bind(file, BAD, 16), ENOTSOCK);
    FAILS(bind(99, BAD, 16), EBADF);
    FAILS(bind(fd, BAD, 16), EFAULT);
    FAILS(bind(fd, (void *)&name, (socklen_t)-1), EINVAL);
    FAILS(bind(fd, (void *)&name, 129), EINVAL);
    FAILS(bind(fd, (void *)&name, 0), EINVAL);
    FAILS(connect(file, BAD, 16), EFAULT);
    FAILS(connect(file, (void *)&name, name_len), ENOTSOCK);
    FAILS(listen(file, 1), ENOTSOCK);
    FAILS(shutdown(fd, 3), EINVAL);
    FAILS(getsockname(fd, NULL, NULL), EFAULT);
    FAILS(getpeername(fd, BAD, BAD), ENOTCONN);
    EXPECT(bind(fd, (void *)&name, name_len) == 0);
    EXPECT(getsockname(fd, (void *)&place, &len) == 0 && len == name_len && memcmp(&place, &name, len) == 0);
    memset(&place, 0x55, sizeof place);
    len = 4;
    EXPECT(getsockname(fd, (void *)&place, &len) == 0 && len == name_len && ((char *)&place)[4] == 0x55);
    len = 0;
    EXPECT(getsockname(fd, NULL, &len) == 0 && len == name_len);
    len = (socklen_t)-5;
    FAILS(getsockname(fd, (void *)&place, &len), EINVAL);
    FAILS(accept4(99, NULL, NULL, 1), EBADF);
    FAILS(accept4(file, NULL, NULL, 1), EINVAL);
    FAILS(accept(file, NULL, NULL), ENOTSOCK);
    FAILS(accept(fd, NULL, NULL), EINVAL);
    EXPECT(listen(fd, 1) == 0);
    close(fd);
}

static void options(void) {
    int one = 1;
    char value[64];
    socklen_t len = 4;
    struct timeval time = {-1, 0};
    FAILS(setsockopt(file, SOL_SOCKET, SO_TYPE, BAD, (socklen_t)-1), ENOTSOCK);
    FAILS(setsockopt(s[0], SOL_SOCKET, 9999, BAD, (socklen_t)-1), EINVAL);
    FAILS(setsockopt(s[0], SOL_SOCKET, 9999, BAD, 3), EINVAL);
    FAILS(setsockopt(s[0], SOL_SOCKET, 9999, BAD, 4), EFAULT);
    FAILS(setsockopt(s[0], SOL_SOCKET, 9999, &one, 4), ENOPROTOOPT);
    FAILS(setsockopt(s[0], SOL_SOCKET, SO_TYPE, &one, 4), ENOPROTOOPT);
    EXPECT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
    FAILS(recv(s[0], value, 1, 0), EAGAIN);
    time = (struct timeval){4, 0};
    FAILS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, 8), EINVAL);
    EXPECT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
    len = sizeof value;
    EXPECT(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, value, &len) == 0 && len == 16 && memcmp(value, &time, 16) == 0);
    time.tv_usec = 1000000;
    FAILS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time), EDOM);
    time = (struct timeval){0, 0};
    EXPECT(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0);
    FAILS(getsockopt(s[0], SOL_SOCKET, 9999, value, NULL), EFAULT);
    len = (socklen_t)-1;
    FAILS(getsockopt(s[0], SOL_SOCKET, 9999, value, &len), EINVAL);
    len = 4;
    FAILS(getsockopt(s[0], SOL_SOCKET, 9999, value, &len), ENOPROTOOPT);
    FAILS(getsockopt(s[0], SOL_SOCKET, SO_TYPE, NULL, &len), EFAULT);
    value[2] = 0x55;
    len = 2;
    EXPECT(getsockopt(s[0], SOL_SOCKET, SO_TYPE, value, &len) == 0 && len == 2 && value[0] == SOCK_STREAM);
    EXPECT(value[2] == 0x55);
    len = 40;
    EXPECT(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, value, &len) == 0 && len == 4 && value[0] == AF_UNIX);
}

static void headers(void) {
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1025};
    FAILS(sendmsg(file, BAD, 0), ENOTSOCK);
    FAILS(sendmsg(s[0], BAD, 0), EFAULT);
    FAILS(recvmsg(s[0], BAD, 0), EFAULT);
    FAILS(sendmsg(s[0], &msg, 0), EMSGSIZE);
    FAILS(recvmsg(s[0], &msg, 0), EMSGSIZE);
    msg.msg_name = &name;
    msg.msg_namelen = (socklen_t)-1;
    FAILS(sendmsg(s[0], &msg, 0), EINVAL);
    FAILS(recvmsg(s[0], &msg, 0), EINVAL);
    FAILS(syscall(SYS_sendmsg, s[0], &msg, 0x80000000u), EINVAL);
    msg = (struct msghdr){.msg_iov = &iov, .msg_iovlen = 1, .msg_control = BAD, .msg_controllen = 64};
    FAILS(sendmsg(s[0], &msg, 0), EFAULT);
    msg.msg_controllen = 1 << 20;
    FAILS(sendmsg(s[0], &msg, 0), ENOBUFS);
    struct mmsghdr many = {.msg_hdr = msg};
    struct timespec bad = {-1, 0};
    EXPECT(recvmmsg(s[0], &many, 0, 0, NULL) == 0 && sendmmsg(s[0], BAD, 0, 0) == 0);
    FAILS(recvmmsg(99, &many, 1, 0, &bad), EINVAL);
    FAILS(recvmmsg(99, &many, 1, 0, BAD), EFAULT);
    FAILS(sendmmsg(99, NULL, 0, 0), EBADF);
    FAILS(sendmmsg(s[0], BAD, 1, 0), EFAULT);
}

static void bytes(void) {
    char byte;
    int left;
    struct stat st;
    FAILS(syscall(SYS_sendto, 99, -1L, 1, 0, 0, 0), EFAULT);
    FAILS(syscall(SYS_recvfrom, 99, -1L, 1, 0, 0, 0), EFAULT);
    FAILS(send(file, "x", 1, 0), ENOTSOCK);
    FAILS(recv(s[0], &byte, 1, MSG_DONTWAIT), EAGAIN);
    EXPECT(write(s[1], "abc", 3) == 3 && ioctl(s[0], FIONREAD, &left) == 0 && left == 3);
    EXPECT(read(s[0], &byte, 0) == 0 && recv(s[0], &byte, 1, MSG_PEEK) == 1 && byte == 'a');
    FAILS(recv(s[0], BAD, 3, 0), EFAULT);
    EXPECT(readv(s[0], NULL, 0) == 0 && writev(s[0], NULL, 0) == 0);
    FAILS(pread(s[0], &byte, 1, 0), ESPIPE);
    FAILS(lseek(s[0], 0, SEEK_SET), ESPIPE);
    EXPECT(fstat(s[0], &st) == 0 && st.st_mode == (S_IFSOCK | 0777) && st.st_nlink == 1 && st.st_size == 0);
    char link[64], expected[64], path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", s[0]);
    ssize_t len = readlink(path, link, sizeof link);
    snprintf(expected, sizeof expected, "socket:[%lu]", (unsigned long)st.st_ino);
    EXPECT(len == (ssize_t)strlen(expected) && memcmp(link, expected, (size_t)len) == 0);
}

int main(void) {
    file = open("/dev/null", O_RDWR);
    NEED(file >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    making();
    names();
    options();
    headers();
    bytes();
    return done();
}
