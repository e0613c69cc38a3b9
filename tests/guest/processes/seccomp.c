// System-call filters: each action, several filters at once, threads and children, strict mode, what is wrong.
#include "check.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define DATA(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
// Skips `otherwise` instructions unless the word is `value`.
#define UNLESS(value, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, otherwise)

static int seccomp(unsigned op, unsigned flags, void *args) { return syscall(SYS_seccomp, op, flags, args); }

static int filter(unsigned flags, struct sock_filter *code, size_t len) {
    struct sock_fprog program = {len, code};
    return seccomp(SECCOMP_SET_MODE_FILTER, flags, &program);
}

// The call `nr` gets `action`.
static int answer(unsigned flags, unsigned nr, unsigned action) {
    struct sock_filter code[] = {DATA(nr), UNLESS(nr, 1), ANSWER(action), ANSWER(SECCOMP_RET_ALLOW)};
    return filter(flags, code, 4);
}

static int status_of(void (*child)(void)) {
    pid_t pid = fork();
    if (pid == 0) {
        child();
        fflush(stdout);
        _exit(check_failures ? 99 : 0);
    }
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid);
    return status;
}

static const char *line_of_status(const char *name) {
    static char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    NEED(file != NULL);
    while (fgets(line, sizeof line, file) && strncmp(line, name, strlen(name)) != 0) {}
    fclose(file);
    return line;
}

static void errnos(void) {
    EXPECT(answer(0, SYS_getppid, SECCOMP_RET_ERRNO | EDOM) == 0);
    FAILS(syscall(SYS_getppid), EDOM);
    EXPECT(syscall(SYS_getpid) == getpid());
    // The youngest of several that are equally strict; a stricter one wins.
    EXPECT(answer(0, SYS_getppid, SECCOMP_RET_ERRNO | ENOTTY) == 0);
    FAILS(syscall(SYS_getppid), ENOTTY);
    EXPECT(answer(0, SYS_getppid, SECCOMP_RET_LOG) == 0);
    FAILS(syscall(SYS_getppid), ENOTTY);
    EXPECT(answer(0, SYS_getuid, SECCOMP_RET_ERRNO) == 0 && syscall(SYS_getuid) == 0);
    EXPECT(answer(0, SYS_getgid, SECCOMP_RET_ERRNO | 0xffff) == 0);
    EXPECT(syscall(SYS_getgid) == -1 && errno == 4095);
    EXPECT(answer(0, SYS_getegid, SECCOMP_RET_TRACE) == 0);
    FAILS(syscall(SYS_getegid), ENOSYS);
    printf("%s", line_of_status("Seccomp:"));
    printf("%s", line_of_status("Seccomp_filters:"));
    EXPECT(prctl(PR_GET_SECCOMP) == 2);
    FAILS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), EINVAL);
}

static void arguments(void) {
    struct sock_filter code[] = {
        DATA(arch), UNLESS(AUDIT_ARCH_X86_64, 7),
        DATA(nr), UNLESS(SYS_dup2, 5),
        DATA(args[0]), UNLESS(77, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4), UNLESS(5, 1),
        ANSWER(SECCOMP_RET_ERRNO | EXDEV), ANSWER(SECCOMP_RET_ALLOW),
    };
    EXPECT(filter(0, code, sizeof code / sizeof *code) == 0);
    EXPECT(syscall(SYS_dup2, 77L, 5L << 32) == -1 && errno == EXDEV);
    EXPECT(syscall(SYS_dup2, 77L, 6L << 32) == -1 && errno == EBADF);
    EXPECT(syscall(SYS_dup2, 76L, 5L << 32) == -1 && errno == EBADF);
}

static volatile int trapped;

static void on_trap(int sig, siginfo_t *info, void *context) {
    ucontext_t *uc = context;
    trapped = sig == SIGSYS && info->si_code == 1 && info->si_syscall == SYS_getppid && info->si_errno == 7 &&
              info->si_arch == AUDIT_ARCH_X86_64 && info->si_call_addr == (void *)uc->uc_mcontext.gregs[REG_RIP] &&
              uc->uc_mcontext.gregs[REG_RAX] == SYS_getppid;
    uc->uc_mcontext.gregs[REG_RAX] = 4242;
}

static void traps(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &action, NULL);
    EXPECT(answer(0, SYS_getppid, SECCOMP_RET_TRAP | 7) == 0);
    EXPECT(syscall(SYS_getppid) == 4242 && trapped);
}

