// A reservation that is made accessible piece by piece, as the C library's arenas and virtual machines do.
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, PAGES = 256 };
static sigjmp_buf back;

static void jump(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    siglongjmp(back, info->si_code);
}

static int code_of_read(volatile char *p) {
    int code = sigsetjmp(back, 1);
    if (code == 0) (void)*p;
    return code;
}

static int is_zero(const char *page) {
    for (int i = 0; i < PAGE; i++) {
        if (page[i] != 0) return 0;
    }
    return 1;
}

// Pieces of `step` pages; each is zero, and what comes after it stays out of reach.
static void grow(char *start, int step) {
    int pages = 0;
    for (int at = 0; at + step <= PAGES; at += step) {
        EXPECT(mprotect(start + at * PAGE, (size_t)step * PAGE, PROT_READ | PROT_WRITE) == 0);
        for (int i = 0; i < step; i++, pages++) {
            char *page = start + (at + i) * PAGE;
            EXPECT(is_zero(page));
            memset(page, at + i + 1, PAGE);
        }
        if (at + step < PAGES) EXPECT(code_of_read(start + (at + step) * PAGE) == SEGV_ACCERR);
    }
    for (int i = 0; i < pages; i++) EXPECT(start[i * PAGE + i] == (char)(i + 1));
    printf("%d pages by %d\n", pages, step);
}

static char *reserve(void) {
    char *start = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    NEED(start != MAP_FAILED);
    return start;
}

// The parent's memory stays its own when the child lets its reservation grow.
static void grow_after_fork(void) {
    char *start = reserve();
    EXPECT(mprotect(start, PAGE, PROT_READ | PROT_WRITE) == 0);
    *start = 1;
    pid_t child = fork();
    if (child == 0) {
        EXPECT(mprotect(start + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
        int right = start[0] == 1 && start[PAGE] == 0;
        start[0] = start[PAGE] = 2;
        _exit(!right);
    }
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    EXPECT(mprotect(start + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    EXPECT(start[0] == 1 && start[PAGE] == 0);
    // Dropped and made accessible again: zeros, here and there.
    start[PAGE] = 3;
    EXPECT(madvise(start + PAGE, PAGE, MADV_DONTNEED) == 0);
    EXPECT(mprotect(start + PAGE, PAGE, PROT_NONE) == 0);
    EXPECT(mprotect(start + PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    EXPECT(start[PAGE] == 0 && start[0] == 1);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = jump, .sa_flags = SA_SIGINFO};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    for (int step = 1; step <= 32; step *= 2) grow(reserve(), step);
    grow_after_fork();
    return done();
}
