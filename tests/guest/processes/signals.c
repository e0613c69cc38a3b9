// Signals between processes: SIGCHLD, groups and sessions, orphans, the death of a parent, pidfds.
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static volatile sig_atomic_t child_pid, child_code, child_status;

static void on_child(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    child_pid = info->si_pid;
    child_code = info->si_code;
    child_status = info->si_status;
}

static pid_t sleeper(void) {
    pid_t pid = fork();
    if (pid == 0)
        for (;;) pause();
    NEED(pid > 0);
    return pid;
}

static int signal_of(pid_t pid) {
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
}

static void told(void) {
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
    NEED(sigaction(SIGCHLD, &action, NULL) == 0);
    pid_t pid = fork();
    if (pid == 0) _exit(9);
    EXPECT(waitpid(pid, NULL, 0) == pid);
    EXPECT(child_pid == pid && child_code == CLD_EXITED && child_status == 9);
    pid = sleeper();
    EXPECT(kill(pid, SIGKILL) == 0 && signal_of(pid) == SIGKILL);
    EXPECT(child_pid == pid && child_code == CLD_KILLED && child_status == SIGKILL);
    signal(SIGCHLD, SIG_IGN);
    pid = fork();
    if (pid == 0) _exit(0);
    FAILS(waitpid(pid, NULL, 0), ECHILD);
    action.sa_flags |= SA_NOCLDWAIT;
    NEED(sigaction(SIGCHLD, &action, NULL) == 0);
    pid = fork();
    if (pid == 0) _exit(1);
    FAILS(waitpid(pid, NULL, 0), ECHILD);
    EXPECT(child_pid == pid);
    signal(SIGCHLD, SIG_DFL);
    part("told");
}

