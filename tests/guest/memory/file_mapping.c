// File mappings: private and shared, in step with read and write, SIGBUS beyond the end.
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

enum { PAGE = 4096 };
static sigjmp_buf back;
static void on_bus(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    siglongjmp(back, info->si_code);
}

static int fresh(const char *name, int pages) {
    int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0644);
    char page[PAGE];
    for (int i = 0; i < pages; i++) {
        memset(page, 'a' + i, PAGE);
        NEED(write(fd, page, PAGE) == PAGE);
    }
    return fd;
}

static void private_mapping(void) {
    int fd = fresh("p", 3);
    char *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), byte;
    NEED(p != MAP_FAILED);
    EXPECT(p[0] == 'a' && p[PAGE] == 'b' && p[2 * PAGE] == 'c');
    p[0] = 'X';
    EXPECT(pread(fd, &byte, 1, 0) == 1 && byte == 'a');
    // A page that was not written shows the file; the file's change does not reach a copied page.
    EXPECT(pwrite(fd, "ZZ", 2, 0) == 2 && p[0] == 'X' && p[1] == 'a');
    char *second = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 2 * PAGE);
    EXPECT(second != MAP_FAILED && second[0] == 'c');
    close(fd);
    EXPECT(p[2 * PAGE] == 'c');
    EXPECT(unlink("p") == 0 && second[PAGE - 1] == 'c');
    munmap(p, 3 * PAGE), munmap(second, PAGE);
}

static void shared_mapping(void) {
    int fd = fresh("s", 2);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), byte;
    char *q = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    NEED(p != MAP_FAILED && q != MAP_FAILED && p != q);
    p[10] = 'X';
    EXPECT(q[10] == 'X' && pread(fd, &byte, 1, 10) == 1 && byte == 'X');
    EXPECT(pwrite(fd, "Y", 1, PAGE) == 1 && p[PAGE] == 'Y' && q[PAGE] == 'Y');
    EXPECT(msync(p, 2 * PAGE, MS_SYNC) == 0);
    EXPECT(munmap(p, 2 * PAGE) == 0 && q[10] == 'X');
    close(fd);
    fd = open("s", O_RDONLY);
    EXPECT(pread(fd, &byte, 1, 10) == 1 && byte == 'X');
    FAILS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
    close(fd);
    fd = open("s", O_WRONLY);
    FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0), EACCES);
    FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
    close(fd);
}

static void beyond_the_end(void) {
    int fd = fresh("e", 1);
    EXPECT(ftruncate(fd, 100) == 0);
    volatile char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(p != MAP_FAILED);
    EXPECT(p[99] == 'a' && p[100] == 0 && p[PAGE - 1] == 0);
    int code = sigsetjmp(back, 1);
    if (code == 0) {
        p[PAGE] = 1;
        EXPECT(!"reached");
    }
    printf("SIGBUS code %d\n", code);
    // The file grows under the mapping.
    EXPECT(ftruncate(fd, 2 * PAGE) == 0 && p[PAGE] == 0);
    p[PAGE] = 'n';
    char byte;
    EXPECT(pread(fd, &byte, 1, PAGE) == 1 && byte == 'n');
    EXPECT(ftruncate(fd, 0) == 0);
    code = sigsetjmp(back, 1);
    if (code == 0) EXPECT(p[0] == 0 && !"reached");
    EXPECT(code == BUS_ADRERR);
    close(fd);
}

// What a file loses takes private copies along; of the page that stays in part they stay.
static void truncated_copies(void) {
    int fd = fresh("t", 2);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    NEED(p != MAP_FAILED);
    p[200] = p[PAGE] = 'c';
    EXPECT(ftruncate(fd, 100) == 0 && ftruncate(fd, 2 * PAGE) == 0);
    EXPECT(p[200] == 'c' && p[PAGE] == 0);
    munmap(p, 2 * PAGE);
    close(fd);
}

int main(void) {
    enter_scratch();
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
    private_mapping();
    part("private");
    shared_mapping();
    part("shared");
    beyond_the_end();
    truncated_copies();
    return done();
}
