// fork and wait: what a child shares with its parent and what not, how it ends, and how the parent hears of it.
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { PAGE = 4096 };

static int global = 1;

static int status_of(pid_t pid) {
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid);
    return status;
}

static void memory(void) {
    char *heap = malloc(100000);
    memset(heap, 'h', 100000);
    char *private = mmap(NULL, 700 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    NEED(private != MAP_FAILED && shared != MAP_FAILED && fd >= 0 && write(fd, "file", 4) == 4);
    char *file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *both = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memset(private, 'p', 700 * PAGE);
    file[0] = 'F';
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        EXPECT(global == 1 && heap[99999] == 'h' && private[699 * PAGE] == 'p' && file[0] == 'F' && *shared == 0);
        global = 2;
        heap[0] = private[0] = private[699 * PAGE] = 'c';
        file[1] = 'I';
        both[3] = 'E';
        *shared = 77;
        _exit(done() == 0 && global == 2 && private[0] == 'c' && private[1] == 'p' ? 0 : 1);
    }
    EXPECT(status_of(pid) == 0);
    EXPECT(global == 1 && heap[0] == 'h' && private[0] == 'p' && private[699 * PAGE] == 'p' && *shared == 77);
    EXPECT(memcmp(file, "Fil", 3) == 0 && both[3] == 'E' && both[0] == 'f');
    heap[0] = private[0] = 'P';
    EXPECT(private[0] == 'P' && private[PAGE] == 'p' && heap[0] == 'P');
    free(heap);
    munmap(private, 700 * PAGE);
    part("memory");
}

static void generations(void) {
    int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = 0;
    // Each generation sees its ancestors' writes and none of its descendants'.
    for (int i = 0; i < 8; i++) {
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid > 0) {
            int before = page[0];
            EXPECT(status_of(pid) == 0 && page[0] == before);
            if (i > 0) _exit(check_failures != 0);
            EXPECT(*shared == 8);
            part("generations");
            return;
        }
        EXPECT(page[0] == i);
        page[0]++;
        ++*shared;
    }
    _exit(check_failures != 0);
}

static void descriptors(void) {
    int fd = open("positions", O_RDWR | O_CREAT, 0600), pipes[2];
    NEED(fd >= 0 && pipe(pipes) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(write(fd, "12345", 5) == 5 && close(fd) == 0 && mkdir("sub", 0700) == 0 && chdir("sub") == 0);
        umask(0);
        EXPECT(write(pipes[1], "x", 1) == 1);
        _exit(check_failures != 0);
    }
    EXPECT(status_of(pid) == 0);
    // One position for both, two tables.
    EXPECT(lseek(fd, 0, SEEK_CUR) == 5 && access("sub", F_OK) == 0 && umask(022) == 022);
    close(pipes[1]);
    char byte;
    EXPECT(read(pipes[0], &byte, 1) == 1 && read(pipes[0], &byte, 1) == 0);
    close(pipes[0]);
    part("descriptors");
}

static void ends(void) {
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i == 0) exit(200);
            if (i == 1) raise(SIGTERM);
            if (i == 2) *(volatile int *)8 = 1;
            _exit(0);
        }
        int status = status_of(pid);
        if (i == 0) EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 200);
        if (i == 1) EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
        if (i == 2) EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
    part("ends");
}

static void waiting(void) {
    FAILS(wait(NULL), ECHILD);
    FAILS(waitpid(1 << 21, NULL, 0), ECHILD);
    int go[2];
    NEED(pipe(go) == 0);
    pid_t self = getpid(), first = fork();
    if (first == 0) {
        char byte;
        close(go[1]);
        EXPECT(getppid() == self && getpid() != self && read(go[0], &byte, 1) == 0);
        _exit(3);
    }
    EXPECT(waitpid(-1, NULL, WNOHANG) == 0 && waitpid(first, NULL, WNOHANG) == 0 && kill(first, 0) == 0);
    siginfo_t info;
    memset(&info, 1, sizeof info);
    EXPECT(waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    FAILS(waitpid(first + 1000, NULL, WNOHANG), ECHILD);
    close(go[1]);
    EXPECT(waitid(P_PID, first, &info, WEXITED | WNOWAIT) == 0);
    EXPECT(info.si_pid == first && info.si_code == CLD_EXITED && info.si_status == 3 && info.si_signo == SIGCHLD);
    // It has ended, and is there until somebody has waited for it.
    EXPECT(kill(first, 0) == 0 && waitpid(0, NULL, WNOHANG) == first);
    FAILS(kill(first, 0), ESRCH);
    FAILS(waitpid(first, NULL, 0), ECHILD);
    close(go[0]);
    struct rusage used;
    EXPECT(getrusage(RUSAGE_CHILDREN, &used) == 0 && used.ru_maxrss > 0);
    part("waiting");
}

static void many(void) {
    enum { CHILDREN = 200 };
    static pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        NEED(children[i] >= 0);
        if (children[i] == 0) _exit(i % 100);
    }
    for (int i = CHILDREN; i-- > 0;) {
        int status = status_of(children[i]);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == i % 100);
    }
    FAILS(wait(NULL), ECHILD);
    part("many");
}

int main(void) {
    enter_scratch();
    memory();
    generations();
    descriptors();
    ends();
    waiting();
    many();
    return done();
}
