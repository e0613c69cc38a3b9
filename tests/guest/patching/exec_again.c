// A program that is run again and again has its system calls each time, whatever the one before did to its own code.
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile int ticks;

static void on_tick(int sig) {
    (void)sig;
    ticks++;
}

// Signals that come at any moment see and resume at addresses of the C library as it lies in this process.
static void under_signals(void) {
    struct itimerval often = {{0, 500}, {0, 500}}, off = {{0, 0}, {0, 0}};
    signal(SIGALRM, on_tick);
    NEED(setitimer(ITIMER_REAL, &often, NULL) == 0);
    pid_t own = getpid();
    while (ticks < 20) NEED(getpid() == own && getppid() == syscall(SYS_getppid));
    NEED(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

// mov $42, %eax; ret
static void overwrite(char *code) {
    static const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3};
    char *page = (char *)((uintptr_t)code & ~4095UL);
    NEED(mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    memcpy(code, answer, sizeof answer);
    NEED(mprotect(page, 8192, PROT_READ | PROT_EXEC) == 0);
}

static int child(void) {
    EXPECT(getppid() == syscall(SYS_getppid) && getppid() != 42);
    under_signals();
    overwrite((char *)getppid);
    EXPECT(getppid() == 42);
    return check_failures ? 1 : 0;
}

static void spawn(void) {
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "exec_again", "child", NULL);
        _exit(1);
    }
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) return child();
    for (int i = 0; i < 6; i++) spawn();
    part("children");
    // Its own code is its own as well.
    overwrite((char *)getppid);
    for (int i = 0; i < 2; i++) spawn();
    EXPECT(getppid() == 42);
    return done();
}
