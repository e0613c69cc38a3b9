// The ucontext is complete and a handler may change it: skip instructions, set registers, vectors included.
#include "check.h"

#include <signal.h>
#include <ucontext.h>

static volatile sig_atomic_t traps;
static greg_t seen[NGREG];

static void on_illegal(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *uc = context;
    memcpy(seen, uc->uc_mcontext.gregs, sizeof seen);
    traps++;
    uc->uc_mcontext.gregs[REG_RIP] += 2;
    uc->uc_mcontext.gregs[REG_RAX] = 0x1111111122222222;
    uc->uc_mcontext.gregs[REG_R15] ^= 0xff;
    // xmm3 doubles in place.
    for (int i = 0; i < 4; i++) uc->uc_mcontext.fpregs->_xmm[3].element[i] *= 2;
}

static void registers(void) {
    register uint64_t rax __asm__("rax") = 1;
    register uint64_t rbx __asm__("rbx") = 0xb;
    register uint64_t r12 __asm__("r12") = 0x12;
    register uint64_t r15 __asm__("r15") = 0x1500;
    uint32_t in[4] = {10, 20, 30, 40}, out[4];
    __asm__ volatile("movdqu (%[in]), %%xmm3\n\tud2\n\tmovdqu %%xmm3, (%[out])"
                     : "+r"(rax), "+r"(rbx), "+r"(r12), "+r"(r15)
                     : [in] "r"(in), [out] "r"(out)
                     : "xmm3", "memory");
    EXPECT(traps == 1);
    EXPECT(rax == 0x1111111122222222 && rbx == 0xb && r12 == 0x12 && r15 == 0x15ff);
    EXPECT(seen[REG_RAX] == 1 && seen[REG_RBX] == 0xb && seen[REG_R12] == 0x12 && seen[REG_R15] == 0x1500);
    printf("%u %u %u %u\n", out[0], out[1], out[2], out[3]);
}

static void flags(void) {
    // The flags survive the handler: carry set before, seen after.
    unsigned char carry;
    __asm__ volatile("stc\n\tud2\n\tsetc %0" : "=r"(carry)::"rax", "r15", "xmm3", "cc");
    EXPECT(carry == 1);
    EXPECT((seen[REG_EFL] & 1) == 1);
    EXPECT((seen[REG_CSGSFS] & 0xffff) == 0x33);
}

static volatile sig_atomic_t resumed;
static ucontext_t saved;
static void other_function(void) {
    resumed = 1;
    setcontext(&saved);
}
static char stack[65536] __attribute__((aligned(16)));

static void redirect(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *uc = context;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)other_function;
    uc->uc_mcontext.gregs[REG_RSP] = (greg_t)(stack + sizeof stack - 8);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO};
    NEED(sigaction(SIGILL, &action, NULL) == 0);
    registers();
    flags();
    part("edited");
    action.sa_sigaction = redirect;
    NEED(sigaction(SIGUSR1, &action, NULL) == 0);
    volatile int passes = 0;
    getcontext(&saved);
    if (passes++ == 0) raise(SIGUSR1);
    EXPECT(resumed == 1 && passes == 2);
    return done();
}