static void traps_without_handler(void) {
    EXPECT(answer(0, SYS_getppid, SECCOMP_RET_TRAP) == 0);
    sigset_t all;
    sigfillset(&all), sigprocmask(SIG_BLOCK, &all, NULL);
    syscall(SYS_getppid);
}

static void kills(void) {
    answer(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS);
    syscall(SYS_getppid);
}

static void *calls(void *unused) {
    syscall(SYS_getppid);
    return unused;
}

static void kills_a_thread(void) {
    pthread_t thread;
    EXPECT(answer(0, SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0);
    NEED(pthread_create(&thread, NULL, calls, NULL) == 0);
    EXPECT(pthread_join(thread, NULL) == 0);
    calls(NULL);
}

static pthread_barrier_t barrier;

static void *waits(void *own) {
    if (own) EXPECT(answer(0, SYS_getuid, SECCOMP_RET_ERRNO | EDOM) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return (void *)syscall(SYS_getppid);
}

static void all_threads(void) {
    pthread_t thread;
    void *result;
    pthread_barrier_init(&barrier, NULL, 2);
    NEED(pthread_create(&thread, NULL, waits, NULL) == 0);
    pthread_barrier_wait(&barrier);
    EXPECT(answer(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | EDOM) == 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, &result);
    EXPECT(result == (void *)-1);
    NEED(pthread_create(&thread, NULL, waits, "own") == 0);
    pthread_barrier_wait(&barrier);
    long other = answer(SECCOMP_FILTER_FLAG_TSYNC, SYS_getgid, SECCOMP_RET_ERRNO | EDOM);
    EXPECT(other > 0 && other != getpid());
    FAILS(answer(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, SYS_getgid, SECCOMP_RET_ERRNO), ESRCH);
    EXPECT(syscall(SYS_getgid) != -1);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
}

static void children(void) {
    EXPECT(answer(0, SYS_getppid, SECCOMP_RET_ERRNO | EDOM) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        // By execve(2) too.
        if (syscall(SYS_getppid) == -1) execl("/proc/self/exe", "seccomp", "again", NULL);
        _exit(1);
    }
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static void strict(void) {
    EXPECT(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    if (write(STDOUT_FILENO, "strict\n", 7) == 7) syscall(SYS_exit, 5);
}

static void strict_kills(void) {
    seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL);
    syscall(SYS_getpid);
}

static void wrong(void) {
    struct sock_filter odd[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ANSWER(SECCOMP_RET_ALLOW)};
    FAILS(filter(0, odd, 2), EINVAL);
    FAILS(filter(0, odd, 0), EINVAL);
    FAILS(filter(0, odd, 1), EINVAL);
    FAILS(filter(0, (void *)8, 1), EFAULT);
    FAILS(seccomp(SECCOMP_SET_MODE_FILTER, 1 << 20, odd), EINVAL);
    FAILS(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
    FAILS(seccomp(99, 0, NULL), EINVAL);
    uint32_t known = SECCOMP_RET_TRAP, unknown = 0x7fff1234;
    EXPECT(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &known) == 0);
    FAILS(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &unknown), EOPNOTSUPP);
    FAILS(prctl(PR_SET_SECCOMP, 7), EINVAL);
    // Together they have a limit, which Linux counts in instructions that these are translated to.
    static struct sock_filter many[4096];
    for (int i = 0; i < 4096; i++) many[i] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    int count = 0;
    while (count < 20 && filter(0, many, 4096) == 0) count++;
    EXPECT(count >= 3 && count <= 7);
    FAILS(filter(0, many, 4096), ENOMEM);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return syscall(SYS_getppid) == -1 && errno == EDOM ? 0 : 1;
    EXPECT(prctl(PR_GET_SECCOMP) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    EXPECT(status_of(errnos) == 0);
    EXPECT(status_of(arguments) == 0);
    part("errnos");
    EXPECT(status_of(traps) == 0);
    EXPECT(WTERMSIG(status_of(traps_without_handler)) == SIGSYS);
    part("traps");
    EXPECT(WTERMSIG(status_of(kills)) == SIGSYS);
    EXPECT(WTERMSIG(status_of(kills_a_thread)) == SIGSYS);
    part("kills");
    EXPECT(status_of(all_threads) == 0);
    EXPECT(status_of(children) == 0);
    part("threads and children");
    EXPECT(status_of(strict) == 5 << 8);
    EXPECT(WTERMSIG(status_of(strict_kills)) == SIGKILL);
    EXPECT(status_of(wrong) == 0);
    EXPECT(prctl(PR_GET_SECCOMP) == 0);
    return done();
}
