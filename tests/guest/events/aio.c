// io_setup, io_submit, io_getevents and their kin by system call: files, pipes, polls, eventfd, cancelling, errors.
#include "check.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static aio_context_t ctx;

static long setup(unsigned nr, aio_context_t *context) { return syscall(SYS_io_setup, nr, context); }
static long destroy(aio_context_t context) { return syscall(SYS_io_destroy, context); }
static long submit(long nr, struct iocb **iocbs) { return syscall(SYS_io_submit, ctx, nr, iocbs); }
static long getevents(long min, long nr, struct io_event *events, struct timespec *timeout) {
    return syscall(SYS_io_getevents, ctx, min, nr, events, timeout);
}

static struct iocb request(int op, int fd, void *buf, size_t len, long long offset) {
    return (struct iocb){.aio_lio_opcode = op, .aio_fildes = fd, .aio_buf = (uintptr_t)buf, .aio_nbytes = len,
                         .aio_offset = offset, .aio_data = 1000 + op};
}

static long one(struct iocb iocb) {
    static struct iocb kept;
    kept = iocb;
    struct iocb *list[] = {&kept};
    return submit(1, list);
}

// Submits, and answers what the event says.
static long result(struct iocb iocb) {
    struct io_event event;
    NEED(one(iocb) == 1 && getevents(1, 1, &event, NULL) == 1);
    EXPECT(event.data == iocb.aio_data && event.obj != 0 && event.res2 == 0);
    return (long)event.res;
}

static void files(void) {
    char text[32] = "", more[8] = "";
    int fd = open("data", O_CREAT | O_RDWR, 0600), dir = open(".", O_RDONLY);
    EXPECT(result(request(IOCB_CMD_PWRITE, fd, "hello world", 11, 5)) == 11);
    EXPECT(result(request(IOCB_CMD_PREAD, fd, text, 32, 5)) == 11 && strcmp(text, "hello world") == 0);
    struct iovec parts[2] = {{text, 3}, {more, 2}};
    EXPECT(result(request(IOCB_CMD_PREADV, fd, parts, 2, 5)) == 5 && memcmp(more, "lo", 2) == 0);
    EXPECT(result(request(IOCB_CMD_PWRITEV, fd, parts, 2, 0)) == 5 && pread(fd, text, 5, 0) == 5);
    EXPECT(result(request(IOCB_CMD_PREAD, fd, text, 32, 1000)) == 0);
    EXPECT(result(request(IOCB_CMD_FSYNC, fd, NULL, 0, 0)) == 0 && result(request(IOCB_CMD_FDSYNC, fd, NULL, 0, 0)) == 0);
    FAILS(one(request(99, fd, text, 1, 0)), EINVAL);
    FAILS(one(request(IOCB_CMD_PREAD, 0x7fff, text, 1, 0)), EBADF);
    FAILS(one(request(IOCB_CMD_PREAD, fd, text, -1, 0)), EINVAL);
    struct iocb reserved = request(IOCB_CMD_PREAD, fd, text, 1, 0);
    reserved.aio_reserved2 = 1;
    FAILS(one(reserved), EINVAL);
    int out = open("data", O_WRONLY);
    FAILS(one(request(IOCB_CMD_PREAD, out, text, 1, 0)), EBADF);
    FAILS(one(request(IOCB_CMD_PWRITE, dir, text, 1, 0)), EBADF);
    FAILS(submit(-1, NULL), EINVAL);
    EXPECT(submit(0, NULL) == 0);
    // Of several, those before the bad one count.
    struct iocb good = request(IOCB_CMD_PREAD, fd, text, 1, 0), bad = request(99, fd, text, 1, 0);
    struct iocb *list[] = {&good, &bad};
    EXPECT(submit(2, list) == 1);
    struct io_event event;
    EXPECT(getevents(0, 1, &event, NULL) == 1);
    close(fd), close(dir), close(out);
}

static void *later(void *fd) {
    sleep_ms(10);
    uint64_t one = 1;
    NEED(write((int)(intptr_t)fd, &one, sizeof one) == sizeof one);
    return NULL;
}

static void polls(void) {
    int counter = eventfd(0, 0), told = eventfd(0, EFD_NONBLOCK);
    struct io_event event;
    struct timespec none = {0, 0};
    struct iocb iocb = request(IOCB_CMD_POLL, counter, (void *)POLLIN, 0, 0);
    iocb.aio_flags = IOCB_FLAG_RESFD, iocb.aio_resfd = told;
    struct iocb *list[] = {&iocb};
    EXPECT(submit(1, list) == 1 && getevents(0, 1, &event, &none) == 0);
    uint64_t count;
    FAILS(read(told, &count, sizeof count), EAGAIN);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, later, (void *)(intptr_t)counter) == 0);
    struct pollfd p = {told, POLLIN, 0};
    EXPECT(poll(&p, 1, 30000) == 1);
    NEED(pthread_join(thread, NULL) == 0);
    EXPECT(getevents(1, 1, &event, NULL) == 1 && event.res == POLLIN && event.obj == (uintptr_t)&iocb);
    EXPECT(read(told, &count, sizeof count) == 8 && count == 1);
    EXPECT(submit(1, list) == 1 && getevents(1, 1, &event, NULL) == 1 && event.res == POLLIN);
    EXPECT(read(counter, &count, sizeof count) == 8 && submit(1, list) == 1);
    struct timespec short_time = {0, 10000000};
    EXPECT(getevents(1, 1, &event, &short_time) == 0);
    FAILS(syscall(SYS_io_cancel, ctx, &iocb, &event), EINPROGRESS);
    EXPECT(getevents(1, 1, &event, NULL) == 1 && event.obj == (uintptr_t)&iocb);
    FAILS(syscall(SYS_io_cancel, ctx, &iocb, &event), EINVAL);
    struct iocb bad = request(IOCB_CMD_POLL, counter, (void *)0x10000, 0, 0);
    FAILS(one(bad), EINVAL);
    bad = request(IOCB_CMD_PREAD, counter, &count, 8, 0);
    bad.aio_flags = IOCB_FLAG_RESFD, bad.aio_resfd = STDOUT_FILENO;
    FAILS(one(bad), EINVAL);
    close(counter), close(told);
}

int main(void) {
    enter_scratch();
    aio_context_t other = 1;
    FAILS(setup(8, &other), EINVAL);
    other = 0;
    FAILS(setup(0, &other), EINVAL);
    FAILS(destroy(0), EINVAL);
    NEED(setup(8, &ctx) == 0 && ctx != 0);
    struct io_event event;
    FAILS(getevents(2, 1, &event, NULL), EINVAL);
    files();
    part("files");
    polls();
    part("polls");
    EXPECT(destroy(ctx) == 0);
    FAILS(destroy(ctx), EINVAL);
    FAILS(submit(0, NULL), EINVAL);
    return done();
}
