// io_uring by system call: files, fixed files and buffers, pipes that wait, polls, links, drains, timeouts,
// cancelling, eventfd, overflow, sockets.
#include "check.h"
#include "ring.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

static struct ring ring;

// One request from submission to result.
static int one(int op, int fd, const void *addr, unsigned len, uint64_t off) {
    ring_next(&ring, op, fd, addr, len, off, 77);
    return ring_result(&ring, 77);
}

static void files(void) {
    char text[32] = "", more[8] = "";
    int fd = one(IORING_OP_OPENAT, AT_FDCWD, "data", 0600, 0);
    EXPECT(fd == -ENOENT);
    struct io_uring_sqe *sqe = ring_next(&ring, IORING_OP_OPENAT, AT_FDCWD, "data", 0600, 0, 1);
    sqe->open_flags = O_CREAT | O_RDWR;
    fd = ring_result(&ring, 1);
    NEED(fd >= 0);
    EXPECT(one(IORING_OP_NOP, -1, NULL, 0, 0) == 0);
    EXPECT(one(IORING_OP_WRITE, fd, "hello world", 11, 5) == 11 && one(IORING_OP_READ, fd, text, 32, 5) == 11);
    EXPECT(strcmp(text, "hello world") == 0);
    struct iovec parts[2] = {{text, 3}, {more, 2}};
    EXPECT(one(IORING_OP_READV, fd, parts, 2, 5) == 5 && memcmp(more, "lo", 2) == 0);
    EXPECT(one(IORING_OP_WRITEV, fd, parts, 2, -1) == 5 && lseek(fd, 0, SEEK_CUR) == 5);
    EXPECT(one(IORING_OP_FSYNC, fd, NULL, 0, 0) == 0);
    struct statx st;
    sqe = ring_next(&ring, IORING_OP_STATX, AT_FDCWD, "data", STATX_SIZE, (uintptr_t)&st, 2);
    EXPECT(ring_result(&ring, 2) == 0 && st.stx_size == 16);
    sqe = ring_next(&ring, IORING_OP_FALLOCATE, fd, (void *)100, 0, 0, 3);
    EXPECT(ring_result(&ring, 3) == 0 && lseek(fd, 0, SEEK_END) == 100);
    EXPECT(one(IORING_OP_MKDIRAT, AT_FDCWD, "dir", 0700, 0) == 0);
    sqe = ring_next(&ring, IORING_OP_RENAMEAT, AT_FDCWD, "data", AT_FDCWD, (uintptr_t) "dir/moved", 4);
    EXPECT(ring_result(&ring, 4) == 0 && access("dir/moved", F_OK) == 0);
    EXPECT(one(IORING_OP_UNLINKAT, AT_FDCWD, "dir/moved", 0, 0) == 0 && access("dir/moved", F_OK) == -1);
    EXPECT(one(IORING_OP_READ, 0x7fff, text, 1, 0) == -EBADF && one(IORING_OP_READ, fd, (void *)8, 1, 0) == -EFAULT);
    EXPECT(one(200, fd, NULL, 0, 0) == -EINVAL);
    EXPECT(one(IORING_OP_CLOSE, fd, NULL, 0, 0) == 0 && fcntl(fd, F_GETFD) == -1);
}

static long reg(unsigned op, const void *arg, unsigned nr) {
    return syscall(SYS_io_uring_register, ring.fd, op, arg, nr);
}

static void registered(void) {
    char buffer[64];
    struct iovec known = {buffer, 32};
    int fd = open("fixed", O_CREAT | O_RDWR, 0600), fds[2] = {-1, fd};
    FAILS(reg(IORING_UNREGISTER_FILES, NULL, 0), ENXIO);
    EXPECT(reg(IORING_REGISTER_FILES, fds, 2) == 0 && reg(IORING_REGISTER_BUFFERS, &known, 1) == 0);
    FAILS(reg(IORING_REGISTER_FILES, fds, 2), EBUSY);
    close(fd);
    memcpy(buffer, "registered", 10);
    for (int op = IORING_OP_WRITE_FIXED; op >= IORING_OP_READ_FIXED; op--) {
        struct io_uring_sqe *sqe = ring_next(&ring, op, 1, buffer, 10, 0, 5);
        sqe->flags = IOSQE_FIXED_FILE;
        EXPECT(ring_result(&ring, 5) == 10);
    }
    ring_next(&ring, IORING_OP_READ_FIXED, 1, buffer + 30, 10, 0, 6)->flags = IOSQE_FIXED_FILE;
    EXPECT(ring_result(&ring, 6) == -EFAULT);
    ring_next(&ring, IORING_OP_READ, 0, buffer, 10, 0, 7)->flags = IOSQE_FIXED_FILE;
    EXPECT(ring_result(&ring, 7) == -EBADF);
    struct io_uring_files_update update = {.offset = 0, .fds = (uintptr_t)&fds[1]};
    fds[1] = open("fixed", O_RDONLY);
    EXPECT(reg(IORING_REGISTER_FILES_UPDATE, &update, 1) == 1);
    ring_next(&ring, IORING_OP_READ, 0, buffer, 10, 0, 8)->flags = IOSQE_FIXED_FILE;
    EXPECT(ring_result(&ring, 8) == 10);
    close(fds[1]);
    EXPECT(reg(IORING_UNREGISTER_FILES, NULL, 0) == 0 && reg(IORING_UNREGISTER_BUFFERS, NULL, 0) == 0);
    struct { struct io_uring_probe head; struct io_uring_probe_op ops[64]; } probe;
    memset(&probe, 0, sizeof probe);
    EXPECT(reg(IORING_REGISTER_PROBE, &probe, 64) == 0);
    EXPECT(probe.ops[IORING_OP_READ].flags & IO_URING_OP_SUPPORTED && probe.ops[IORING_OP_ACCEPT].flags & IO_URING_OP_SUPPORTED);
}

