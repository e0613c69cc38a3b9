// Memory of forked processes: what madvise keeps from a child, protections, large mappings, and nothing that leaks.
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { PAGE = 4096, LARGE = 24 << 20 };

static sigjmp_buf escape;

static void on_fault(int signal) { siglongjmp(escape, signal); }

static int faults(volatile char *at) {
    if (sigsetjmp(escape, 1) != 0) return 1;
    *at = 1;
    return 0;
}

static void *anonymous(size_t len) {
    char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(p != MAP_FAILED);
    return p;
}

static void finish(pid_t pid) {
    int status = -1;
    EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static void advised(void) {
    char *wiped = anonymous(3 * PAGE), *gone = anonymous(3 * PAGE);
    memset(wiped, 'w', 3 * PAGE);
    memset(gone, 'g', 3 * PAGE);
    EXPECT(madvise(wiped + PAGE, PAGE, MADV_WIPEONFORK) == 0 && madvise(gone + PAGE, PAGE, MADV_DONTFORK) == 0);
    char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FAILS(madvise(shared, PAGE, MADV_WIPEONFORK), EINVAL);
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(wiped[0] == 'w' && wiped[PAGE] == 0 && wiped[2 * PAGE - 1] == 0 && wiped[2 * PAGE] == 'w');
        EXPECT(gone[0] == 'g' && gone[2 * PAGE] == 'g' && faults(gone + PAGE));
        _exit(check_failures != 0);
    }
    finish(pid);
    EXPECT(wiped[PAGE] == 'w' && gone[PAGE] == 'g');
    EXPECT(madvise(wiped, 3 * PAGE, MADV_KEEPONFORK) == 0 && madvise(gone, 3 * PAGE, MADV_DOFORK) == 0);
    pid = fork();
    if (pid == 0) _exit(wiped[PAGE] != 'w' || gone[PAGE] != 'g');
    finish(pid);
    part("advised");
}

static void protected(void) {
    char *p = anonymous(4 * PAGE);
    memset(p, 'p', 4 * PAGE);
    EXPECT(mprotect(p, PAGE, PROT_NONE) == 0 && mprotect(p + PAGE, PAGE, PROT_READ) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(faults(p) && faults(p + PAGE) && !faults(p + 2 * PAGE));
        EXPECT(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE) == 0 && p[0] == 'p');
        memset(p, 'c', 4 * PAGE);
        _exit(check_failures != 0);
    }
    EXPECT(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE) == 0 && p[0] == 'p' && p[PAGE] == 'p');
    p[0] = 'q';
    finish(pid);
    EXPECT(p[0] == 'q' && p[1] == 'p' && p[2 * PAGE] == 'p');
    // Discarded in one process only.
    pid = fork();
    if (pid == 0) {
        EXPECT(madvise(p, 4 * PAGE, MADV_DONTNEED) == 0 && p[0] == 0 && munmap(p + PAGE, PAGE) == 0);
        _exit(check_failures != 0);
    }
    finish(pid);
    EXPECT(p[0] == 'q' && p[PAGE] == 'p');
    part("protected");
}

static void large(void) {
    char *p = anonymous(LARGE);
    for (size_t at = 0; at < LARGE; at += PAGE) p[at] = (char)(at / PAGE);
    pid_t pid = fork();
    if (pid == 0) {
        for (size_t at = 0; at < LARGE; at += 3 * PAGE) EXPECT(p[at] == (char)(at / PAGE));
        for (size_t at = 0; at < LARGE; at += 97 * PAGE) p[at] = 'c';
        EXPECT(mremap(p, LARGE, LARGE / 2, 0) == p && p[PAGE] == 1);
        _exit(check_failures != 0);
    }
    for (size_t at = 0; at < LARGE; at += 89 * PAGE) p[at + 1] = 'p';
    finish(pid);
    for (size_t at = 0; at < LARGE; at += PAGE) EXPECT(p[at] == (char)(at / PAGE));
    // Alone again, all of it can be written.
    memset(p, 'z', LARGE);
    EXPECT(p[LARGE - 1] == 'z' && munmap(p, LARGE) == 0);
    part("large");
}

// More memory passes through these children than the machine has.
static void again_and_again(void) {
    for (int i = 0; i < 60; i++) {
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            memset(anonymous(LARGE), 'x', LARGE);
            _exit(0);
        }
        finish(pid);
    }
    part("again and again");
}

int main(void) {
    signal(SIGSEGV, on_fault);
    advised();
    protected();
    large();
    again_and_again();
    return done();
}
