// memfd_create: a file in memory, shared mappings of it, and seals.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

int main(void) {
    int fd = memfd_create("compat test", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    NEED(fd >= 0);
    struct stat st;
    EXPECT(fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && st.st_nlink == 0);
    EXPECT(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    char path[64], name[64] = "";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    EXPECT(readlink(path, name, 63) > 0);
    printf("%s\n", name);

    EXPECT(ftruncate(fd, 8192) == 0);
    char *a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *b = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
    NEED(a != MAP_FAILED && b != MAP_FAILED);
    a[4096] = 'm';
    EXPECT(b[0] == 'm');
    char byte = 0;
    EXPECT(pread(fd, &byte, 1, 4096) == 1 && byte == 'm');
    part("shared");

    EXPECT(fcntl(fd, F_GET_SEALS) == 0);
    FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
    FAILS(ftruncate(fd, 4096), EPERM);
    FAILS(ftruncate(fd, 16384), EPERM);
    FAILS(pwrite(fd, "x", 1, 8192), EPERM);
    EXPECT(pwrite(fd, "x", 1, 0) == 1 && a[0] == 'x');
    munmap(a, 8192), munmap(b, 4096);
    EXPECT(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0);
    FAILS(pwrite(fd, "y", 1, 0), EPERM);
    FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    FAILS(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    EXPECT(fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
    close(fd);

    fd = memfd_create("plain", 0);
    EXPECT(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
    FAILS(memfd_create("flags", 0x1000), EINVAL);
    return done();
}
