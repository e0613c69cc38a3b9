// kcmp(2) of one process, mseal(2), cachestat(2), process_vm_readv(2) of itself.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

enum { CACHESTAT = 451, MSEAL = 462, PAGE = 4096 };

static long compare(int kind, unsigned long a, unsigned long b) { return syscall(SYS_kcmp, getpid(), getpid(), kind, a, b); }

static void comparing(void) {
    int fd = open("/dev/null", O_RDONLY), same = dup(fd), other = open("/dev/null", O_RDONLY);
    EXPECT(compare(0, fd, same) == 0);
    long order = compare(0, fd, other);
    EXPECT(order == 1 || order == 2);
    EXPECT(compare(0, other, fd) == 3 - order);
    FAILS(compare(0, fd, 999), EBADF);
    for (int kind = 1; kind <= 6; kind++) EXPECT(compare(kind, 0, 0) == 0);
    FAILS(compare(99, 0, 0), EINVAL);
    FAILS(syscall(SYS_kcmp, getpid(), 0x3fffffff, 1, 0, 0), ESRCH);
    close(fd), close(same), close(other);
}

static long seal(void *at, size_t length) { return syscall(MSEAL, at, length, 0); }

static char *map(size_t length, int prot) {
    char *at = mmap(NULL, length, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(at != MAP_FAILED);
    return at;
}

static void sealing(void) {
    char *at = map(4 * PAGE, PROT_READ | PROT_WRITE);
    at[PAGE] = 7;
    FAILS(syscall(MSEAL, at, PAGE, 1), EINVAL);
    FAILS(seal(at + 1, PAGE), EINVAL);
    EXPECT(seal(at, 0) == 0);
    EXPECT(seal(at + PAGE, 2 * PAGE) == 0 && seal(at + PAGE, PAGE) == 0);
    FAILS(munmap(at, 4 * PAGE), EPERM);
    FAILS(munmap(at + PAGE, PAGE), EPERM);
    FAILS(mprotect(at + 2 * PAGE, PAGE, PROT_READ), EPERM);
    EXPECT(mremap(at + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EPERM);
    EXPECT(mmap(at + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EPERM);
    // Writable memory may be emptied by who can write it anyway.
    EXPECT(at[PAGE] == 7 && madvise(at + PAGE, PAGE, MADV_DONTNEED) == 0 && at[PAGE] == 0);
    EXPECT(mprotect(at, PAGE, PROT_READ) == 0 && munmap(at, PAGE) == 0 && munmap(at + 3 * PAGE, PAGE) == 0);
    FAILS(seal(at, 2 * PAGE), ENOMEM);
    char *constant = map(PAGE, PROT_READ);
    EXPECT(seal(constant, PAGE) == 0);
    FAILS(madvise(constant, PAGE, MADV_DONTNEED), EPERM);
    EXPECT(madvise(constant, PAGE, MADV_WILLNEED) == 0);
}

struct range {
    uint64_t from, length;
};
struct figures {
    uint64_t cached, dirty, writeback, evicted, recently;
};

static void caching(void) {
    int fd = memfd_create("cached", 0);
    NEED(ftruncate(fd, 64 * PAGE) == 0);
    struct figures f;
    EXPECT(syscall(CACHESTAT, fd, &(struct range){0, 0}, &f, 0) == 0 && f.cached == 0);
    EXPECT(pwrite(fd, "x", 1, 3 * PAGE) == 1 && pwrite(fd, "y", 1, 10 * PAGE + 5) == 1);
    EXPECT(syscall(CACHESTAT, fd, &(struct range){0, 0}, &f, 0) == 0 && f.cached == 2);
    EXPECT(syscall(CACHESTAT, fd, &(struct range){3 * PAGE + 1, 1}, &f, 0) == 0 && f.cached == 1);
    EXPECT(syscall(CACHESTAT, fd, &(struct range){4 * PAGE, 6 * PAGE}, &f, 0) == 0 && f.cached == 0);
    EXPECT(syscall(CACHESTAT, fd, &(struct range){4 * PAGE, 6 * PAGE + 1}, &f, 0) == 0 && f.cached == 1);
    FAILS(syscall(CACHESTAT, fd, &(struct range){0, 0}, &f, 1), EINVAL);
    FAILS(syscall(CACHESTAT, 999, &(struct range){0, 0}, &f, 0), EBADF);
    FAILS(syscall(CACHESTAT, fd, (void *)8, &f, 0), EFAULT);
    FAILS(syscall(CACHESTAT, fd, &(struct range){0, 0}, (void *)8, 0), EFAULT);
    close(fd);
}

static void own_memory(void) {
    char from[16] = "0123456789abcde", to[16] = {0};
    char *hole = map(2 * PAGE, PROT_READ | PROT_WRITE);
    munmap(hole + PAGE, PAGE);
    struct iovec local[2] = {{to, 4}, {to + 4, 12}}, remote[2] = {{from, 10}, {from + 10, 6}};
    EXPECT(process_vm_readv(getpid(), local, 2, remote, 2, 0) == 16 && memcmp(from, to, 16) == 0);
    EXPECT(process_vm_writev(getpid(), local, 1, remote, 1, 0) == 4);
    // Up to the first piece that is not there; whole pieces of the other side only.
    struct iovec broken[2] = {{from, 4}, {hole + PAGE, 4}};
    EXPECT(process_vm_readv(getpid(), local, 2, broken, 2, 0) == 4);
    struct iovec nothing = {hole + PAGE, 4};
    FAILS(process_vm_readv(getpid(), local, 2, &nothing, 1, 0), EFAULT);
    FAILS(process_vm_readv(getpid(), local, 2, remote, 2, 1), EINVAL);
    FAILS(process_vm_readv(0x3fffffff, local, 2, remote, 2, 0), ESRCH);
    FAILS(process_vm_readv(getpid(), local, 2000, remote, 2, 0), EINVAL);
    EXPECT(process_vm_readv(getpid(), local, 0, remote, 2, 0) == 0);
    EXPECT(process_vm_readv(getpid(), local, 2, remote, 0, 0) == 0);
}

int main(void) {
    comparing();
    part("kcmp");
    sealing();
    part("mseal");
    caching();
    part("cachestat");
    own_memory();
    return done();
}
