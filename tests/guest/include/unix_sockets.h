// What the programs about Unix sockets share.
#ifndef UNIX_SOCKETS_H
#define UNIX_SOCKETS_H

#include "check.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct unix_name {
    struct sockaddr_un address;
    socklen_t length;
};

// A path; with a leading '@', an abstract name.
static inline struct unix_name unix_name(const char *text) {
    struct unix_name name = {.address.sun_family = AF_UNIX};
    size_t length = strlen(text);
    memcpy(name.address.sun_path, text, length);
    if (text[0] == '@') name.address.sun_path[0] = 0;
    name.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (text[0] != '@'));
    return name;
}

static inline int unix_bind(int fd, const char *text) {
    struct unix_name name = unix_name(text);
    return bind(fd, (struct sockaddr *)&name.address, name.length);
}

static inline int unix_connect(int fd, const char *text) {
    struct unix_name name = unix_name(text);
    return connect(fd, (struct sockaddr *)&name.address, name.length);
}

static inline ssize_t unix_send_to(int fd, const char *bytes, int flags, const char *text) {
    struct unix_name name = unix_name(text);
    return sendto(fd, bytes, strlen(bytes), flags, (struct sockaddr *)&name.address, name.length);
}

static inline int unix_listener(int type, const char *text, int backlog) {
    int fd = socket(AF_UNIX, type, 0);
    NEED(fd >= 0 && unix_bind(fd, text) == 0 && listen(fd, backlog) == 0);
    return fd;
}

static inline int int_option(int fd, int option) {
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 && length == sizeof value ? value : -1;
}

static inline int set_int_option(int fd, int option, int value) {
    return setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
}

// Whether getsockname or getpeername (`peer`) says `text`; an empty text stands for no name.
static inline int is_named(int fd, int peer, const char *text) {
    struct unix_name wanted = unix_name(text), got = {.length = sizeof got.address};
    if (text[0] == 0) wanted.length = sizeof(sa_family_t);
    int result = (peer ? getpeername : getsockname)(fd, (struct sockaddr *)&got.address, &got.length);
    return result == 0 && got.length == wanted.length && memcmp(&got.address, &wanted.address, got.length) == 0;
}

#endif
