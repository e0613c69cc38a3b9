// munmap of everything that a program may have ends it, with SIGSEGV blocked too; it is all gone, wherever it lay.
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static const size_t ALL = ((size_t)1 << 47) - 4096;

static void unmap(char *from, size_t length) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGSEGV);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    munmap(from, length);
    _exit(1);
}

static int ends_with(char *from, size_t length) {
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) unmap(from, length);
    int status;
    NEED(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

int main(void) {
    EXPECT(ends_with(NULL, ALL) == SIGSEGV);
    EXPECT(ends_with((char *)4096, ALL) == -1);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(page != MAP_FAILED);
    EXPECT(ends_with(page, ALL - (uintptr_t)page) == SIGSEGV);
    FAILS(munmap(NULL, ALL + 4096), EINVAL);
    return done();
}
