// What a process may do to another: its memory, limits and descriptors, a folder of /proc that stands for it; what kcmp tells;
// signal handlers that processes share.
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static char text[8192] = "parent";
static int go[2];

// A child that waits for a byte, and ends with `text`'s first letter.
static pid_t child(void) {
    pid_t pid = fork();
    if (pid == 0) {
        char c;
        strcpy(text, "child");
        raise(SIGSTOP);
        if (read(go[0], &c, 1) == 1) _exit(text[0]);
        _exit(1);
    }
    int status;
    NEED(pid > 0 && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    kill(pid, SIGCONT);
    return pid;
}

static int end(pid_t pid) {
    int status = -1;
    EXPECT(write(go[1], "", 1) == 1 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void memory(void) {
    static char copy[64];
    char *readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(readonly != MAP_FAILED);
    pid_t pid = child();
    struct iovec local[2] = {{copy, 3}, {copy + 3, 61}}, remote = {text, 64};
    EXPECT(process_vm_readv(pid, local, 2, &remote, 1, 0) == 64 && strcmp(copy, "child") == 0);
    EXPECT(strcmp(text, "parent") == 0);
    struct iovec word = {"written", 8};
    EXPECT(process_vm_writev(pid, &word, 1, &remote, 1, 0) == 8);
    EXPECT(strcmp(text, "parent") == 0);
    EXPECT(process_vm_readv(pid, local, 2, &remote, 1, 0) == 64 && strcmp(copy, "written") == 0);
    struct iovec partly[2] = {{text, 4}, {(void *)8, 8}};
    EXPECT(process_vm_readv(pid, local, 2, partly, 2, 0) == 4);
    struct iovec there = {readonly, 8};
    FAILS(process_vm_writev(pid, &word, 1, &there, 1, 0), EFAULT);
    EXPECT(process_vm_readv(pid, local, 1, &there, 1, 0) == 3 && copy[0] == 0);
    EXPECT(end(pid) == 'w' << 8);
    FAILS(process_vm_readv(pid, local, 2, &remote, 1, 0), ESRCH);
    part("memory");
}

static void limits(void) {
    pid_t pid = child();
    struct rlimit before, after, new = {20, 30};
    EXPECT(prlimit(pid, RLIMIT_NOFILE, &new, &before) == 0 && prlimit(pid, RLIMIT_NOFILE, NULL, &after) == 0);
    EXPECT(after.rlim_cur == 20 && after.rlim_max == 30);
    EXPECT(getrlimit(RLIMIT_NOFILE, &after) == 0 && after.rlim_cur == before.rlim_cur);
    new.rlim_cur = 31;
    FAILS(prlimit(pid, RLIMIT_NOFILE, &new, NULL), EINVAL);
    end(pid);
    FAILS(prlimit(pid, RLIMIT_NOFILE, NULL, &after), ESRCH);
    // A limit of CPU time that comes from outside.
    pid = fork();
    if (pid == 0) {
        signal(SIGXCPU, SIG_DFL);
        for (;;) {}
    }
    struct rlimit second = {1, 1};
    int status = -1;
    EXPECT(prlimit(pid, RLIMIT_CPU, &second, NULL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    part("limits");
}

static int send_signal(int fd, int sig) { return syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0); }

static void folders(void) {
    char path[64];
    pid_t pid = child();
    snprintf(path, sizeof path, "/proc/%d", pid);
    int folder = open(path, O_RDONLY | O_DIRECTORY), same = open(path, O_PATH);
    snprintf(path, sizeof path, "/proc/%d/task/%d", pid, pid);
    int task = open(path, O_RDONLY | O_DIRECTORY), proc = open("/proc", O_RDONLY | O_DIRECTORY);
    NEED(folder >= 0 && same >= 0 && task >= 0 && proc >= 0);
    EXPECT(send_signal(folder, 0) == 0);
    FAILS(send_signal(same, 0), EBADF);
    FAILS(send_signal(proc, 0), EBADF);
    FAILS(send_signal(STDOUT_FILENO, 0), EBADF);
    siginfo_t info;
    FAILS(waitid(P_PIDFD, folder, &info, WEXITED | WNOHANG), EBADF);
    FAILS(syscall(SYS_pidfd_getfd, folder, 0, 0), EBADF);
    EXPECT(send_signal(folder, SIGTERM) == 0);
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    FAILS(send_signal(folder, 0), ESRCH);
    close(folder), close(same), close(task), close(proc);
    part("folders");
}

enum { FILE_, VM, FILES, FS, SIGHAND, IO, SYSVSEM, EPOLL_TFD };

static int compare(pid_t one, pid_t other, int kind, unsigned long a, unsigned long b) {
    return syscall(SYS_kcmp, one, other, kind, a, b);
}

static void comparisons(void) {
    pid_t own = getpid(), pid = child();
    EXPECT(compare(own, pid, FILE_, go[0], go[0]) == 0);
    int there = compare(own, pid, FILE_, go[0], go[1]), back = compare(pid, own, FILE_, go[1], go[0]);
    EXPECT((there == 1 && back == 2) || (there == 2 && back == 1));
    for (int kind = VM; kind <= SIGHAND; kind++) EXPECT(compare(own, pid, kind, 0, 0) > 0 && compare(pid, pid, kind, 0, 0) == 0);
    EXPECT(compare(own, pid, IO, 0, 0) == 0 && compare(own, pid, SYSVSEM, 0, 0) == 0);
    FAILS(compare(own, pid, FILE_, go[0], 999), EBADF);
    FAILS(compare(own, pid, 99, 0, 0), EINVAL);
    int ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    NEED(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, go[0], &event) == 0);
    struct { uint32_t efd, tfd, toff; } slot = {ep, go[0], 0};
    EXPECT(compare(own, own, EPOLL_TFD, go[0], (long)&slot) == 0);
    EXPECT(compare(pid, own, EPOLL_TFD, go[0], (long)&slot) == 0);
    EXPECT(compare(own, own, EPOLL_TFD, go[1], (long)&slot) > 0);
    slot.toff = 1;
    FAILS(compare(own, own, EPOLL_TFD, go[0], (long)&slot), ENOENT);
    slot.efd = go[0];
    FAILS(compare(own, own, EPOLL_TFD, go[0], (long)&slot), EINVAL);
    FAILS(compare(own, own, EPOLL_TFD, go[0], 8), EFAULT);
    close(ep);
    end(pid);
    FAILS(compare(own, pid, VM, 0, 0), ESRCH);
    part("comparisons");
}

static volatile int handled;

static void on_signal(int sig) { handled = sig; }

static int shares(void *unused) {
    (void)unused;
    signal(SIGUSR2, on_signal);
    return 0;
}

static int waits(void *unused) {
    (void)unused;
    char c;
    return read(go[0], &c, 1) == 1 ? 0 : 1;
}

static void handlers(void) {
    static char stack[1 << 16];
    signal(SIGUSR2, SIG_IGN);
    pid_t pid = clone(shares, stack + sizeof stack, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL);
    int status = -1;
    NEED(pid > 0 && waitpid(pid, &status, 0) == pid);
    EXPECT(status == 0 && raise(SIGUSR2) == 0 && handled == SIGUSR2);
    // What is pending is each one's own.
    pid = clone(waits, stack + sizeof stack, CLONE_VM | CLONE_SIGHAND | CLONE_FS | CLONE_FILES | SIGCHLD, NULL);
    NEED(pid > 0);
    for (int kind = VM; kind <= SIGHAND; kind++) EXPECT(compare(getpid(), pid, kind, 0, 0) == 0);
    signal(SIGUSR2, SIG_DFL);
    EXPECT(kill(pid, SIGUSR2) == 0 && waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGUSR2);
    FAILS(clone(waits, stack + sizeof stack, CLONE_SIGHAND | SIGCHLD, NULL), EINVAL);
    // execve(2) leaves the handlers to the other one.
    signal(SIGUSR2, on_signal);
    handled = 0;
    pid = vfork();
    if (pid == 0) {
        execl("/proc/self/exe", "others", "end", NULL);
        _exit(1);
    }
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0 && raise(SIGUSR2) == 0 && handled == SIGUSR2);
    part("handlers");
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return 0;
    NEED(pipe(go) == 0);
    memory();
    limits();
    folders();
    comparisons();
    handlers();
    return done();
}
