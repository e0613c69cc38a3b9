// Seals of memory files, record locks of open file descriptions, flock.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x10
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

enum { NOEXEC_SEAL = 8 };

static int memory(unsigned flags) {
    int fd = memfd_create("seals", flags);
    NEED(fd >= 0 && ftruncate(fd, 8192) == 0);
    return fd;
}

static int seal(int fd, int seals) { return fcntl(fd, F_ADD_SEALS, seals); }

static void sizes(void) {
    int fd = memory(MFD_ALLOW_SEALING);
    EXPECT(fcntl(fd, F_GET_SEALS) == 0);
    EXPECT(seal(fd, F_SEAL_SHRINK) == 0);
    FAILS(ftruncate(fd, 4096), EPERM);
    EXPECT(ftruncate(fd, 12288) == 0);
    EXPECT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
    EXPECT(seal(fd, F_SEAL_GROW) == 0 && fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW));
    FAILS(ftruncate(fd, 16384), EPERM);
    FAILS(fallocate(fd, 0, 12288, 10), EPERM);
    FAILS(pwrite(fd, "x", 1, 12288), EPERM);
    // A write over the end goes as far as it may.
    char two[8192] = {1};
    EXPECT(pwrite(fd, two, sizeof two, 8192) == 4096);
    EXPECT(pwrite(fd, two, 100, 12288 - 50) == 50);
    EXPECT(ftruncate(fd, 12288) == 0 && pwrite(fd, "x", 1, 0) == 1);
    FAILS(open("/dev/null", O_RDONLY) >= 0 ? fcntl(open("/dev/null", O_RDONLY), F_GET_SEALS) : 0, EINVAL);
    EXPECT(seal(fd, F_SEAL_SEAL) == 0);
    FAILS(seal(fd, F_SEAL_WRITE), EPERM);
    FAILS(seal(fd, 0), EPERM);
    close(fd);
    fd = memory(0);
    EXPECT(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
    FAILS(seal(fd, F_SEAL_WRITE), EPERM);
    close(fd);
    fd = memory(MFD_ALLOW_SEALING);
    FAILS(seal(fd, 0x1000), EINVAL);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY);
    FAILS(seal(reader, F_SEAL_SHRINK), EPERM);
    EXPECT(fcntl(reader, F_GET_SEALS) == 0);
    close(fd), close(reader);
}

static void writes(void) {
    int fd = memory(MFD_ALLOW_SEALING);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(map != MAP_FAILED);
    FAILS(seal(fd, F_SEAL_WRITE), EBUSY);
    EXPECT(munmap(map, 4096) == 0 && seal(fd, F_SEAL_WRITE) == 0);
    FAILS(pwrite(fd, "x", 1, 0), EPERM);
    FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), EPERM);
    EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
    map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    NEED(map != MAP_FAILED);
    FAILS(mprotect(map, 4096, PROT_READ | PROT_WRITE), EACCES);
    munmap(map, 4096);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    NEED(map != MAP_FAILED);
    map[0] = 1;
    munmap(map, 4096);
    EXPECT(ftruncate(fd, 4096) == 0);
    close(fd);

    fd = memory(MFD_ALLOW_SEALING);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(map != MAP_FAILED);
    EXPECT(seal(fd, F_SEAL_FUTURE_WRITE) == 0);
    map[0] = 5;
    char byte = 0;
    EXPECT(pread(fd, &byte, 1, 0) == 1 && byte == 5);
    FAILS(pwrite(fd, "x", 1, 0), EPERM);
    EXPECT(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
    munmap(map, 4096);
    close(fd);
}

static void execution(void) {
    int fd = memory(NOEXEC_SEAL);
    struct stat st;
    EXPECT(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0666);
    EXPECT(fcntl(fd, F_GET_SEALS) == F_SEAL_EXEC);
    FAILS(fchmod(fd, 0777), EPERM);
    EXPECT(fchmod(fd, 0600) == 0);
    close(fd);
    fd = memory(MFD_ALLOW_SEALING);
    EXPECT(seal(fd, F_SEAL_EXEC) == 0);
    printf("seals with exec %#x\n", fcntl(fd, F_GET_SEALS));
    close(fd);
}

static int lock(int fd, int command, short type, off_t start, off_t length) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &l);
}

static atomic_int got;

static void *wait_for_lock(void *fd) {
    EXPECT(lock(*(int *)fd, F_OFD_SETLKW, F_WRLCK, 0, 0) == 0);
    atomic_store(&got, 1);
    return NULL;
}