static int pipe_ends[2];

static void *feed(void *text) {
    sleep_ms(10);
    NEED(write(pipe_ends[1], text, strlen(text)) == (ssize_t)strlen(text));
    return NULL;
}

static void waiting(void) {
    char text[16] = "";
    pthread_t thread;
    struct io_uring_cqe cqe;
    NEED(pipe(pipe_ends) == 0);
    ring_next(&ring, IORING_OP_READ, pipe_ends[0], text, 16, 0, 9);
    EXPECT(ring_enter(&ring, 0) == 1 && !ring_take(&ring, &cqe));
    NEED(pthread_create(&thread, NULL, feed, "late") == 0);
    EXPECT(ring_result(&ring, 9) == 4 && strcmp(text, "late") == 0);
    NEED(pthread_join(thread, NULL) == 0);
    // The descriptor of the instance becomes readable.
    struct epoll_event event = {EPOLLIN, {.u32 = 3}};
    int ep = epoll_create1(0);
    EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, ring.fd, &event) == 0 && epoll_wait(ep, &event, 1, 0) == 0);
    struct io_uring_sqe *sqe = ring_next(&ring, IORING_OP_POLL_ADD, pipe_ends[0], NULL, 0, 0, 10);
    sqe->poll32_events = POLLIN;
    EXPECT(ring_enter(&ring, 0) == 1);
    NEED(pthread_create(&thread, NULL, feed, "more") == 0);
    // Work of the instance may interrupt the wait.
    int ready;
    do ready = epoll_wait(ep, &event, 1, 30000);
    while (ready == -1 && errno == EINTR);
    EXPECT(ready == 1 && event.data.u32 == 3);
    EXPECT(ring_result(&ring, 10) == POLLIN && read(pipe_ends[0], text, 16) == 4);
    NEED(pthread_join(thread, NULL) == 0);
    close(ep);
    // Ending what waits.
    ring_next(&ring, IORING_OP_READ, pipe_ends[0], text, 16, 0, 11);
    sqe = ring_next(&ring, IORING_OP_POLL_ADD, pipe_ends[0], NULL, 0, 0, 12);
    sqe->poll32_events = POLLIN;
    EXPECT(ring_enter(&ring, 0) == 2 && !ring_take(&ring, &cqe));
    int results[64] = {0};
    ring_next(&ring, IORING_OP_ASYNC_CANCEL, -1, (void *)11, 0, 0, 13);
    ring_next(&ring, IORING_OP_POLL_REMOVE, -1, (void *)12, 0, 0, 14);
    ring_next(&ring, IORING_OP_ASYNC_CANCEL, -1, (void *)99, 0, 0, 15);
    EXPECT(ring_enter(&ring, 5) == 3);
    while (ring_take(&ring, &cqe)) results[cqe.user_data] = cqe.res;
    EXPECT(results[11] == -ECANCELED && results[12] == -ECANCELED && results[13] == 0 && results[14] == 0 &&
           results[15] == -ENOENT);
    close(pipe_ends[0]), close(pipe_ends[1]);
}

