// splice, tee, vmsplice and pipes of packets.
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static char block[1 << 18];

static void splicing(void) {
    int p[2], q[2], file = open("data", O_CREAT | O_RDWR, 0600);
    NEED(pipe(p) == 0 && pipe(q) == 0 && file >= 0);
    memset(block, 'x', sizeof block);
    EXPECT(write(file, block, sizeof block) == sizeof block);
    // As much as the pipe takes, in one call or some.
    off64_t from = 0;
    size_t moved = 0;
    while (moved < 65536) {
        ssize_t n = splice(file, &from, p[1], NULL, sizeof block, SPLICE_F_NONBLOCK);
        if (n <= 0) break;
        moved += n;
    }
    EXPECT(moved == 65536 && from == 65536);
    FAILS(splice(file, &from, p[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    size_t across = 0;
    while (across < 65536) {
        ssize_t n = splice(p[0], NULL, q[1], NULL, 65536 - across, 0);
        if (n <= 0) break;
        across += n;
    }
    EXPECT(across == 65536);
    FAILS(splice(p[0], NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK), EAGAIN);
    FAILS(splice(q[0], NULL, q[1], NULL, 10, 0), EINVAL);
    FAILS(splice(q[0], &from, file, NULL, 10, 0), ESPIPE);
    FAILS(splice(file, NULL, file, NULL, 10, 0), EINVAL);
    FAILS(splice(q[1], NULL, file, NULL, 10, 0), EBADF);
    off64_t to = sizeof block;
    EXPECT(splice(q[0], NULL, file, &to, 100, 0) == 100 && to == (off64_t)sizeof block + 100);
    int append = open("data", O_WRONLY | O_APPEND);
    FAILS(splice(q[0], NULL, append, NULL, 10, 0), EINVAL);
    close(p[1]);
    EXPECT(splice(p[0], NULL, file, NULL, 10, 0) == 0);
    close(q[0]);
    signal(SIGPIPE, SIG_IGN);
    from = 0;
    FAILS(splice(file, &from, q[1], NULL, 10, 0), EPIPE);
    EXPECT(from == 0);
    close(p[0]), close(q[1]), close(file), close(append);
}

static void *feed(void *fd) {
    sleep_ms(10);
    NEED(write((int)(intptr_t)fd, "late", 4) == 4);
    return NULL;
}

static void teeing(void) {
    int p[2], q[2];
    char text[16] = "";
    NEED(pipe(p) == 0 && pipe(q) == 0);
    FAILS(tee(p[0], q[1], 10, SPLICE_F_NONBLOCK), EAGAIN);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, feed, (void *)(intptr_t)p[1]) == 0);
    EXPECT(tee(p[0], q[1], 10, 0) == 4);
    NEED(pthread_join(thread, NULL) == 0);
    EXPECT(tee(p[0], q[1], 2, 0) == 2 && tee(p[0], q[1], 0, 0) == 0);
    EXPECT(read(q[0], text, 15) == 6 && strcmp(text, "latela") == 0);
    EXPECT(read(p[0], text, 15) == 4);
    FAILS(tee(p[0], p[1], 1, 0), EINVAL);
    FAILS(tee(p[0], STDIN_FILENO, 1, 0), EBADF);
    close(p[1]);
    EXPECT(tee(p[0], q[1], 10, 0) == 0);
    struct iovec parts[2] = {{"one ", 4}, {"two", 3}}, whole = {text, 15};
    EXPECT(vmsplice(q[1], parts, 2, 0) == 7);
    memset(text, 0, sizeof text);
    EXPECT(vmsplice(q[0], &whole, 1, 0) == 7 && strcmp(text, "one two") == 0);
    FAILS(vmsplice(q[0], &whole, 1, SPLICE_F_NONBLOCK), EAGAIN);
    int null = open("/dev/null", O_RDWR);
    FAILS(vmsplice(null, parts, 2, 0), EBADF);
    close(p[0]), close(q[0]), close(q[1]), close(null);
}

static void packets(void) {
    int p[2], waiting = 0;
    char text[16];
    NEED(pipe2(p, O_DIRECT | O_NONBLOCK) == 0);
    EXPECT(fcntl(p[1], F_GETFL) == (O_WRONLY | O_DIRECT | O_NONBLOCK) && fcntl(p[0], F_GETFL) == O_NONBLOCK);
    EXPECT(write(p[1], "first", 5) == 5 && write(p[1], "second", 6) == 6 && write(p[1], "", 0) == 0);
    EXPECT(ioctl(p[0], FIONREAD, &waiting) == 0 && waiting == 11);
    EXPECT(read(p[0], text, sizeof text) == 5);
    // What of a packet is not read is lost.
    EXPECT(read(p[0], text, 3) == 3 && memcmp(text, "sec", 3) == 0);
    FAILS(read(p[0], text, 3), EAGAIN);
    // A packet is a page at most, and takes one of the pipe's.
    EXPECT(write(p[1], block, 6000) == 6000 && read(p[0], block, 8000) == 4096 && read(p[0], block, 8000) == 1904);
    int count = 0;
    while (write(p[1], "x", 1) == 1) count++;
    EXPECT(count == 16);
    struct pollfd poll_out = {p[1], POLLOUT, 0};
    EXPECT(poll(&poll_out, 1, 0) == 0);
    while (read(p[0], text, 1) == 1) count--;
    EXPECT(count == 0);
    // Bytes behind a packet.
    EXPECT(write(p[1], "PACKET", 6) == 6 && fcntl(p[1], F_SETFL, O_NONBLOCK) == 0);
    EXPECT(write(p[1], "re", 2) == 2 && write(p[1], "st", 2) == 2);
    EXPECT(read(p[0], text, 16) == 6 && read(p[0], text, 16) == 4 && memcmp(text, "rest", 4) == 0);
    close(p[0]), close(p[1]);
}

int main(void) {
    enter_scratch();
    splicing();
    part("splice");
    teeing();
    part("tee and vmsplice");
    packets();
    part("packets");
    return done();
}