static void groups(void) {
    pid_t leader = sleeper(), member = sleeper(), other = sleeper();
    EXPECT(getpgid(leader) == getpgrp() && getsid(leader) == getsid(0));
    EXPECT(setpgid(leader, 0) == 0 && setpgid(member, leader) == 0);
    EXPECT(getpgid(leader) == leader && getpgid(member) == leader && getpgid(other) == getpgrp());
    FAILS(setpgid(member, member + 1000), EPERM);
    FAILS(setpgid(1 << 21, 0), ESRCH);
    FAILS(setpgid(member, -1), EINVAL);
    FAILS(kill(-(1 << 21), SIGTERM), ESRCH);
    EXPECT(kill(-leader, 0) == 0 && kill(-leader, SIGTERM) == 0);
    EXPECT(waitpid(-leader, NULL, 0) > 0 && waitpid(-leader, NULL, 0) > 0);
    FAILS(waitpid(-leader, NULL, 0), ECHILD);
    FAILS(kill(-leader, SIGTERM), ESRCH);
    EXPECT(kill(other, 0) == 0 && kill(other, SIGINT) == 0 && signal_of(other) == SIGINT);
    pid_t session = fork();
    if (session == 0) {
        EXPECT(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
        FAILS(setsid(), EPERM);
        FAILS(setpgid(0, 0), EPERM);
        _exit(check_failures != 0);
    }
    int status;
    EXPECT(waitpid(session, &status, 0) == session && status == 0);
    part("groups");
}

// Tells its parent's number once its own parent has ended.
static void orphans(void) {
    int ends[2];
    char byte;
    pid_t self = getpid(), found = 0;
    NEED(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t middle = fork();
    if (middle == 0) {
        pid_t middle_pid = getpid();
        if (fork() == 0) {
            EXPECT(getppid() == middle_pid && write(ends[1], "r", 1) == 1);
            while (getppid() == middle_pid) sleep_ms(1);
            pid_t parent = getppid();
            EXPECT(write(ends[1], &parent, sizeof parent) == sizeof parent);
            _exit(11);
        }
        EXPECT(read(ends[0], &byte, 1) == 1);
        _exit(0);
    }
    EXPECT(waitpid(middle, NULL, 0) == middle);
    EXPECT(read(ends[0], &found, sizeof found) == sizeof found && found == self);
    int status;
    EXPECT(wait(&status) > 0 && WEXITSTATUS(status) == 11);
    NEED(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
    part("orphans");

    middle = fork();
    if (middle == 0) {
        if (fork() == 0) {
            EXPECT(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && write(ends[1], "r", 1) == 1);
            close(ends[0]);
            for (;;) pause();
        }
        EXPECT(read(ends[0], &byte, 1) == 1);
        _exit(0);
    }
    EXPECT(waitpid(middle, NULL, 0) == middle);
    // Its end of the pair closes when it has ended.
    close(ends[1]);
    EXPECT(read(ends[0], &byte, 1) == 0);
    close(ends[0]);
    part("death of a parent");
}

static void pidfds(void) {
    pid_t pid = sleeper();
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    NEED(fd >= 0);
    struct pollfd poll_one = {.fd = fd, .events = POLLIN};
    EXPECT(poll(&poll_one, 1, 0) == 0);
    EXPECT(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0);
    EXPECT(syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0);
    EXPECT(poll(&poll_one, 1, -1) == 1 && poll_one.revents == POLLIN);
    siginfo_t info;
    EXPECT(waitid(P_PIDFD, fd, &info, WEXITED) == 0 && info.si_pid == pid && info.si_status == SIGKILL);
    FAILS(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), ESRCH);
    FAILS(syscall(SYS_pidfd_open, pid, 0), ESRCH);
    FAILS(syscall(SYS_pidfd_open, 0, 0), EINVAL);
    FAILS(syscall(SYS_pidfd_send_signal, 0, SIGTERM, NULL, 0), EBADF);
    close(fd);
    // A process's folder in /proc is one for this call, and nothing else there.
    char folder[32];
    pid = sleeper();
    snprintf(folder, sizeof folder, "/proc/%d", pid);
    fd = open(folder, O_RDONLY | O_DIRECTORY);
    EXPECT(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0);
    EXPECT(waitpid(pid, &info.si_status, 0) == pid && WTERMSIG(info.si_status) == SIGTERM);
    FAILS(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    close(fd);
    for (const char *other = "/proc/self/fd\0/proc\0/proc/self/stat\0"; *other != 0; other += strlen(other) + 1) {
        fd = open(other, O_RDONLY);
        FAILS(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), EBADF);
        close(fd);
    }
    part("pidfds");
}

static void stops(void) {
    struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART};
    int status = 0;
    NEED(sigaction(SIGCHLD, &action, NULL) == 0);
    pid_t pid = sleeper();
    EXPECT(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
    EXPECT(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP && child_pid == pid && child_code == CLD_STOPPED);
    // Told once. A stopped process takes no other signal than those that let it go on or kill it.
    EXPECT(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0 && kill(pid, SIGTERM) == 0);
    sleep_ms(5);
    EXPECT(waitpid(pid, &status, WUNTRACED | WNOHANG) == 0);
    EXPECT(kill(pid, SIGCONT) == 0 && signal_of(pid) == SIGTERM);
    pid = sleeper();
    EXPECT(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid && kill(pid, SIGCONT) == 0);
    siginfo_t info;
    EXPECT(waitid(P_PID, pid, &info, WCONTINUED) == 0 && info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
    EXPECT(kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid);
    EXPECT(kill(pid, SIGKILL) == 0 && signal_of(pid) == SIGKILL);
    signal(SIGCHLD, SIG_DFL);
    // A group of its own, with a parent outside of it: the terminal's signal stops it.
    pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        raise(SIGTSTP);
        _exit(4);
    }
    EXPECT(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
    EXPECT(kill(pid, SIGCONT) == 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
    part("stops");
}

int main(void) {
    told();
    stops();
    groups();
    orphans();
    pidfds();
    return done();
}
