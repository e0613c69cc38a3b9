// Faults become signals with the right code and address: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP.
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static siginfo_t seen;
static uintptr_t counter;
static long trap, error;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal;
    seen = *info;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    counter = (uintptr_t)registers[REG_RIP];
    trap = registers[REG_TRAPNO];
    error = registers[REG_ERR];
    siglongjmp(back, 1);
}

#define FAULT(statement)                      \
    do {                                      \
        memset(&seen, 0, sizeof seen);        \
        if (sigsetjmp(back, 1) == 0) {        \
            statement;                        \
            EXPECT(!"no fault");              \
        }                                     \
    } while (0)

static void show(const char *name) {
    printf("%s: signal %d code %d trap %ld error %ld\n", name, seen.si_signo, seen.si_code, trap, error);
}

extern char illegal_at[], divide_at[];

int main(void) {
    enter_scratch();
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) NEED(sigaction(signals[i], &action, NULL) == 0);

    volatile char *bad = (volatile char *)0x1234;
    FAULT((void)*bad);
    show("read of nothing");
    EXPECT(seen.si_addr == bad);
    FAULT(*bad = 1);
    show("write to nothing");
    volatile char *read_only = (volatile char *)(uintptr_t)"text";
    FAULT(*read_only = 1);
    show("write to read-only");
    EXPECT(seen.si_addr == read_only);
    FAULT((void)*(volatile char *)0x8000000000000000ul);
    show("non-canonical");
    EXPECT(seen.si_addr == NULL);
    FAULT(((void (*)(void))0x5678)());
    show("jump to nothing");
    EXPECT(seen.si_addr == (void *)0x5678 && counter == 0x5678);

    FAULT(__asm__ volatile("divide_at: divl %%ecx" ::"a"(1), "d"(0), "c"(0)));
    show("divide by zero");
    EXPECT(seen.si_addr == divide_at && counter == (uintptr_t)divide_at);
    FAULT(__asm__ volatile("illegal_at: ud2"));
    show("ud2");
    EXPECT(seen.si_addr == illegal_at && counter == (uintptr_t)illegal_at);
    FAULT(__asm__ volatile("hlt"));
    show("privileged");
    FAULT(__asm__ volatile("int3"));
    show("int3");

    // An SSE exception that is unmasked.
    FAULT({
        unsigned mxcsr = 0x1f80 & ~(1u << 9);
        __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
        volatile double zero = 0;
        zero = 1 / zero;
    });
    show("SSE divide by zero");
    unsigned mxcsr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));

    int fd = open("empty", O_CREAT | O_RDWR, 0644);
    char *mapped = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    FAULT((void)*(volatile char *)mapped);
    show("beyond a file");
    EXPECT(seen.si_addr == mapped);
    return done();
}