static void links(void) {
    char text[16] = "";
    int results[64], fd = open("linked", O_CREAT | O_RDWR, 0600);
    struct io_uring_cqe cqe;
    ring_next(&ring, IORING_OP_WRITE, fd, "linked", 6, 0, 1)->flags = IOSQE_IO_LINK;
    ring_next(&ring, IORING_OP_READ, fd, text, 6, 0, 2);
    EXPECT(ring_enter(&ring, 2) == 2 && ring_result(&ring, 1) == 6 && ring_result(&ring, 2) == 6);
    EXPECT(strcmp(text, "linked") == 0);
    // A short read ends the chain, unless the link is a hard one.
    ring_next(&ring, IORING_OP_READ, fd, text, 16, 0, 3)->flags = IOSQE_IO_LINK;
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 4)->flags = IOSQE_IO_LINK;
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 5);
    ring_next(&ring, IORING_OP_READ, fd, text, 16, 0, 6)->flags = IOSQE_IO_HARDLINK;
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 7);
    EXPECT(ring_enter(&ring, 5) == 5);
    while (ring_take(&ring, &cqe)) results[cqe.user_data] = cqe.res;
    EXPECT(results[3] == 6 && results[4] == -ECANCELED && results[5] == -ECANCELED && results[6] == 6 && results[7] == 0);
    NEED(pipe(pipe_ends) == 0);
    ring_next(&ring, IORING_OP_READ, pipe_ends[0], text, 4, 0, 8)->flags = IOSQE_IO_LINK;
    ring_next(&ring, IORING_OP_WRITE, fd, text, 4, 0, 9);
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 10)->flags = IOSQE_IO_DRAIN;
    EXPECT(ring_enter(&ring, 0) == 3 && !ring_take(&ring, &cqe) && write(pipe_ends[1], "wait", 4) == 4);
    EXPECT(ring_result(&ring, 8) == 4 && ring_result(&ring, 9) == 4 && ring_result(&ring, 10) == 0);
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 11)->flags = IOSQE_CQE_SKIP_SUCCESS;
    EXPECT(one(IORING_OP_NOP, -1, NULL, 0, 0) == 0);
    close(fd), close(pipe_ends[0]), close(pipe_ends[1]);
}

static void timeouts(void) {
    struct __kernel_timespec soon = {0, 10000000}, late = {1000, 0};
    char text[16];
    int results[64];
    struct io_uring_cqe cqe;
    EXPECT(one(IORING_OP_TIMEOUT, -1, &soon, 1, 0) == -ETIME);
    ring_next(&ring, IORING_OP_TIMEOUT, -1, &late, 1, 2, 1);
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 2);
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 3);
    EXPECT(ring_enter(&ring, 3) == 3);
    for (int i = 0; i < 3; i++) {
        if (!ring_take(&ring, &cqe)) { NEED(ring_enter(&ring, 1) >= 0 && ring_take(&ring, &cqe)); }
        results[cqe.user_data] = cqe.res;
    }
    EXPECT(results[1] == 0 && results[2] == 0 && results[3] == 0);
    ring_next(&ring, IORING_OP_TIMEOUT, -1, &late, 1, 0, 4);
    EXPECT(ring_enter(&ring, 0) == 1);
    ring_next(&ring, IORING_OP_TIMEOUT_REMOVE, -1, (void *)4, 0, 0, 5);
    ring_next(&ring, IORING_OP_TIMEOUT_REMOVE, -1, (void *)50, 0, 0, 6);
    EXPECT(ring_enter(&ring, 3) == 2);
    while (ring_take(&ring, &cqe)) results[cqe.user_data] = cqe.res;
    EXPECT(results[4] == -ECANCELED && results[5] == 0 && results[6] == -ENOENT);
    NEED(pipe(pipe_ends) == 0);
    ring_next(&ring, IORING_OP_READ, pipe_ends[0], text, 4, 0, 7)->flags = IOSQE_IO_LINK;
    ring_next(&ring, IORING_OP_LINK_TIMEOUT, -1, &soon, 1, 0, 8);
    EXPECT(ring_enter(&ring, 2) == 2);
    while (ring_take(&ring, &cqe)) results[cqe.user_data] = cqe.res;
    EXPECT(results[7] == -ECANCELED && results[8] == -ETIME);
    ring_next(&ring, IORING_OP_NOP, -1, NULL, 0, 0, 9)->flags = IOSQE_IO_LINK;
    ring_next(&ring, IORING_OP_LINK_TIMEOUT, -1, &late, 1, 0, 10);
    EXPECT(ring_enter(&ring, 2) == 2);
    while (ring_take(&ring, &cqe)) results[cqe.user_data] = cqe.res;
    EXPECT(results[9] == 0 && results[10] == -ECANCELED);
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&soon};
    FAILS(syscall(SYS_io_uring_enter, ring.fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof arg), ETIME);
    close(pipe_ends[0]), close(pipe_ends[1]);
}

