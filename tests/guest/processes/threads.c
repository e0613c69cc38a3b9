// Processes and threads: a fork in a threaded program has one thread, a process ends with all of its threads.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { WORKERS = 4, FORKS = 20 };

static atomic_int stop, before, after;
static char *churned;

static void *work(void *unused) {
    while (!stop) {
        char *block = malloc(5000);
        block[0] = 1;
        free(block);
        for (int i = 0; i < 64; i++) churned[i * 4096]++;
    }
    return unused;
}

static void *sleep_for_ever(void *unused) {
    for (;;) pause();
    return unused;
}

static void *add_one(void *counter) {
    ++*(int *)counter;
    return NULL;
}

static void *leave(void *unused) {
    (void)unused;
    exit(6);
}

static void on_prepare(void) { before++; }
static void on_parent(void) { after++; }

static int status_of(pid_t pid) {
    int status = -1;
    EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
    return status;
}

static void forks(void) {
    pthread_t workers[WORKERS];
    churned = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(churned != MAP_FAILED && pthread_atfork(on_prepare, on_parent, NULL) == 0);
    for (int i = 0; i < WORKERS; i++) NEED(pthread_create(&workers[i], NULL, work, NULL) == 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t own;
            int count = 0;
            EXPECT(syscall(SYS_gettid) == getpid());
            EXPECT(pthread_create(&own, NULL, add_one, &count) == 0 && pthread_join(own, NULL) == 0 && count == 1);
            char *block = malloc(100000);
            memset(block, 1, 100000);
            for (int page = 0; page < 64; page++) churned[page * 4096] = 9;
            for (int page = 0; page < 64; page++) EXPECT(churned[page * 4096] == 9);
            _exit(check_failures != 0);
        }
        EXPECT(status_of(pid) == 0);
    }
    stop = 1;
    for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
    EXPECT(before == FORKS && after == FORKS);
    part("forks");
}

static void ends(void) {
    for (int kind = 0; kind < 4; kind++) {
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t thread;
            pthread_create(&thread, NULL, sleep_for_ever, NULL);
            pthread_create(&thread, NULL, kind == 1 ? leave : sleep_for_ever, NULL);
            if (kind == 0) exit(5);
            if (kind == 2) kill(getpid(), SIGKILL);
            if (kind == 3) syscall(SYS_exit, 1);
            for (;;) pause();
        }
        if (kind == 3) {
            // The first thread alone has ended: the process lives on.
            sleep_ms(20);
            EXPECT(waitpid(pid, NULL, WNOHANG) == 0 && kill(pid, SIGTERM) == 0);
        }
        int status = status_of(pid);
        if (kind == 0) EXPECT(WEXITSTATUS(status) == 5);
        if (kind == 1) EXPECT(WEXITSTATUS(status) == 6);
        if (kind == 2) EXPECT(WTERMSIG(status) == SIGKILL);
        if (kind == 3) EXPECT(WTERMSIG(status) == SIGTERM);
    }
    part("ends");
}

static void limit(void) {
    pid_t pid = fork();
    if (pid == 0) {
        // Not root's: root has no limit.
        if (getuid() == 0 && setuid(54321) != 0) _exit(9);
        struct rlimit few = {1, 1};
        EXPECT(setrlimit(RLIMIT_NPROC, &few) == 0);
        FAILS(fork(), EAGAIN);
        _exit(check_failures != 0);
    }
    EXPECT(status_of(pid) == 0);
    part("limit");
}

int main(void) {
    forks();
    ends();
    limit();
    return done();
}
