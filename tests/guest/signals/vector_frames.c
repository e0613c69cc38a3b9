// A signal frame holds the whole vector state: handlers may use all registers, and what they write into the frame counts.
#include "check.h"

#include <cpuid.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>

enum { XCR0_OPMASK_ZMM = 0xe0, MAGIC1 = 0x46505853, MAGIC2 = 0x46505845 };
static volatile sig_atomic_t handled;

static uint64_t enabled_state(void) {
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE)) return 3;
    __asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return eax | (uint64_t)edx << 32;
}

// The handler leaves nothing of the interrupted registers.
static void clobber_xmm(int signal) {
    (void)signal;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\tmovdqa %%xmm0, %%xmm7\n\tmovdqa %%xmm0, %%xmm15" ::: "xmm0", "xmm7", "xmm15");
    handled++;
}

__attribute__((target("avx512f"))) static void clobber_zmm(int signal) {
    (void)signal;
    __asm__ volatile("vpternlogd $255, %%zmm0, %%zmm0, %%zmm0\n\tvmovdqa64 %%zmm0, %%zmm7\n\tvmovdqa64 %%zmm0, %%zmm31\n\t"
                     "kxnorw %%k1, %%k1, %%k1" ::: "xmm0", "xmm7", "memory");
    handled++;
}

// Spins until a signal was handled, with a pattern in the registers; true if it is still there.
static int keeps_xmm(uint64_t pattern) {
    uint64_t in[2] = {pattern, ~pattern}, out0[2], out15[2];
    int before = handled;
    __asm__ volatile("movdqu %[in], %%xmm0\n\tmovdqu %[in], %%xmm15\n"
                     "1:\tpause\n\tcmp %[before], %[handled]\n\tje 1b\n\t"
                     "movdqu %%xmm0, %[out0]\n\tmovdqu %%xmm15, %[out15]"
                     : [out0] "=m"(out0), [out15] "=m"(out15)
                     : [in] "m"(in), [before] "r"(before), [handled] "m"(handled)
                     : "xmm0", "xmm15", "memory", "cc");
    return memcmp(in, out0, 16) == 0 && memcmp(in, out15, 16) == 0;
}

__attribute__((target("avx512f"))) static int keeps_zmm(uint64_t pattern) {
    uint64_t in[8], out7[8], out31[8];
    uint16_t mask = 0;
    for (int i = 0; i < 8; i++) in[i] = pattern * (uint64_t)(i + 1);
    int before = handled;
    __asm__ volatile("vmovdqu64 %[in], %%zmm7\n\tvmovdqu64 %[in], %%zmm31\n\tmov $0x5a5a, %%eax\n\tkmovw %%eax, %%k1\n"
                     "1:\tpause\n\tcmp %[before], %[handled]\n\tje 1b\n\t"
                     "vmovdqu64 %%zmm7, %[out7]\n\tvmovdqu64 %%zmm31, %[out31]\n\tkmovw %%k1, %%eax\n\tmov %%ax, %[mask]"
                     : [out7] "=m"(out7), [out31] "=m"(out31), [mask] "=m"(mask)
                     : [in] "m"(in), [before] "r"(before), [handled] "m"(handled)
                     : "xmm7", "rax", "memory", "cc");
    return memcmp(in, out7, 64) == 0 && memcmp(in, out31, 64) == 0 && mask == 0x5a5a;
}

static void every_ms(int ms) {
    struct itimerval timer = {.it_value = {0, ms * 1000}, .it_interval = {0, ms * 1000}};
    NEED(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

// Writes into the frame: xmm3 of the interrupted code, and the next instruction.
static void edit(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)info;
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
    machine->gregs[REG_RIP] += 2;
    memset(machine->fpregs->_xmm[3].element, 0xab, 16);
    const uint32_t *software = (const uint32_t *)((const char *)machine->fpregs + 464);
    // With extended state the frame says how large it is, and ends with a second mark.
    EXPECT(software[0] == MAGIC1);
    uint64_t kept = 0;
    memcpy(&kept, software + 2, sizeof kept);
    EXPECT((kept & 3) == 3 && (kept & ~enabled_state()) == 0);
    uint32_t end = 0;
    memcpy(&end, (const char *)machine->fpregs + software[1] - 4, 4);
    EXPECT(end == MAGIC2);
}

static void editing(void) {
    struct sigaction action = {.sa_sigaction = edit, .sa_flags = SA_SIGINFO};
    NEED(sigaction(SIGILL, &action, NULL) == 0);
    uint64_t out[2] = {0};
    __asm__ volatile("pxor %%xmm3, %%xmm3\n\tud2\n\tmovdqu %%xmm3, %[out]" : [out] "=m"(out)::"xmm3");
    EXPECT(out[0] == 0xabababababababab && out[1] == out[0]);
}

int main(void) {
    signal(SIGALRM, clobber_xmm);
    every_ms(1);
    for (uint64_t i = 1; i <= 20; i++) EXPECT(keeps_xmm(i * 0x0123456789abcdef));
    part("xmm");
    if ((enabled_state() & XCR0_OPMASK_ZMM) == XCR0_OPMASK_ZMM) {
        signal(SIGALRM, clobber_zmm);
        for (uint64_t i = 1; i <= 20; i++) EXPECT(keeps_zmm(i * 0x0123456789abcdef));
    }
    part("zmm, where there are any");
    every_ms(0);
    editing();
    return done();
}