static void instances(void) {
    struct ring small;
    struct io_uring_cqe cqe;
    struct io_uring_params params = {.resv = {1}};
    FAILS(syscall(SYS_io_uring_setup, 8, &params), EINVAL);
    params = (struct io_uring_params){0};
    FAILS(syscall(SYS_io_uring_setup, 0, &params), EINVAL);
    FAILS(syscall(SYS_io_uring_setup, 1 << 20, &params), EINVAL);
    FAILS(syscall(SYS_io_uring_enter, STDOUT_FILENO, 0, 0, 0, NULL, 0), EOPNOTSUPP);
    FAILS(syscall(SYS_io_uring_enter, 0x7fff, 0, 0, 0, NULL, 0), EBADF);
    FAILS(syscall(SYS_io_uring_enter, ring.fd, 0, 0, 1u << 31, NULL, 0), EINVAL);
    ring_open(&small, 3, IORING_SETUP_R_DISABLED);
    EXPECT(small.params.sq_entries == 4 && small.params.cq_entries == 8 && fcntl(small.fd, F_GETFD) == FD_CLOEXEC);
    FAILS(ring_enter(&small, 0), EBADFD);
    EXPECT(syscall(SYS_io_uring_register, small.fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0);
    int told = eventfd(0, EFD_NONBLOCK), seen = 0;
    EXPECT(syscall(SYS_io_uring_register, small.fd, IORING_REGISTER_EVENTFD, &told, 1) == 0);
    // More completions than the ring has room for are kept.
    for (int i = 0; i < 12; i += 4) {
        for (int j = 0; j < 4; j++) ring_next(&small, IORING_OP_NOP, -1, NULL, 0, 0, i + j);
        EXPECT(ring_enter(&small, 0) == 4);
    }
    uint64_t count = 0;
    EXPECT(read(told, &count, sizeof count) == 8 && count > 0);
    EXPECT(*ring_word(small.rings, small.params.sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
    while (seen < 12) {
        if (!ring_take(&small, &cqe)) { NEED(ring_enter(&small, 1) >= 0 && ring_take(&small, &cqe)); }
        EXPECT(cqe.user_data == (uint64_t)seen && cqe.res == 0);
        seen++;
    }
    close(told), close(small.fd);
}

static void sockets(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, peer;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), results[64] = {0};
    NEED(bind(listener, (void *)&address, size) == 0 && listen(listener, 5) == 0);
    NEED(getsockname(listener, (void *)&address, &size) == 0);
    socklen_t peer_size = sizeof peer;
    struct io_uring_cqe cqe;
    ring_next(&ring, IORING_OP_ACCEPT, listener, &peer, 0, (uintptr_t)&peer_size, 1);
    EXPECT(ring_enter(&ring, 0) == 1);
    ring_next(&ring, IORING_OP_CONNECT, client, &address, 0, sizeof address, 2);
    EXPECT(ring_enter(&ring, 2) == 1);
    for (int i = 0; i < 2; i++) {
        NEED(ring_take(&ring, &cqe));
        results[cqe.user_data] = cqe.res;
    }
    int server = results[1];
    EXPECT(server > 0 && results[2] == 0 && peer_size == sizeof peer);
    char text[16] = "";
    ring_next(&ring, IORING_OP_RECV, server, text, 8, 0, 3)->msg_flags = MSG_WAITALL;
    EXPECT(ring_enter(&ring, 0) == 1);
    ring_next(&ring, IORING_OP_SEND, client, "half", 4, 0, 4);
    EXPECT(ring_result(&ring, 4) == 4 && !ring_take(&ring, &cqe));
    struct iovec part = {"rest", 4};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    ring_next(&ring, IORING_OP_SENDMSG, client, &header, 1, 0, 5);
    EXPECT(ring_enter(&ring, 2) == 1);
    while (ring_take(&ring, &cqe)) results[cqe.user_data] = cqe.res;
    EXPECT(results[3] == 8 && results[5] == 4 && strcmp(text, "halfrest") == 0);
    part = (struct iovec){text, 16};
    ring_next(&ring, IORING_OP_RECVMSG, client, &header, 1, 0, 6);
    EXPECT(ring_enter(&ring, 0) == 1 && write(server, "back", 4) == 4 && ring_result(&ring, 6) == 4);
    EXPECT(one(IORING_OP_SHUTDOWN, client, NULL, SHUT_WR, 0) == 0 && one(IORING_OP_RECV, server, text, 8, 0) == 0);
    EXPECT(one(IORING_OP_RECV, STDOUT_FILENO, text, 8, 0) == -ENOTSOCK);
    close(client), close(server), close(listener);
}

int main(void) {
    enter_scratch();
    ring_open(&ring, 16, 0);
    files();
    part("files");
    registered();
    part("registered");
    waiting();
    part("waiting");
    links();
    part("links");
    timeouts();
    part("timeouts");
    instances();
    part("instances");
    sockets();
    part("sockets");
    return done();
}
