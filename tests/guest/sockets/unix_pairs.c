// socketpair of each type: data both ways, peeking, ends, resets, counts, options.
#include "unix_sockets.h"

#include <fcntl.h>
/* As in linux/sockios.h, which musl does not come with. */
#define SIOCINQ FIONREAD
#define SIOCOUTQ TIOCOUTQ
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

static int s[2];
static char buffer[256];

static int count(int fd, unsigned long request) {
    int n = -1;
    return ioctl(fd, request, &n) == 0 ? n : -1;
}

static void common(int type) {
    NEED(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, s) == 0);
    EXPECT(fcntl(s[0], F_GETFD) == FD_CLOEXEC && fcntl(s[1], F_GETFL) == O_RDWR);
    EXPECT(int_option(s[0], SO_TYPE) == type && int_option(s[0], SO_DOMAIN) == AF_UNIX);
    EXPECT(int_option(s[0], SO_PROTOCOL) == 0 && int_option(s[0], SO_ERROR) == 0);
    EXPECT(int_option(s[0], SO_SNDBUF) == 212992 && int_option(s[0], SO_RCVBUF) == 212992);
    EXPECT(int_option(s[0], SO_ACCEPTCONN) == 0);
    EXPECT(is_named(s[0], 0, "") && is_named(s[0], 1, ""));
    struct stat st;
    EXPECT(fstat(s[0], &st) == 0 && S_ISSOCK(st.st_mode));
    FAILS(lseek(s[0], 0, SEEK_SET), ESPIPE);
    FAILS(recv(s[0], buffer, 1, MSG_DONTWAIT), EAGAIN);
    EXPECT(write(s[0], "hello", 5) == 5 && send(s[1], "back", 4, 0) == 4);
    EXPECT(count(s[1], SIOCINQ) == 5 && count(s[0], SIOCOUTQ) > 0);
    EXPECT(recv(s[1], buffer, 256, MSG_PEEK) == 5 && memcmp(buffer, "hello", 5) == 0);
    EXPECT(recv(s[1], buffer, 0, MSG_PEEK) == 0);
    EXPECT(read(s[1], buffer, 256) == 5 && read(s[0], buffer, 256) == 4 && memcmp(buffer, "back", 4) == 0);
    EXPECT(count(s[1], SIOCINQ) == 0 && count(s[0], SIOCOUTQ) == 0);
    struct iovec parts[] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    EXPECT(writev(s[0], parts, 3) == 5);
    struct iovec into[] = {{buffer, 1}, {buffer + 10, 20}};
    EXPECT(readv(s[1], into, 2) == 5 && buffer[0] == 'a' && memcmp(buffer + 10, "bcde", 4) == 0);
    // Shut one way, the other stays.
    EXPECT(shutdown(s[0], SHUT_WR) == 0);
    FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT(send(s[1], "y", 1, 0) == 1 && recv(s[0], buffer, 9, 0) == 1);
    close(s[0]), close(s[1]);
}

static void stream(void) {
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    // No boundaries.
    EXPECT(write(s[0], "ab", 2) == 2 && write(s[0], "cd", 2) == 2 && count(s[1], SIOCINQ) == 4);
    EXPECT(read(s[1], buffer, 3) == 3 && read(s[1], buffer, 9) == 1 && buffer[0] == 'd');
    EXPECT(send(s[0], "", 0, 0) == 0 && count(s[1], SIOCINQ) == 0);
    EXPECT(write(s[0], "abcdef", 6) == 6 && recv(s[1], buffer, 6, MSG_WAITALL) == 6);
    // Data, then the error, then the end.
    EXPECT(write(s[0], "data", 4) == 4 && write(s[1], "unread", 6) == 6);
    close(s[0]);
    EXPECT(read(s[1], buffer, 9) == 4);
    FAILS(read(s[1], buffer, 9), ECONNRESET);
    EXPECT(read(s[1], buffer, 9) == 0);
    FAILS(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    close(s[1]);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    EXPECT(write(s[1], "kept", 4) == 4 && shutdown(s[0], SHUT_RD) == 0);
    FAILS(send(s[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT(read(s[0], buffer, 9) == 4 && read(s[0], buffer, 9) == 0 && write(s[0], "y", 1) == 1);
    close(s[0]), close(s[1]);
}

static void packets(int type) {
    NEED(socketpair(AF_UNIX, type, 0, s) == 0);
    struct iovec into = {buffer, 3};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1};
    EXPECT(send(s[0], "first", 5, 0) == 5 && send(s[0], "", 0, 0) == 0 && send(s[0], "third", 5, MSG_EOR) == 5);
    EXPECT(count(s[1], SIOCINQ) == (type == SOCK_DGRAM ? 5 : 10));
    EXPECT(recv(s[1], buffer, 2, MSG_PEEK | MSG_TRUNC) == 5);
    EXPECT(recvmsg(s[1], &message, 0) == 3 && message.msg_flags == MSG_TRUNC && memcmp(buffer, "fir", 3) == 0);
    EXPECT(recvmsg(s[1], &message, 0) == 0 && message.msg_flags == 0);
    EXPECT(recv(s[1], buffer, 9, MSG_TRUNC) == 5);
    FAILS(recv(s[1], buffer, 9, MSG_DONTWAIT), EAGAIN);
    static char large[212992];
    FAILS(send(s[0], large, 212992 - 31, 0), EMSGSIZE);
    EXPECT(send(s[0], large, 212992 - 32, 0) == 212992 - 32);
    FAILS(send(s[0], large, 1, MSG_DONTWAIT), EAGAIN);
    EXPECT(recv(s[1], large, sizeof large, 0) == 212992 - 32 && send(s[0], large, 1, MSG_DONTWAIT) == 1);
    close(s[0]), close(s[1]);
}

static void reset_of_seqpackets(void) {
    NEED(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s) == 0);
    EXPECT(send(s[0], "data", 4, 0) == 4 && send(s[1], "unread", 6, 0) == 6);
    close(s[0]);
    // Other than with streams, the error comes first.
    FAILS(recv(s[1], buffer, 9, 0), ECONNRESET);
    EXPECT(recv(s[1], buffer, 9, 0) == 4 && recv(s[1], buffer, 9, 0) == 0);
    close(s[1]);
}

int main(void) {
    common(SOCK_STREAM);
    common(SOCK_DGRAM);
    common(SOCK_SEQPACKET);
    part("common");
    stream();
    part("stream");
    packets(SOCK_DGRAM);
    packets(SOCK_SEQPACKET);
    part("packets");
    reset_of_seqpackets();
    return done();
}
