// Ends in the way that its argument names; the driver compares status and output with native Linux.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

static void *leave(void *unused) {
    (void)unused;
    exit(9);
}

static void *die(void *unused) {
    *(volatile char *)16 = 1;
    return unused;
}

int main(int argc, char **argv) {
    const char *way = argc > 1 ? argv[1] : "";
    printf("before %s\n", way);
    fflush(stdout);
    pthread_t thread;
    if (strcmp(way, "zero") == 0) return 0;
    if (strcmp(way, "three") == 0) return 3;
    // Only the low eight bits count.
    if (strcmp(way, "large") == 0) exit(0x1234);
    if (strcmp(way, "negative") == 0) _exit(-1);
    if (strcmp(way, "abort") == 0) abort();
    if (strcmp(way, "segv") == 0) *(volatile char *)16 = 1;
    if (strcmp(way, "trap") == 0) __builtin_trap();
    if (strcmp(way, "divide") == 0) __asm__ volatile("divl %%ecx" ::"a"(1), "d"(0), "c"(0));
    if (strcmp(way, "term") == 0) raise(SIGTERM);
    if (strcmp(way, "kill") == 0) raise(SIGKILL);
    if (strcmp(way, "unflushed") == 0) printf("buffered");
    if (strcmp(way, "quick") == 0) {
        printf("lost");
        _exit(4);
    }
    if (strcmp(way, "blocked-segv") == 0) {
        // A fault that is blocked ends the program all the same.
        sigset_t set;
        sigemptyset(&set), sigaddset(&set, SIGSEGV);
        sigprocmask(SIG_BLOCK, &set, NULL);
        *(volatile char *)16 = 1;
    }
    if (strcmp(way, "handler-segv") == 0) {
        struct sigaction action = {.sa_handler = (void (*)(int))16};
        sigaction(SIGUSR1, &action, NULL);
        raise(SIGUSR1);
    }
    if (strcmp(way, "thread-exit") == 0) NEED(pthread_create(&thread, NULL, leave, NULL) == 0 && pause() != 0);
    if (strcmp(way, "thread-segv") == 0) NEED(pthread_create(&thread, NULL, die, NULL) == 0 && pause() != 0);
    // SYS_exit ends one thread only, which here is the last one.
    if (strcmp(way, "exit-call") == 0) syscall(SYS_exit, 6);
    return 0;
}
