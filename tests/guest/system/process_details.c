// /proc as run-times and monitors read it in detail: signals, threads, descriptors, limits, mounts, the control group.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static char text[1 << 16];

static const char *slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    text[0] = 0;
    if (fd < 0) {
        CHECK_REPORT(path, errno);
        return text;
    }
    ssize_t length = 0;
    for (ssize_t n; (n = read(fd, text + length, sizeof text - 1 - (size_t)length)) > 0;) length += n;
    text[length] = 0;
    close(fd);
    return text;
}

// The number behind `name` at the start of a line.
static unsigned long long field(const char *path, const char *name, int base) {
    const char *at = slurp(path);
    while (at != NULL && strncmp(at, name, strlen(name)) != 0) at = (at = strchr(at, '\n')) == NULL ? NULL : at + 1;
    return at == NULL ? (unsigned long long)-1 : strtoull(at + strlen(name), NULL, base);
}

static unsigned long long bit(int signal) { return 1ull << (signal - 1); }

static void signals(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGUSR2), sigaddset(&set, SIGRTMIN);
    NEED(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    signal(SIGHUP, SIG_IGN);
    EXPECT(raise(SIGUSR1) == 0 && kill(getpid(), SIGUSR2) == 0);
    EXPECT(sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0);
    const char *status = "/proc/thread-self/status";
    EXPECT(field(status, "SigPnd:", 16) == bit(SIGUSR1));
    EXPECT(field(status, "ShdPnd:", 16) == (bit(SIGUSR2) | bit(SIGRTMIN)));
    EXPECT((field(status, "SigBlk:", 16) & bit(SIGUSR2)) != 0 && (field(status, "SigIgn:", 16) & bit(SIGHUP)) != 0);
    EXPECT(field(status, "SigQ:", 10) >= 2);
    siginfo_t info;
    for (int i = 0; i < 4; i++) EXPECT(sigwaitinfo(&set, &info) > 0);
    EXPECT(field(status, "SigPnd:", 16) == 0 && field(status, "ShdPnd:", 16) == 0);
}

static atomic_int tid, leave;

static void *named(void *unused) {
    pthread_setname_np(pthread_self(), "worker one");
    atomic_store(&tid, (int)syscall(SYS_gettid));
    while (!atomic_load(&leave)) sleep_ms(1);
    return unused;
}

static void threads(void) {
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, named, NULL) == 0);
    while (atomic_load(&tid) == 0) sleep_ms(1);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", atomic_load(&tid));
    EXPECT(strcmp(slurp(path), "worker one\n") == 0);
    int fd = open(path, O_WRONLY);
    EXPECT(fd >= 0 && write(fd, "other", 5) == 5);
    close(fd);
    char name[16] = "";
    EXPECT(pthread_getname_np(thread, name, sizeof name) == 0 && strcmp(name, "other") == 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/status", atomic_load(&tid));
    EXPECT((int)field(path, "Pid:", 10) == atomic_load(&tid) && (int)field(path, "Tgid:", 10) == getpid());
    EXPECT(field(path, "Threads:", 10) == 2);
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(&tid));
    EXPECT(atoi(slurp(path)) == atomic_load(&tid) && strstr(text, "(other)") != NULL);
    atomic_store(&leave, 1);
    NEED(pthread_join(thread, NULL) == 0);
}

static void descriptors(void) {
    int fd = open("file", O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    EXPECT(fd >= 0 && write(fd, "12345", 5) == 5);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    EXPECT(field(path, "pos:", 10) == 5 && field(path, "flags:", 8) == (O_RDWR | O_APPEND | O_CLOEXEC | O_LARGEFILE | 0100000));
    close(fd);
    FAILS(open(path, O_RDONLY), ENOENT);
}

static void limits(void) {
    struct rlimit files;
    NEED(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = 77;
    NEED(setrlimit(RLIMIT_NOFILE, &files) == 0);
    EXPECT(field("/proc/self/limits", "Max open files", 10) == 77);
    int fd = open("/proc/self/oom_score_adj", O_RDWR);
    EXPECT(fd >= 0 && write(fd, "500", 3) == 3);
    close(fd);
    EXPECT(strcmp(slurp("/proc/self/oom_score_adj"), "500\n") == 0);
    fd = open("/proc/self/oom_score_adj", O_RDWR);
    FAILS(write(fd, "1001", 4), EINVAL);
    close(fd);
}

static void mounts(void) {
    int lines = 0, roots = 0;
    slurp("/proc/self/mountinfo");
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++) {
        int id, parent, major, minor, end = 0;
        char root[512], point[512];
        EXPECT(sscanf(line, "%d %d %d:%d %511s %511s %n", &id, &parent, &major, &minor, root, point, &end) == 6);
        EXPECT(strstr(line + end, " - ") != NULL);
        roots += strcmp(point, "/") == 0;
    }
    EXPECT(lines > 3 && roots >= 1);
    EXPECT(strstr(slurp("/proc/self/cgroup"), "::/") != NULL || strstr(text, ":/") != NULL);
    EXPECT(strstr(slurp("/proc/cgroups"), "memory\t") != NULL);
    EXPECT(access("/sys/fs/cgroup", R_OK | X_OK) == 0);
    EXPECT(strlen(slurp("/sys/devices/system/cpu/possible")) > 1 && strlen(slurp("/sys/kernel/mm/transparent_hugepage/enabled")) > 10);
    EXPECT(strtol(slurp("/proc/sys/vm/max_map_count"), NULL, 10) >= 65530);
}

int main(void) {
    enter_scratch();
    signals();
    part("signals");
    threads();
    part("threads");
    descriptors();
    part("descriptors");
    limits();
    part("limits");
    mounts();
    return done();
}
