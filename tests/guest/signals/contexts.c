// What a handler finds and may change: faults inside handlers, jumps off the alternate stack, wide vector registers, edited
// registers and masks.
#include "check.h"

#include <immintrin.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf back;
static volatile sig_atomic_t depth, inside_alternate;
static char *alternate;
enum { STACK = 1 << 16 };

static void fault_again(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    char here;
    inside_alternate = &here >= alternate && &here < alternate + STACK;
    if (++depth < 3) *(volatile int *)((uintptr_t)info->si_addr + 16) = 1;
    siglongjmp(back, depth);
}

static void faults_in_handlers(void) {
    struct sigaction action = {.sa_sigaction = fault_again, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    stack_t stack = {.ss_sp = alternate, .ss_size = STACK}, now;
    NEED(sigaltstack(&stack, NULL) == 0);
    for (int round = 0; round < 3; round++) {
        depth = 0;
        int jumped = sigsetjmp(back, 1);
        if (jumped == 0) *(volatile int *)16 = 1;
        EXPECT(jumped == 3 && inside_alternate);
        // Off the stack again by the jump: it can be used and changed.
        EXPECT(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0);
    }
}

static void on_stack(int signal) {
    (void)signal;
    stack_t now, other = {.ss_sp = alternate, .ss_size = STACK};
    EXPECT(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_ONSTACK);
    FAILS(sigaltstack(&other, NULL), EPERM);
}

static void alternate_rules(void) {
    struct sigaction action = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    stack_t small = {.ss_sp = alternate, .ss_size = 100}, odd = {.ss_sp = alternate, .ss_size = STACK, .ss_flags = 8};
    FAILS(sigaltstack(&small, NULL), ENOMEM);
    FAILS(sigaltstack(&odd, NULL), EINVAL);
    stack_t disarmed = {.ss_sp = alternate, .ss_size = STACK, .ss_flags = (int)(1u << 31)}, now;
    EXPECT(sigaltstack(&disarmed, NULL) == 0 && sigaltstack(NULL, &now) == 0 && now.ss_flags == (int)(1u << 31));
    stack_t off = {.ss_flags = SS_DISABLE};
    EXPECT(sigaltstack(&off, NULL) == 0 && sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_DISABLE);
}

static void edit(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    ucontext_t *u = context;
    u->uc_mcontext.gregs[REG_RIP] += 3;
    u->uc_mcontext.gregs[REG_RBX] = 0x1234;
    u->uc_mcontext.gregs[REG_EFL] |= 1;
    sigaddset(&u->uc_sigmask, SIGUSR2);
}

static void edited_registers(void) {
    struct sigaction action = {.sa_sigaction = edit, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    uint64_t rbx = 0;
    char carry = 0;
    // The three bytes of the load are skipped.
    __asm__ volatile("xor %%eax, %%eax\n\tclc\n\tmov (%%rax), %%rcx\n\tmov %%rbx, %0\n\tsetc %1"
                     : "=r"(rbx), "=q"(carry)
                     :
                     : "rax", "rbx", "rcx", "cc", "memory");
    sigset_t mask;
    EXPECT(rbx == 0x1234 && carry == 1);
    EXPECT(sigprocmask(SIG_SETMASK, NULL, &mask) == 0 && sigismember(&mask, SIGUSR2));
    sigemptyset(&mask), sigprocmask(SIG_SETMASK, &mask, NULL);
}

__attribute__((target("avx512f"))) static void spoil_512(void) {
    __asm__ volatile("vpxorq %%zmm17, %%zmm17, %%zmm17\n\tvpxorq %%zmm3, %%zmm3, %%zmm3\n\tkxorw %%k3, %%k3, %%k3" ::: "xmm3", "xmm17", "k3");
}

static void clobber(int signal) {
    (void)signal;
    spoil_512();
}

__attribute__((target("avx512f"))) static int wide_survives(void) {
    static const uint64_t pattern[8] __attribute__((aligned(64))) = {1, 2, 3, 4, 5, 6, 7, 8};
    static uint64_t low[8] __attribute__((aligned(64))), high[8] __attribute__((aligned(64)));
    uint32_t mask = 0;
    long pid = getpid(), result;
    __asm__ volatile("vmovdqa64 %[p], %%zmm3\n\tvmovdqa64 %[p], %%zmm17\n\tmov $0x5a5a, %%eax\n\tkmovw %%eax, %%k3\n\t"
                     "mov $62, %%eax\n\tmov %[pid], %%rdi\n\tmov $12, %%esi\n\tsyscall\n\t"
                     "vmovdqa64 %%zmm3, %[low]\n\tvmovdqa64 %%zmm17, %[high]\n\tkmovw %%k3, %[mask]"
                     : "=&a"(result), [low] "=m"(low), [high] "=m"(high), [mask] "=r"(mask)
                     : [p] "m"(pattern), [pid] "r"(pid)
                     : "rdi", "rsi", "rcx", "r11", "xmm3", "xmm17", "k3", "memory");
    return result == 0 && mask == 0x5a5a && memcmp(low, pattern, 64) == 0 && memcmp(high, pattern, 64) == 0;
}

int main(void) {
    alternate = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(alternate != MAP_FAILED);
    faults_in_handlers();
    part("faults in handlers");
    alternate_rules();
    part("alternate stack");
    edited_registers();
    part("edited registers");
    if (__builtin_cpu_supports("avx512f")) {
        signal(SIGUSR2, clobber);
        for (int i = 0; i < 100; i++) EXPECT(wide_survives());
    }
    return done();
}
