// Bad pointers, bad descriptors and unknown calls are errors, never crashes.
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

// Addresses that are null, unmapped, non-canonical, in the kernel's half, and wrapping.
static const unsigned long bad[] = {0, 8, 0x123456789000, 0x7ffffffff000, 0x800000000000, 0xffff800000000000, ~0ul - 10, ~0ul};

static void pointers(void) {
    int fd = open("file", O_CREAT | O_RDWR, 0600), p[2];
    NEED(fd >= 0 && write(fd, "0123456789", 10) == 10 && pipe(p) == 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        void *at = (void *)bad[i];
        FAILS(pwrite(fd, at, 5, 0), EFAULT);
        FAILS(pread(fd, at, 5, 0), EFAULT);
        FAILS(syscall(SYS_openat, AT_FDCWD, at, O_RDONLY), EFAULT);
        FAILS(syscall(SYS_getcwd, at, 100), EFAULT);
        FAILS(syscall(SYS_uname, at), EFAULT);
        FAILS(syscall(SYS_pipe2, at, 0), EFAULT);
        FAILS(syscall(SYS_rt_sigaction, SIGUSR1, (void *)(bad[i] | 1), NULL, 8), EFAULT);
        FAILS(syscall(SYS_readv, fd, at, 1), EFAULT);
        FAILS(syscall(SYS_newfstatat, AT_FDCWD, "file", at, 0), EFAULT);
        FAILS(syscall(SYS_nanosleep, at, NULL), EFAULT);
        FAILS(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)(bad[i] | 1)), EFAULT);
        FAILS(syscall(SYS_getdents64, open(".", O_RDONLY), at, 1000), EFAULT);
    }
    FAILS(write(p[1], (void *)8, 5), EFAULT);
}

static void page_boundaries(void) {
    // The page behind it is not there: as much as possible is done, strings may end at the very end.
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(page != MAP_FAILED && munmap(page + 4096, 4096) == 0);
    int fd = open("file", O_RDWR), p[2];
    NEED(pipe(p) == 0);
    EXPECT(pread(fd, page + 4096 - 4, 10, 0) == 4 || errno == EFAULT);
    EXPECT(memcmp(page + 4092, "0123", 4) == 0 || page[4092] == 0);
    strcpy(page + 4096 - 5, "file");
    EXPECT(access(page + 4096 - 5, F_OK) == 0);
    memcpy(page + 4096 - 4, "file", 4);
    FAILS(access(page + 4096 - 4, F_OK), EFAULT);
    EXPECT(mprotect(page, 4096, PROT_READ) == 0);
    FAILS(pread(fd, page, 10, 0), EFAULT);
    FAILS(syscall(SYS_uname, page), EFAULT);
    EXPECT(write(p[1], page, 10) == 10);
    EXPECT(mprotect(page, 4096, PROT_NONE) == 0);
    FAILS(write(p[1], page, 10), EFAULT);
    // The zero pages of a fresh mapping can be read into and written from without having been touched.
    char *fresh = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT(read(p[0], fresh + 100, 10) == 10 && write(fd, fresh + 65536, 100000) == 100000);
}

static void descriptors(void) {
    char byte;
    struct stat st;
    struct iovec one = {&byte, 1};
    const int wrong[] = {-1, 1000, 0x7fffffff, -2147483647};
    for (int i = 0; i < 4; i++) {
        int fd = wrong[i];
        FAILS(read(fd, &byte, 1), EBADF);
        FAILS(write(fd, &byte, 1), EBADF);
        FAILS(close(fd), EBADF);
        FAILS(fstat(fd, &st), EBADF);
        FAILS(lseek(fd, 0, SEEK_SET), EBADF);
        FAILS(readv(fd, &one, 1), EBADF);
        FAILS(dup(fd), EBADF);
        FAILS(fcntl(fd, F_GETFL), EBADF);
        FAILS(ftruncate(fd, 0), EBADF);
        FAILS(fsync(fd), EBADF);
        FAILS(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), EBADF);
    }
}

int main(void) {
    enter_scratch();
    pointers();
    part("pointers");
    page_boundaries();
    part("page boundaries");
    descriptors();
    part("descriptors");
    // Numbers that Linux does not know; the 32-bit and x32 ranges are nothing here.
    const long unknown[] = {500, 1000, 0xfff, 0x3fffffff, -1};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) FAILS(syscall(unknown[i], 1, 2, 3, 4, 5, 6), ENOSYS);
    return done();
}
