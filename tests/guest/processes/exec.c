// execve and its kin: what the new program gets, what becomes of the old one, and each way to fail.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;
static char self[4096];

static int run_status(pid_t pid) {
    int status = -1;
    NEED(pid > 0);
    EXPECT(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -status;
}

// What the program finds that was started: "child KIND FD PID".
static int child(char **argv) {
    struct sigaction caught, ignored;
    sigset_t mask;
    char name[16] = "", link[4096] = "";
    EXPECT(sigaction(SIGUSR1, NULL, &caught) == 0 && caught.sa_handler == SIG_DFL);
    EXPECT(sigaction(SIGUSR2, NULL, &ignored) == 0 && ignored.sa_handler == SIG_IGN);
    EXPECT(sigprocmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGHUP) && !sigismember(&mask, SIGINT));
    EXPECT(prctl(PR_GET_NAME, name) == 0 && strncmp(name, strrchr(self, '/') + 1, 15) == 0);
    EXPECT(readlink("/proc/self/exe", link, sizeof link - 1) > 0 && strcmp(link, self) == 0);
    int kept = atoi(argv[2]);
    EXPECT(fcntl(kept, F_GETFD) == 0);
    FAILS(fcntl(kept + 1, F_GETFD), EBADF);
    if (atoi(argv[3]) != 0) EXPECT(getpid() == atoi(argv[3]));
    EXPECT(getenv("GREETING") != NULL && strcmp(getenv("GREETING"), "hello") == 0 && getenv("HOME") == NULL);
    return check_failures ? 1 : 42;
}

static void handler(int signal) { (void)signal; }

static void prepare(char *fd) {
    sigset_t mask;
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    int kept = open("/dev/null", O_RDONLY), closed = fcntl(kept, F_DUPFD_CLOEXEC, kept + 1);
    NEED(kept >= 0 && closed == kept + 1);
    sprintf(fd, "%d", kept);
}

static void *exec_in_thread(void *argv) {
    char *env[] = {"GREETING=hello", NULL};
    execve(self, argv, env);
    return NULL;
}

static void *wait_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

static void starts(void) {
    char fd[16], pid[16] = "0", *argv[] = {self, "child", fd, pid, NULL}, *env[] = {"GREETING=hello", NULL};
    prepare(fd);
    pid_t made = fork();
    if (made == 0) {
        sprintf(pid, "%d", getpid());
        execve(self, argv, env);
        _exit(99);
    }
    EXPECT(run_status(made) == 42);
    part("fork");
    volatile int left = 0;
    made = vfork();
    if (made == 0) {
        left = 1;
        execve(self, argv, env);
        _exit(99);
    }
    EXPECT(left == 1 && run_status(made) == 42);
    part("vfork");
    EXPECT(posix_spawn(&made, self, NULL, NULL, argv, env) == 0 && run_status(made) == 42);
    EXPECT(posix_spawn(&made, "/nowhere", NULL, NULL, argv, env) == ENOENT);
    part("posix_spawn");
    // From a thread that is not the first, with another one left behind.
    made = fork();
    if (made == 0) {
        pthread_t threads[2];
        sprintf(pid, "%d", getpid());
        pthread_create(&threads[0], NULL, wait_for_ever, NULL);
        pthread_create(&threads[1], NULL, exec_in_thread, argv);
        for (;;) pause();
    }
    EXPECT(run_status(made) == 42);
    part("threads");
    int file = open(self, O_RDONLY | O_CLOEXEC);
    made = fork();
    if (made == 0) {
        argv[1] = "quiet";
        fexecve(file, argv, env);
        _exit(99);
    }
    EXPECT(run_status(made) == 7);
    close(file);
    part("fexecve");
}

static void write_file(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
    NEED(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, mode) == 0 && close(fd) == 0);
}

static void errors(void) {
    char *argv[] = {"x", NULL}, *env[] = {NULL}, text[5000];
    FAILS(execve("/nowhere", argv, env), ENOENT);
    FAILS(execve("", argv, env), ENOENT);
    FAILS(execve("/", argv, env), EACCES);
    FAILS(execve("/dev/null", argv, env), EACCES);
    write_file("plain", "plain text\n", 0700);
    FAILS(execve("plain", argv, env), ENOEXEC);
    FAILS(execve("plain/x", argv, env), ENOTDIR);
    write_file("empty", "", 0700);
    FAILS(execve("empty", argv, env), ENOEXEC);
    write_file("forbidden", "#!/bin/sh\n", 0600);
    FAILS(execve("forbidden", argv, env), EACCES);
    write_file("lost", "#!/nowhere/sh\n", 0700);
    FAILS(execve("lost", argv, env), ENOENT);
    write_file("torn", "\177ELF\2\1\1", 0700);
    FAILS(execve("torn", argv, env), ENOEXEC);
    write_file("loop", "#!./loop\n", 0700);
    FAILS(execve("loop", argv, env), ELOOP);
    NEED(symlink("ring", "ring") == 0);
    FAILS(execve("ring", argv, env), ELOOP);
    int fd = open("plain", O_WRONLY);
    FAILS(execve("plain", argv, env), ETXTBSY);
    close(fd);
    void *volatile nowhere = (void *)8;
    FAILS(execve(self, nowhere, env), EFAULT);
    FAILS(execve(nowhere, argv, env), EFAULT);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    FAILS(execve(text, argv, env), ENAMETOOLONG);
    char *huge = malloc(200000);
    memset(huge, 'a', 199999);
    huge[199999] = 0;
    char *large[] = {huge, NULL};
    FAILS(execve(self, large, env), E2BIG);
    FAILS(syscall(SYS_execveat, -1, "x", argv, env, 0), EBADF);
    FAILS(syscall(SYS_execveat, AT_FDCWD, "ring", argv, env, AT_SYMLINK_NOFOLLOW), ELOOP);
    FAILS(syscall(SYS_execveat, AT_FDCWD, self, argv, env, 12345), EINVAL);
    part("errors");
}

static void scripts(void) {
    char text[8192];
    snprintf(text, sizeof text, "#!%s script one two\nrest\n", self);
    write_file("script", text, 0700);
    pid_t made = fork();
    if (made == 0) {
        char *argv[] = {"ignored", "three", NULL}, *env[] = {NULL};
        execve("./script", argv, env);
        _exit(99);
    }
    EXPECT(run_status(made) == 5);
    part("scripts");
}

int main(int argc, char **argv) {
    NEED(realpath("/proc/self/exe", self) != NULL);
    if (argc > 1 && strcmp(argv[1], "child") == 0) return child(argv);
    if (argc > 1 && strcmp(argv[1], "quiet") == 0) return 7;
    // The line's rest is one argument.
    if (argc == 4 && strcmp(argv[1], "script one two") == 0)
        return strcmp(argv[2], "./script") == 0 && strcmp(argv[3], "three") == 0 ? 5 : 6;
    enter_scratch();
    starts();
    errors();
    scripts();
    return done();
}