static void description_locks(void) {
    int a = open("file", O_RDWR | O_CREAT, 0600), b = open("file", O_RDWR), shared = dup(a);
    NEED(a >= 0 && b >= 0 && shared >= 0);
    EXPECT(lock(a, F_OFD_SETLK, F_WRLCK, 10, 10) == 0);
    FAILS(lock(b, F_OFD_SETLK, F_RDLCK, 15, 1), EAGAIN);
    EXPECT(lock(b, F_OFD_SETLK, F_WRLCK, 20, 5) == 0);
    EXPECT(lock(shared, F_OFD_SETLK, F_RDLCK, 12, 3) == 0);
    EXPECT(lock(b, F_OFD_SETLK, F_RDLCK, 12, 3) == 0);
    FAILS(lock(b, F_OFD_SETLK, F_RDLCK, 10, 2), EAGAIN);
    // The process's own kind conflicts with them.
    FAILS(lock(a, F_SETLK, F_WRLCK, 20, 1), EAGAIN);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0};
    EXPECT(fcntl(b, F_OFD_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_start == 10 && l.l_len == 2 && l.l_pid == -1);
    l = (struct flock){.l_type = F_WRLCK, .l_pid = 1};
    FAILS(fcntl(b, F_OFD_GETLK, &l), EINVAL);
    // Closing one descriptor of a description leaves its locks; the last one takes them along.
    close(shared);
    FAILS(lock(b, F_OFD_SETLK, F_RDLCK, 10, 2), EAGAIN);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, wait_for_lock, &b) == 0);
    sleep_ms(40);
    EXPECT(atomic_load(&got) == 0);
    close(a);
    NEED(pthread_join(thread, NULL) == 0);
    close(b);
}

static void process_locks(void) {
    int a = open("file", O_RDWR | O_CREAT, 0600), b = open("file", O_RDWR);
    EXPECT(lock(a, F_SETLK, F_WRLCK, 0, 100) == 0 && lock(b, F_SETLK, F_RDLCK, 0, 100) == 0);
    FAILS(lock(a, F_SETLK, F_WRLCK, -1, 1), EINVAL);
    FAILS(lock(a, F_SETLK, 9, 0, 1), EINVAL);
    int reader = open("file", O_RDONLY);
    FAILS(lock(reader, F_SETLK, F_WRLCK, 0, 1), EBADF);
    FAILS(lock(99, F_SETLK, F_WRLCK, 0, 1), EBADF);
    EXPECT(lock(a, F_SETLK, F_WRLCK, 100, -50) == 0);
    // Any close of the file drops the process's locks.
    close(b);
    int description = open("file", O_RDWR);
    EXPECT(lock(description, F_OFD_SETLK, F_WRLCK, 0, 0) == 0);
    close(a), close(reader), close(description);
}

static void *wait_for_flock(void *fd) {
    EXPECT(flock(*(int *)fd, LOCK_EX) == 0);
    atomic_store(&got, 1);
    return NULL;
}

static void whole_locks(void) {
    int a = open("file", O_RDWR | O_CREAT, 0600), b = open("file", O_RDONLY), copy = dup(a);
    EXPECT(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH) == 0);
    FAILS(flock(a, LOCK_EX | LOCK_NB), EAGAIN);
    EXPECT(flock(b, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0 && flock(copy, LOCK_EX | LOCK_NB) == 0);
    FAILS(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
    // They do not see record locks.
    EXPECT(lock(a, F_SETLK, F_WRLCK, 0, 0) == 0);
    FAILS(flock(a, 0), EINVAL);
    FAILS(flock(a, LOCK_SH | LOCK_EX), EINVAL);
    FAILS(flock(99, LOCK_SH), EBADF);
    FAILS(flock(open("file", O_PATH), LOCK_SH), EBADF);
    pthread_t thread;
    atomic_store(&got, 0);
    NEED(pthread_create(&thread, NULL, wait_for_flock, &b) == 0);
    sleep_ms(30);
    EXPECT(atomic_load(&got) == 0);
    close(copy);
    sleep_ms(30);
    EXPECT(atomic_load(&got) == 0);
    close(a);
    NEED(pthread_join(thread, NULL) == 0);
    close(b);
}

int main(void) {
    enter_scratch();
    sizes();
    part("sizes");
    writes();
    part("writes");
    execution();
    part("execution");
    description_locks();
    part("locks of descriptions");
    process_locks();
    part("locks of the process");
    whole_locks();
    return done();
}
