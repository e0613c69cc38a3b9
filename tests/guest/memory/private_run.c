// A private mapping of a large file that is written page after page, as a program's archive is that has to be relocated.
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, PAGES = 3000 };
static sigjmp_buf back;
static void on_bus(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    siglongjmp(back, info->si_code);
}

static char of_file(int i) { return (char)(i * 7 + 1); }
static char of_program(int i) { return (char)(i * 11 + 2); }

static int large_file(void) {
    int fd = open("large", O_CREAT | O_RDWR | O_TRUNC, 0644);
    char page[PAGE];
    for (int i = 0; i < PAGES; i++) {
        memset(page, of_file(i), PAGE);
        NEED(write(fd, page, PAGE) == PAGE);
    }
    return fd;
}

// How many pages are not as expected: their first byte written, unless in the hole, the rest the file's.
static int wrong(const char *p, int hole_from, int hole_to) {
    int count = 0;
    for (int i = 0; i < PAGES; i++) {
        const char *page = p + (long)i * PAGE;
        char first = i >= hole_from && i < hole_to ? of_file(i) : of_program(i);
        count += page[0] != first || page[1] != of_file(i) || page[PAGE - 1] != of_file(i);
    }
    return count;
}

static void changes(char *p) {
    // A piece in the middle goes back to what the file has, and can be written again.
    EXPECT(madvise(p + 1000 * PAGE, 3 * PAGE, MADV_DONTNEED) == 0);
    EXPECT(wrong(p, 1000, 1003) == 0);
    for (int i = 1000; i < 1003; i++)
        p[(long)i * PAGE] = of_program(i);
    EXPECT(wrong(p, 0, 0) == 0);
    EXPECT(mprotect(p + 1500 * PAGE, PAGE, PROT_READ) == 0);
    int pipe_end = open("/dev/zero", O_RDONLY);
    FAILS(read(pipe_end, p + 1500 * PAGE, 1), EFAULT);
    EXPECT(mprotect(p + 1500 * PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    EXPECT(wrong(p, 0, 0) == 0);
    close(pipe_end);
}

static void child(char *p) {
    pid_t pid = fork();
    if (pid == 0) {
        int before = wrong(p, 0, 0);
        for (int i = 0; i < PAGES; i += 100)
            p[(long)i * PAGE + 1] = 'c';
        _exit(before != 0 || p[200 * PAGE + 1] != 'c');
    }
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
    EXPECT(wrong(p, 0, 0) == 0);
}

static void shorter(int fd, char *p) {
    // What lies beyond the new end is gone, copied or not.
    EXPECT(ftruncate(fd, 1000L * PAGE) == 0);
    EXPECT(p[999L * PAGE] == of_program(999));
    int code = sigsetjmp(back, 1);
    if (code == 0) {
        p[2000L * PAGE] = 1;
        EXPECT(!"reached");
    }
    printf("SIGBUS code %d\n", code);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
    int fd = large_file();
    char *p = mmap(NULL, (long)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    NEED(p != MAP_FAILED);
    for (int i = 0; i < PAGES; i++)
        p[(long)i * PAGE] = of_program(i);
    EXPECT(wrong(p, 0, 0) == 0);
    for (int i = 0; i < PAGES; i += 500) {
        char byte = 0;
        EXPECT(pread(fd, &byte, 1, (long)i * PAGE) == 1 && byte == of_file(i));
    }
    changes(p);
    child(p);
    shorter(fd, p);
    // Parts of it go, the rest stays.
    EXPECT(munmap(p + 300 * PAGE, 400 * PAGE) == 0);
    EXPECT(p[299 * PAGE] == of_program(299) && p[700 * PAGE] == of_program(700));
    EXPECT(munmap(p, (long)PAGES * PAGE) == 0);
    return done();
}
