// Clients and a server in threads: names, blocking connect and accept, much data both ways.
#include "unix_sockets.h"

#include <pthread.h>
#include <sys/stat.h>

enum { CLIENTS = 4, ROUNDS = 50, BLOCK = 30000 };

static const char *name;

static void transfer(int fd, char *block, int sends) {
    for (size_t at = 0; at < BLOCK;) {
        ssize_t n = sends ? write(fd, block + at, BLOCK - at) : read(fd, block + at, BLOCK - at);
        NEED(n > 0);
        at += (size_t)n;
    }
}

static void *client(void *argument) {
    char seed = (char)(intptr_t)argument, *block = malloc(BLOCK);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    NEED(unix_connect(fd, name) == 0);
    EXPECT(is_named(fd, 0, "") && is_named(fd, 1, name));
    for (int round = 0; round < ROUNDS; round++) {
        memset(block, seed + round, BLOCK);
        transfer(fd, block, 1);
        transfer(fd, block, 0);
        EXPECT(block[0] == (char)(seed + round + 1) && block[BLOCK - 1] == block[0]);
    }
    close(fd);
    free(block);
    return NULL;
}

static void *serve(void *argument) {
    int fd = (int)(intptr_t)argument;
    char *block = malloc(BLOCK), byte;
    for (int round = 0; round < ROUNDS; round++) {
        transfer(fd, block, 0);
        for (int i = 0; i < BLOCK; i++) block[i]++;
        transfer(fd, block, 1);
    }
    EXPECT(read(fd, &byte, 1) == 0);
    close(fd);
    free(block);
    return NULL;
}

static void conversations(void) {
    // A backlog of 0 makes some clients wait in connect.
    int listener = unix_listener(SOCK_STREAM, name, 0);
    EXPECT(int_option(listener, SO_ACCEPTCONN) == 1 && is_named(listener, 0, name));
    pthread_t clients[CLIENTS], servers[CLIENTS];
    for (intptr_t i = 0; i < CLIENTS; i++) NEED(pthread_create(&clients[i], NULL, client, (void *)(i * 60)) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        struct unix_name peer = {.length = sizeof peer.address};
        int fd = accept4(listener, (struct sockaddr *)&peer.address, &peer.length, SOCK_CLOEXEC);
        NEED(fd >= 0);
        EXPECT(peer.length == sizeof(sa_family_t) && peer.address.sun_family == AF_UNIX && is_named(fd, 0, name));
        NEED(pthread_create(&servers[i], NULL, serve, (void *)(intptr_t)fd) == 0);
    }
    for (int i = 0; i < CLIENTS; i++) pthread_join(clients[i], NULL), pthread_join(servers[i], NULL);
    close(listener);
}

static void backlog(void) {
    int listener = unix_listener(SOCK_STREAM, "@backlog", 1), fds[3];
    for (int i = 0; i < 3; i++) NEED((fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) >= 0);
    EXPECT(unix_connect(fds[0], "@backlog") == 0 && unix_connect(fds[1], "@backlog") == 0);
    FAILS(unix_connect(fds[2], "@backlog"), EAGAIN);
    // Connected before it is accepted.
    EXPECT(write(fds[0], "early", 5) == 5);
    int fd = accept(listener, NULL, NULL);
    char bytes[9];
    EXPECT(read(fd, bytes, 9) == 5);
    EXPECT(unix_connect(fds[2], "@backlog") == 0);
    close(listener);
    FAILS(read(fds[1], bytes, 9), ECONNRESET);
    EXPECT(read(fds[1], bytes, 9) == 0);
    close(fd);
    for (int i = 0; i < 3; i++) close(fds[i]);
}

static void names(void) {
    struct stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT(unix_bind(fd, "node") == 0 && stat("node", &st) == 0 && S_ISSOCK(st.st_mode));
    FAILS(unix_bind(other, "node"), EADDRINUSE);
    close(fd);
    // The node outlives the socket.
    FAILS(unix_bind(other, "node"), EADDRINUSE);
    FAILS(unix_connect(other, "node"), ECONNREFUSED);
    EXPECT(unlink("node") == 0 && unix_bind(other, "node") == 0);
    close(other);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sa_family_t family = AF_UNIX;
    EXPECT(bind(fd, (struct sockaddr *)&family, sizeof family) == 0);
    struct unix_name own = {.length = sizeof own.address};
    EXPECT(getsockname(fd, (struct sockaddr *)&own.address, &own.length) == 0 && own.length == sizeof family + 6);
    EXPECT(own.address.sun_path[0] == 0 && strspn(own.address.sun_path + 1, "0123456789abcdef") == 5);
    close(fd);
}

int main(void) {
    enter_scratch();
    name = "@compat-conversation";
    conversations();
    part("abstract");
    name = "./path";
    conversations();
    part("path");
    backlog();
    part("backlog");
    names();
    return done();
}
