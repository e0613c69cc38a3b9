// pipe, pipe2: capacity, atomic writes, end of file, non-blocking, FIONREAD, size, FIFOs.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static char block[1 << 20];

static void capacity(void) {
    int p[2], waiting = -1;
    NEED(pipe2(p, O_NONBLOCK | O_CLOEXEC) == 0);
    EXPECT(fcntl(p[0], F_GETFD) == FD_CLOEXEC && fcntl(p[1], F_GETFL) == (O_WRONLY | O_NONBLOCK));
    FAILS(read(p[0], block, 1), EAGAIN);
    EXPECT(fcntl(p[1], F_GETPIPE_SZ) == 65536);
    EXPECT(write(p[1], block, sizeof block) == 65536);
    FAILS(write(p[1], block, 1), EAGAIN);
    EXPECT(ioctl(p[0], FIONREAD, &waiting) == 0 && waiting == 65536);
    // Up to PIPE_BUF bytes are written whole or not at all.
    EXPECT(read(p[0], block, 4095) == 4095);
    FAILS(write(p[1], block, 4096), EAGAIN);
    EXPECT(read(p[0], block, 1) == 1 && write(p[1], block, 4096) == 4096);
    EXPECT(fcntl(p[1], F_SETPIPE_SZ, 1 << 18) == 1 << 18 && write(p[1], block, 1 << 18) == (1 << 18) - 65536);
    close(p[1]);
    long total = 0;
    for (ssize_t n; (n = read(p[0], block, 10000)) > 0;) total += n;
    EXPECT(total == 1 << 18 && read(p[0], block, 1) == 0);
    close(p[0]);
    FAILS(pipe2(p, O_APPEND), EINVAL);
}

static void *produce(void *fd) {
    uint32_t chunk[1000], n = 0;
    for (int i = 0; i < 10000; i++) {
        for (int j = 0; j < 1000; j++) chunk[j] = n++;
        NEED(write((int)(intptr_t)fd, chunk, sizeof chunk) == sizeof chunk);
    }
    close((int)(intptr_t)fd);
    return NULL;
}

static void between_threads(void) {
    int p[2];
    NEED(pipe(p) == 0);
    pthread_t producer;
    NEED(pthread_create(&producer, NULL, produce, (void *)(intptr_t)p[1]) == 0);
    FILE *in = fdopen(p[0], "r");
    uint32_t chunk[777], next = 0, wrong = 0;
    for (size_t n; (n = fread(chunk, 4, 777, in)) > 0;) {
        for (size_t i = 0; i < n; i++) wrong += chunk[i] != next++;
    }
    EXPECT(next == 10000000 && wrong == 0);
    fclose(in);
    NEED(pthread_join(producer, NULL) == 0);
}

static void *open_for_writing(void *unused) {
    int fd = open("fifo", O_WRONLY);
    EXPECT(fd >= 0 && write(fd, "through the fifo", 16) == 16);
    close(fd);
    return unused;
}

static void named(void) {
    NEED(mkfifo("fifo", 0600) == 0);
    FAILS(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    pthread_t writer;
    NEED(pthread_create(&writer, NULL, open_for_writing, NULL) == 0);
    int fd = open("fifo", O_RDONLY);
    char text[32] = "";
    EXPECT(fd >= 0 && read(fd, text, 31) == 16 && read(fd, block, 1) == 0);
    printf("%s\n", text);
    NEED(pthread_join(writer, NULL) == 0);
    close(fd);
}

int main(void) {
    enter_scratch();
    capacity();
    part("capacity");
    between_threads();
    part("between threads");
    named();
    struct stat st;
    int p[2];
    NEED(pipe(p) == 0);
    EXPECT(fstat(p[0], &st) == 0 && S_ISFIFO(st.st_mode));
    FAILS(write(p[0], "x", 1), EBADF);
    FAILS(read(p[1], block, 1), EBADF);
    return done();
}
