// Restartable sequences with the area that the C library has registered: the CPU's number, critical sections that a signal
// or another thread's turn aborts, what is wrong with a description.
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

static struct rseq *area(void) { return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset); }

// Counts up to `limit` in a critical section: 1 if it came to its end, 0 if it was aborted.
static int section(struct rseq *rseq, volatile uint64_t *count, uint64_t limit) {
    int whole;
    __asm__ volatile(
        ".pushsection .data.rseq, \"aw\"\n"
        ".balign 32\n"
        "1: .long 0, 0\n"
        ".quad 2f, 3f - 2f, 5f\n"
        ".popsection\n"
        "lea 1b(%%rip), %%rax\n"
        "mov %%rax, %[cs]\n"
        "2: incq %[count]\n"
        "mov %[count], %%rax\n"
        "cmp %[limit], %%rax\n"
        "jb 2b\n"
        "3: movl $1, %[whole]\n"
        "jmp 6f\n"
        ".byte 0x0f, 0xb9, 0x3d\n"
        ".long 0x53053053\n"
        "5: movl $0, %[whole]\n"
        "6:\n"
        : [whole] "=&r"(whole), [cs] "+m"(rseq->rseq_cs), [count] "+m"(*count)
        : [limit] "r"(limit)
        : "rax", "memory", "cc");
    return whole;
}

static volatile int handled;
static void *volatile seen_cs;

static void on_signal(int sig) {
    (void)sig;
    handled++;
    // The abort came before the handler.
    seen_cs = (void *)(uintptr_t)area()->rseq_cs;
}

static void by_signal(void) {
    volatile uint64_t count = 0;
    EXPECT(section(area(), &count, 1000) == 1 && count == 1000);
    signal(SIGALRM, on_signal);
    struct itimerval soon = {{0, 0}, {0, 20000}};
    NEED(setitimer(ITIMER_REAL, &soon, NULL) == 0);
    count = 0;
    int aborts = 0;
    while (!handled) aborts += section(area(), &count, UINT64_MAX) == 0;
    EXPECT(handled == 1 && aborts >= 1 && count > 0 && seen_cs == NULL && area()->rseq_cs == 0);
    part("signal");
}

static atomic_int stop;

static void *spin(void *unused) {
    while (!stop) {}
    return unused;
}

// Two threads on one CPU take turns.
static void by_turns(void) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    NEED(sched_setaffinity(0, sizeof one, &one) == 0);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, spin, NULL) == 0);
    volatile uint64_t count = 0;
    for (int aborts = 0; aborts < 3;) aborts += section(area(), &count, UINT64_MAX) == 0;
    stop = 1;
    pthread_join(thread, NULL);
    part("turns");
}

static void numbers(void) {
    struct rseq *rseq = area();
    EXPECT(__rseq_size >= 20 && rseq->cpu_id == (unsigned)sched_getcpu() && rseq->cpu_id_start == rseq->cpu_id);
    cpu_set_t all;
    NEED(sched_getaffinity(0, sizeof all, &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        EXPECT(sched_setaffinity(0, sizeof one, &one) == 0 && rseq->cpu_id == (unsigned)cpu);
    }
    NEED(sched_setaffinity(0, sizeof all, &all) == 0);
    part("numbers");
}

static void registration(void) {
    FAILS(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG), EBUSY);
    FAILS(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG + 1), EPERM);
    FAILS(syscall(SYS_rseq, (char *)area() + 32, 32, 0, RSEQ_SIG), EINVAL);
    FAILS(syscall(SYS_rseq, area(), 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG + 1), EPERM);
    FAILS(syscall(SYS_rseq, area(), 32, 4, RSEQ_SIG), EINVAL);
    EXPECT(syscall(SYS_rseq, area(), 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0);
    EXPECT(area()->cpu_id == (unsigned)RSEQ_CPU_ID_UNINITIALIZED);
    FAILS(syscall(SYS_rseq, area(), 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG), EINVAL);
    EXPECT(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG) == 0 && area()->cpu_id == (unsigned)sched_getcpu());
    part("registration");
}

// A child has its parent's registration; a section that cannot be ends it.
static void children(void) {
    static _Alignas(32) struct { uint32_t version, flags; uint64_t start, length, abort; } broken;
    pid_t pid = fork();
    if (pid == 0) {
        if (area()->cpu_id != (unsigned)sched_getcpu()) _exit(1);
        FAILS(syscall(SYS_rseq, area(), 32, 0, RSEQ_SIG), EBUSY);
        signal(SIGUSR1, on_signal);
        // It reaches beyond all programs.
        broken.start = (uintptr_t)&children & ~0xfffffULL, broken.length = 1ULL << 46;
        broken.abort = (uintptr_t)&stop;
        area()->rseq_cs = (uintptr_t)&broken;
        raise(SIGUSR1);
        _exit(2);
    }
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    part("children");
}

int main(void) {
    NEED(__rseq_size > 0);
    numbers();
    by_signal();
    by_turns();
    registration();
    children();
    return done();
}
