// TCP over loopback: an echo server with a thread for each client, much data, half close.
#include "check.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

enum { CLIENTS = 8, BYTES = 3 << 20 };

static struct sockaddr_in server_address;

static int listening(int backlog) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof server_address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    NEED(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, backlog) == 0);
    NEED(getsockname(fd, (struct sockaddr *)&server_address, &length) == 0 && length == sizeof server_address);
    NEED(server_address.sin_port != 0);
    return fd;
}

static int connected(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    NEED(fd >= 0 && connect(fd, (struct sockaddr *)&server_address, sizeof server_address) == 0);
    return fd;
}

static void *echo(void *argument) {
    int fd = (int)(intptr_t)argument;
    char buffer[10000];
    ssize_t n;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
        for (ssize_t sent = 0; sent < n;) {
            ssize_t step = send(fd, buffer + sent, (size_t)(n - sent), 0);
            NEED(step > 0);
            sent += step;
        }
    }
    EXPECT(n == 0);
    close(fd);
    return NULL;
}

static void *serve(void *argument) {
    int listener = (int)(intptr_t)argument;
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        struct sockaddr_in peer;
        socklen_t length = sizeof peer;
        int fd = accept(listener, (struct sockaddr *)&peer, &length);
        NEED(fd >= 0 && peer.sin_family == AF_INET && peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
        NEED(pthread_create(&threads[i], NULL, echo, (void *)(intptr_t)fd) == 0);
    }
    for (int i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
    return NULL;
}

static unsigned char pattern(int client, int at) { return (unsigned char)(client * 31 + at * 7 + at / 256); }

struct client {
    int number, fd;
};

static void *send_all(void *argument) {
    struct client *client = argument;
    unsigned char buffer[5000];
    for (int at = 0; at < BYTES;) {
        int n = BYTES - at < (int)sizeof buffer ? BYTES - at : (int)sizeof buffer;
        for (int i = 0; i < n; i++) buffer[i] = pattern(client->number, at + i);
        ssize_t sent = write(client->fd, buffer, (size_t)n);
        NEED(sent > 0);
        at += (int)sent;
    }
    EXPECT(shutdown(client->fd, SHUT_WR) == 0);
    return NULL;
}

static void *receive_all(void *argument) {
    struct client *client = argument;
    pthread_t sender;
    NEED(pthread_create(&sender, NULL, send_all, client) == 0);
    unsigned char buffer[7777];
    int at = 0, wrong = 0;
    ssize_t n;
    while ((n = read(client->fd, buffer, sizeof buffer)) > 0)
        for (int i = 0; i < n; i++) wrong += buffer[i] != pattern(client->number, at++);
    EXPECT(n == 0 && at == BYTES && wrong == 0);
    pthread_join(sender, NULL);
    close(client->fd);
    return NULL;
}

int main(void) {
    int listener = listening(CLIENTS);
    pthread_t server, threads[CLIENTS];
    struct client clients[CLIENTS];
    NEED(pthread_create(&server, NULL, serve, (void *)(intptr_t)listener) == 0);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){i, connected()};
        NEED(pthread_create(&threads[i], NULL, receive_all, &clients[i]) == 0);
    }
    for (int i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
    part("echoed");
    pthread_join(server, NULL);
    close(listener);
    return done();
}
