// Bytes in either direction that both sides can check.
//   transfer serve PORT                            serves one connection after the other, for ever
//   transfer get|put ADDRESS PORT BYTES SEED       prints the seconds that it took, once all bytes are known to be right
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 64 * 1024 };

struct order {
    uint64_t put, bytes, seed;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

// xorshift: what each eight bytes are.
static void fill(uint64_t *state, uint64_t *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        words[i] = *state;
    }
}

// What Linux distributions have by default, where there is a choice.
static void use_cubic(int fd) {
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
}

static int send_all(int fd, const void *data, size_t size) {
    for (const char *at = data; size > 0;) {
        ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        at += sent;
        size -= (size_t)sent;
    }
    return 1;
}

static int give(int fd, const struct order *order) {
    static uint64_t words[PIECE / 8];
    uint64_t state = order->seed;
    for (uint64_t left = order->bytes; left > 0;) {
        size_t size = left < PIECE ? left : PIECE;
        fill(&state, words, PIECE / 8);
        if (!send_all(fd, words, size)) return 0;
        left -= size;
    }
    return 1;
}

// 1: all bytes came and are right.
static int take(int fd, const struct order *order) {
    static uint64_t words[PIECE / 8], got[PIECE / 8];
    uint64_t state = order->seed;
    for (uint64_t left = order->bytes; left > 0;) {
        size_t size = left < PIECE ? left : PIECE;
        fill(&state, words, PIECE / 8);
        if (recv(fd, got, size, MSG_WAITALL) != (ssize_t)size) return 0;
        if (memcmp(got, words, size) != 0) {
            fprintf(stderr, "wrong bytes, %llu from the end\n", (unsigned long long)left);
            return 0;
        }
        left -= size;
    }
    return 1;
}

static void serve(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(listener, 128) < 0) fail("listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) fail("accept");
        use_cubic(fd);
        struct order order;
        if (recv(fd, &order, sizeof order, MSG_WAITALL) == sizeof order) {
            char right = 1;
            if (!order.put) give(fd, &order);
            else if (take(fd, &order)) send_all(fd, &right, 1);
        }
        close(fd);
    }
}

static void ask(char **argv) {
    struct order order = {strcmp(argv[1], "put") == 0, strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10)};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[3]))};
    if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) exit(2);
    double start = now();
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    use_cubic(fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("connect");
    if (!send_all(fd, &order, sizeof order)) fail("send");
    char right;
    if (order.put ? !give(fd, &order) || recv(fd, &right, 1, 0) != 1 : !take(fd, &order)) {
        fputs("the transfer failed\n", stderr);
        exit(1);
    }
    printf("%.6f\n", now() - start);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(atoi(argv[2]));
    if (argc != 6) return 2;
    ask(argv);
    return 0;
}
