// readv, writev and the positioned calls.
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>

static void gather_and_scatter(int fd) {
    struct iovec out[] = {{"one", 3}, {NULL, 0}, {"-two", 4}, {"-three", 6}};
    EXPECT(writev(fd, out, 4) == 13);
    EXPECT(lseek(fd, 0, SEEK_SET) == 0);
    char a[4] = "", b[20] = "";
    struct iovec in[] = {{a, 3}, {b, 19}};
    EXPECT(readv(fd, in, 2) == 13);
    printf("%s %s\n", a, b);
    EXPECT(readv(fd, in, 2) == 0);
}

static void positioned(int fd) {
    char buffer[16] = "";
    EXPECT(lseek(fd, 5, SEEK_SET) == 5);
    EXPECT(pwrite(fd, "PP", 2, 0) == 2);
    EXPECT(pread(fd, buffer, 5, 8) == 5);
    printf("%s\n", buffer);
    EXPECT(lseek(fd, 0, SEEK_CUR) == 5);
    struct iovec out[] = {{"ab", 2}, {"cd", 2}};
    EXPECT(pwritev(fd, out, 2, 100) == 4);
    char first[2], second[2];
    struct iovec in[] = {{first, 2}, {second, 2}};
    EXPECT(preadv(fd, in, 2, 99) == 4);
    EXPECT(first[0] == 0 && first[1] == 'a' && second[0] == 'b' && second[1] == 'c');
    EXPECT(preadv2(fd, in, 2, 102, 0) == 2 && first[0] == 'c');
    EXPECT(pwritev2(fd, out, 2, -1, 0) == 4 && lseek(fd, 0, SEEK_CUR) == 9);
}

static void errors(int fd) {
    char buffer[4];
    struct iovec one = {buffer, 4};
    FAILS(pread(fd, buffer, 4, -1), EINVAL);
    FAILS(pwrite(fd, buffer, 4, -1), EINVAL);
    FAILS(readv(fd, &one, -1), EINVAL);
    FAILS(readv(fd, &one, IOV_MAX + 1), EINVAL);
    EXPECT(readv(fd, &one, 0) == 0);
    struct iovec negative = {buffer, (size_t)-1};
    FAILS(readv(fd, &negative, 1), EINVAL);
    int pipes[2];
    NEED(pipe(pipes) == 0);
    FAILS(pread(pipes[0], buffer, 4, 0), ESPIPE);
    FAILS(lseek(pipes[0], 0, SEEK_SET), ESPIPE);
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    FAILS(lseek(fd, 0, 99), EINVAL);
    EXPECT(lseek(fd, -4, SEEK_END) == 100);
}

int main(void) {
    enter_scratch();
    int fd = open("file", O_CREAT | O_RDWR, 0644);
    NEED(fd >= 0);
    gather_and_scatter(fd);
    positioned(fd);
    errors(fd);
    return done();
}
