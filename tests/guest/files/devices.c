// The device nodes every program expects.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static int open_device(const char *path) {
    int fd = open(path, O_RDWR);
    struct stat st;
    NEED(fd >= 0);
    EXPECT(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
    return fd;
}

int main(void) {
    static unsigned char a[70000], b[70000];
    int fd = open_device("/dev/null");
    EXPECT(read(fd, a, 10) == 0 && write(fd, a, sizeof a) == sizeof a);
    close(fd);
    part("null");

    fd = open_device("/dev/zero");
    memset(a, 1, sizeof a);
    EXPECT(read(fd, a, sizeof a) == sizeof a && memcmp(a, b, sizeof a) == 0);
    EXPECT(write(fd, a, 10) == 10);
    close(fd);
    part("zero");

    fd = open_device("/dev/full");
    FAILS(write(fd, a, 1), ENOSPC);
    EXPECT(read(fd, a, 10) == 10);
    close(fd);
    part("full");

    fd = open_device("/dev/urandom");
    EXPECT(read(fd, a, sizeof a) == sizeof a && read(fd, b, sizeof b) == sizeof b);
    EXPECT(memcmp(a, b, sizeof a) != 0);
    int ones = 0;
    for (size_t i = 0; i < sizeof a; i++) ones += __builtin_popcount(a[i]);
    EXPECT(ones > 275000 && ones < 285000);
    close(fd);
    part("urandom");

    fd = open_device("/dev/random");
    EXPECT(read(fd, a, 16) == 16);
    close(fd);

    char target[64] = "";
    EXPECT(readlink("/dev/fd", target, 63) > 0 && strcmp(target, "/proc/self/fd") == 0);
    fd = open("/dev/stdout", O_WRONLY);
    EXPECT(fd >= 0 && write(fd, "through /dev/stdout\n", 20) == 20);
    fd = open("/dev/shm/compat-test", O_CREAT | O_RDWR, 0600);
    EXPECT(fd >= 0 && unlink("/dev/shm/compat-test") == 0);
    return done();
}
