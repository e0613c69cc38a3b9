// `out` and `in` are no program's to execute, whichever port they name: SIGSEGV, and the program goes on.
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

static sigjmp_buf back;
static greg_t counter, trap, error, accumulator;

static void on_fault(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    EXPECT(signal == SIGSEGV && info->si_code == SI_KERNEL && info->si_addr == NULL);
    counter = registers[REG_RIP];
    trap = registers[REG_TRAPNO];
    error = registers[REG_ERR];
    accumulator = registers[REG_RAX];
    siglongjmp(back, 1);
}

// A KVM that emulates the instruction is past it when it hears that there is a fault.
enum { LONGEST = 2 };

#define FAULT(instruction, port, value)                                                                     \
    do {                                                                                                  \
        greg_t at = 0;                                                                                    \
        counter = 0;                                                                                      \
        if (sigsetjmp(back, 1) == 0) {                                                                    \
            __asm__ volatile("lea 1f(%%rip), %%rcx\n\tmov %%rcx, %0\n1:\t" instruction                    \
                             : "=m"(at) : "a"((unsigned)(value)), "d"(port) : "rcx", "memory");           \
            EXPECT(!"no fault");                                                                          \
        }                                                                                                 \
        greg_t past = counter - *(volatile greg_t *)&at;                                                  \
        EXPECT(past >= 0 && past <= LONGEST);                                                             \
        EXPECT(trap == 13 && error == 0 && accumulator == (greg_t)(unsigned)(value));                     \
    } while (0)

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    const unsigned values[] = {0, 1, 125, 0x100, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff};
    for (unsigned short port = 0xe0; port < 0x100; port += 4) {
        for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
            FAULT("out %%eax, %%dx", port, values[i]);
            FAULT("out %%ax, %%dx", port, values[i]);
            FAULT("out %%al, %%dx", port, values[i]);
        }
        FAULT("in %%dx, %%eax", port, 0x12345678);
        FAULT("in %%dx, %%al", port, 0x12345678);
    }
    FAULT("out %%eax, $0xf4", 0, 0);
    puts("still here");
    return done();
}
