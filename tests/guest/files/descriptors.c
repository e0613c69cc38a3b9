// dup, dup2, dup3, fcntl, close_range: shared positions, separate flags.
#include "check.h"

#include <fcntl.h>
#include <sys/resource.h>

static void duplicates(int fd) {
    int copy = dup(fd);
    EXPECT(copy > fd);
    EXPECT(lseek(fd, 7, SEEK_SET) == 7 && lseek(copy, 0, SEEK_CUR) == 7);
    EXPECT(fcntl(copy, F_SETFL, O_APPEND) == 0 && (fcntl(fd, F_GETFL) & O_APPEND) != 0);
    EXPECT(fcntl(copy, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_GETFD) == 0);
    EXPECT(dup2(fd, 50) == 50 && lseek(50, 0, SEEK_CUR) == 7);
    EXPECT(dup2(fd, fd) == fd);
    FAILS(dup2(99, 99), EBADF);
    FAILS(dup2(fd, -1), EBADF);
    EXPECT(dup3(fd, 51, O_CLOEXEC) == 51 && fcntl(51, F_GETFD) == FD_CLOEXEC);
    FAILS(dup3(fd, fd, 0), EINVAL);
    FAILS(dup3(fd, 52, O_APPEND), EINVAL);
    EXPECT(fcntl(fd, F_DUPFD, 60) == 60 && fcntl(fd, F_DUPFD, 60) == 61);
    EXPECT(fcntl(fd, F_DUPFD_CLOEXEC, 60) == 62 && fcntl(62, F_GETFD) == FD_CLOEXEC);
    // dup2 closes what was there.
    int pipes[2];
    NEED(pipe(pipes) == 0);
    EXPECT(dup2(fd, pipes[1]) == pipes[1]);
    char byte;
    EXPECT(read(pipes[0], &byte, 1) == 0);
}

static void ranges(int fd) {
    EXPECT(close_range(60, 61, 0) == 0);
    FAILS(fcntl(60, F_GETFD), EBADF);
    EXPECT(fcntl(62, F_GETFD) == FD_CLOEXEC);
    EXPECT(close_range(50, 50, CLOSE_RANGE_CLOEXEC) == 0 && fcntl(50, F_GETFD) == FD_CLOEXEC);
    FAILS(close_range(9, 8, 0), EINVAL);
    FAILS(close_range(8, 9, 0x80), EINVAL);
    EXPECT(close_range(50, ~0u, 0) == 0);
    FAILS(close(62), EBADF);
    EXPECT(fcntl(fd, F_GETFD) == 0);
}

static void limits(int fd) {
    struct rlimit limit = {64, 64}, old;
    EXPECT(getrlimit(RLIMIT_NOFILE, &old) == 0);
    limit.rlim_max = old.rlim_max;
    EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    FAILS(dup2(fd, 64), EBADF);
    FAILS(fcntl(fd, F_DUPFD, 64), EINVAL);
    int last = -1;
    for (int next; (next = dup(fd)) >= 0;) last = next;
    EXPECT(last == 63);
    FAILS(dup(fd), EMFILE);
    FAILS(open(".", O_RDONLY), EMFILE);
    EXPECT(close_range(fd + 1, 63, 0) == 0 && setrlimit(RLIMIT_NOFILE, &old) == 0);
}

int main(void) {
    enter_scratch();
    int fd = open("f", O_CREAT | O_RDWR, 0644);
    NEED(fd >= 0);
    duplicates(fd);
    part("duplicates");
    ranges(fd);
    part("ranges");
    FAILS(fcntl(99, F_GETFL), EBADF);
    FAILS(fcntl(fd, 12345), EINVAL);
    limits(fd);
    return done();
}
