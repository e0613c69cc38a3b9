// Flags that a program sets for itself, around system calls: AC (alignment is checked) and TF (a trap after each instruction).
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>

static const unsigned long ALIGNMENT_CHECK = 1 << 18;
static volatile sig_atomic_t traps, unaligned;

static void on_trap(int sig, siginfo_t *info, void *context) {
    (void)sig, (void)info, (void)context;
    traps++;
}

// Steps over the flag, or the access would be made again.
static void on_bus(int sig, siginfo_t *info, void *context) {
    ucontext_t *at = context;
    (void)sig;
    unaligned += info->si_code == BUS_ADRALN;
    at->uc_mcontext.gregs[REG_EFL] &= ~ALIGNMENT_CHECK;
}

// A system call with AC set; flags are what it left.
static long checked_call(long number, long a, long b, long c, unsigned long *flags) {
    long result;
    __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\torq $0x40000, (%%rsp)\n\tpopfq\n\tsyscall\n\t"
                     "pushfq\n\tmovq (%%rsp), %[flags]\n\tandq $~0x40000, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp"
                     : "=a"(result), [flags] "=&r"(*flags)
                     : "a"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

// QEMU's emulation does not check alignment.
static int is_emulated(void) {
    static char text[4096];
    int file = open("/proc/cpuinfo", O_RDONLY);
    EXPECT(file >= 0 && read(file, text, sizeof text - 1) > 0);
    close(file);
    return strstr(text, "QEMU") != NULL;
}

static void alignment(void) {
    static char buffer[4096];
    unsigned long flags = 0;
    int folder = open("/proc/self", O_RDONLY | O_DIRECTORY), file = open("/proc/self/maps", O_RDONLY);
    EXPECT(folder >= 0 && file >= 0);
    for (int shift = 0; shift < 8; shift++) {
        EXPECT(checked_call(SYS_uname, (long)(buffer + shift), 0, 0, &flags) == 0);
        EXPECT((flags & ALIGNMENT_CHECK) != 0);
        EXPECT(checked_call(SYS_getdents64, folder, (long)(buffer + 8 * shift), 512 + shift, &flags) >= 0);
        EXPECT(checked_call(SYS_read, file, (long)(buffer + shift), 101 + shift, &flags) > 0);
        EXPECT(checked_call(SYS_readlink, (long)"/proc/self/exe", (long)(buffer + shift), 1000, &flags) > 0);
        EXPECT((flags & ALIGNMENT_CHECK) != 0);
    }
    __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\torq $0x40000, (%%rsp)\n\tpopfq\n\tmovq 1(%0), %%rax\n\taddq $128, %%rsp"
                     :
                     : "r"(buffer)
                     : "rax", "memory", "cc");
    EXPECT(unaligned == 1 || is_emulated());
    part("alignment");
}

static void stepping(void) {
    long pid;
    __asm__ volatile("subq $128, %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tmovl $39, %%eax\n\tsyscall\n\t"
                     "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\taddq $128, %%rsp"
                     : "=a"(pid)
                     :
                     : "rcx", "r11", "memory", "cc");
    EXPECT(pid == getpid());
    EXPECT(traps > 0);
    part("stepping");
}

int main(void) {
    struct sigaction act = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    EXPECT(sigaction(SIGBUS, &act, NULL) == 0);
    act.sa_sigaction = on_trap;
    EXPECT(sigaction(SIGTRAP, &act, NULL) == 0);
    alignment();
    stepping();
    return done();
}
