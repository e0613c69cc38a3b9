// flock and record locks, as far as one process can see them.
#include "check.h"

#include <fcntl.h>
#include <sys/file.h>

static void whole_file(void) {
    int a = open("f", O_CREAT | O_RDWR, 0644), b = open("f", O_RDWR);
    NEED(a >= 0 && b >= 0);
    EXPECT(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
    FAILS(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    EXPECT(flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0);
    FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    // A duplicate shares the lock; the lock goes with the last of them.
    int copy = dup(a);
    close(a);
    FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    close(copy);
    EXPECT(flock(b, LOCK_EX | LOCK_NB) == 0);
    FAILS(flock(b, LOCK_SH | LOCK_EX), EINVAL);
    FAILS(flock(99, LOCK_SH), EBADF);
    close(b);
}

static void records(void) {
    int fd = open("f", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10};
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    EXPECT(fcntl(fd, F_SETLKW, &lock) == 0);
    // A process does not conflict with itself.
    EXPECT(fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
    lock = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_SET};
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    lock.l_type = 99;
    FAILS(fcntl(fd, F_SETLK, &lock), EINVAL);
    int read_only = open("f", O_RDONLY);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    FAILS(fcntl(read_only, F_SETLK, &lock), EBADF);
    close(read_only);
    close(fd);
}

static void open_file_locks(void) {
    int a = open("f", O_RDWR), b = open("f", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
    struct flock other = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 50, .l_len = 1};
    EXPECT(fcntl(a, F_OFD_SETLK, &lock) == 0);
    FAILS(fcntl(b, F_OFD_SETLK, &other), EAGAIN);
    EXPECT(fcntl(b, F_OFD_GETLK, &other) == 0 && other.l_type == F_WRLCK);
    printf("held: start %ld, length %ld\n", (long)other.l_start, (long)other.l_len);
    other = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 0};
    EXPECT(fcntl(b, F_OFD_SETLK, &other) == 0);
    close(a);
    other.l_start = 0;
    EXPECT(fcntl(b, F_OFD_SETLK, &other) == 0);
    close(b);
}

int main(void) {
    enter_scratch();
    whole_file();
    part("flock");
    records();
    part("records");
    open_file_locks();
    return done();
}
