// The errno of wrong uses of Unix sockets, printed one a line.
#include "unix_sockets.h"

#include <fcntl.h>
#include <sys/ioctl.h>

static int number;

#define SHOW(call)                                                                            \
    do {                                                                                      \
        errno = 0;                                                                            \
        long result = (long)(call);                                                           \
        printf("%2d %s: %s\n", ++number, #call, result < 0 ? strerrorname_np(errno) : "ok");  \
    } while (0)

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char byte;
static int s[2];

static void making(void) {
    SHOW(socket(AF_UNIX, 0, 0));
    SHOW(socket(AF_UNIX, SOCK_RDM, 0));
    SHOW(socket(AF_UNIX, 11, 0));
    SHOW(socket(AF_UNIX, SOCK_STREAM, AF_INET));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 99, s));
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, NULL));
}

static void binding(int fd) {
    struct sockaddr *any = (struct sockaddr *)&address;
    SHOW(bind(fd, any, 1));
    SHOW(bind(fd, any, sizeof address + 1));
    SHOW(bind(fd, NULL, 10));
    address.sun_family = AF_INET;
    SHOW(bind(fd, any, sizeof address));
    address.sun_family = AF_UNIX;
    SHOW(unix_bind(fd, "no/such/directory"));
    SHOW(unix_bind(fd, "file"));
    SHOW(unix_bind(fd, "file/below"));
    SHOW(listen(fd, 1));
    SHOW(unix_bind(fd, "first"));
    SHOW(unix_bind(fd, "first"));
    SHOW(unix_bind(fd, "second"));
    SHOW(unix_bind(fd, "@second"));
    SHOW(access("second", F_OK));
}

static void connecting(int bound) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), datagrams = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr *any = (struct sockaddr *)&address;
    SHOW(accept(bound, NULL, NULL));
    SHOW(unix_connect(fd, "first"));
    SHOW(unix_connect(fd, "none"));
    SHOW(unix_connect(fd, "file"));
    SHOW(unix_connect(fd, "file/below"));
    SHOW(unix_connect(fd, "@none"));
    SHOW(unix_connect(datagrams, "first"));
    SHOW(unix_send_to(datagrams, "x", 0, "first"));
    SHOW(connect(fd, any, sizeof(sa_family_t)));
    address.sun_family = AF_UNSPEC;
    SHOW(connect(fd, any, sizeof address));
    SHOW(connect(datagrams, any, sizeof address));
    address.sun_family = AF_UNIX;
    SHOW(listen(bound, 1));
    SHOW(unix_connect(bound, "first"));
    SHOW(unix_connect(fd, "first"));
    SHOW(unix_connect(fd, "first"));
    SHOW(listen(fd, 1));
    SHOW(listen(datagrams, 1));
    SHOW(accept(datagrams, NULL, NULL));
    SHOW(accept4(bound, NULL, NULL, 1));
    SHOW(unix_send_to(fd, "x", 0, "first"));
    SHOW(read(bound, &byte, 1));
    SHOW(write(bound, &byte, 1));
    SHOW(ioctl(bound, FIONREAD, &s[0]));
    close(fd), close(datagrams);
}

static void moving(void) {
    int stream = socket(AF_UNIX, SOCK_STREAM, 0), packets = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    int datagrams = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t length = sizeof address;
    SHOW(send(stream, "x", 1, 0));
    SHOW(unix_send_to(stream, "x", 0, "first"));
    SHOW(recv(stream, &byte, 1, 0));
    SHOW(send(packets, "x", 1, 0));
    SHOW(recv(packets, &byte, 1, 0));
    SHOW(send(datagrams, "x", 1, 0));
    SHOW(recv(datagrams, &byte, 1, MSG_DONTWAIT));
    SHOW(recv(datagrams, &byte, 1, MSG_OOB));
    SHOW(send(datagrams, &byte, 1, MSG_OOB));
    SHOW(getpeername(stream, (struct sockaddr *)&address, &length));
    SHOW(shutdown(stream, SHUT_RDWR));
    SHOW(shutdown(stream, 3));
    SHOW(send(0x7fff, "x", 1, 0));
    SHOW(send(open("file", O_RDONLY), "x", 1, 0));
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    SHOW(send(s[0], NULL, 1, 0));
    SHOW(write(s[0], "x", 1));
    SHOW(recv(s[1], (void *)8, 1, 0));
    SHOW(recv(s[1], &byte, 1, 0));
    SHOW(recv(s[1], &byte, 1, MSG_OOB));
    SHOW(lseek(s[0], 0, SEEK_CUR));
    SHOW(pread(s[0], &byte, 1, 0));
    close(stream), close(packets), close(datagrams);
}

static void options(void) {
    int value = 1;
    socklen_t length = sizeof value, negative = (socklen_t)-1;
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, &value, 2));
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_PASSCRED, NULL, sizeof value));
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &value, sizeof value));
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_ACCEPTCONN, &value, sizeof value));
    SHOW(setsockopt(s[0], SOL_SOCKET, SO_REUSEADDR, &value, sizeof value));
    SHOW(setsockopt(s[0], SOL_SOCKET, 999, &value, sizeof value));
    SHOW(setsockopt(s[0], 6, 1, &value, sizeof value));
    SHOW(getsockopt(s[0], 6, 1, &value, &length));
    SHOW(getsockopt(s[0], SOL_SOCKET, 999, &value, &length));
    SHOW(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &value, &negative));
}

int main(void) {
    enter_scratch();
    close(open("file", O_CREAT | O_WRONLY, 0600));
    making();
    int bound = socket(AF_UNIX, SOCK_STREAM, 0);
    binding(bound);
    connecting(bound);
    moving();
    options();
    return done();
}
