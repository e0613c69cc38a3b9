// Vector registers, mask registers and floating-point modes survive system calls and preemption.
// Each thread fills its registers with its own pattern and keeps looking at them.
#include "check.h"

#include <pthread.h>
#include <sys/syscall.h>

enum { LANES = 32, WIDTH = 64 };
static atomic_int stop;

// Loads and stores are split into functions per width so that only what the processor has is executed.
typedef unsigned char file_of_registers[LANES][WIDTH] __attribute__((aligned(64)));

#define EACH16(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define EACH32(X) EACH16(X) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31)
#define LOAD_XMM(n) "movdqa 64*" #n "(%[in]), %%xmm" #n "\n\t"
#define SAVE_XMM(n) "movdqa %%xmm" #n ", 64*" #n "(%[out])\n\t"
#define LOAD_YMM(n) "vmovdqa 64*" #n "(%[in]), %%ymm" #n "\n\t"
#define SAVE_YMM(n) "vmovdqa %%ymm" #n ", 64*" #n "(%[out])\n\t"
#define LOAD_ZMM(n) "vmovdqa64 64*" #n "(%[in]), %%zmm" #n "\n\t"
#define SAVE_ZMM(n) "vmovdqa64 %%zmm" #n ", 64*" #n "(%[out])\n\t"
#define NAME_XMM(n) "xmm" #n,

#define DO_CALL "mov %[nr], %%eax\n\tsyscall\n\t"
// Long enough to be preempted now and then.
#define DO_WORK "mov $20000, %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\t"

#define DEFINE(name, each, load, save, middle)                                                                    \
    static __attribute__((noinline)) void name(file_of_registers in, file_of_registers out) {                     \
        __asm__ volatile(each(load) middle each(save)::[in] "r"(in), [out] "r"(out), [nr] "i"(SYS_getppid)         \
                         : EACH16(NAME_XMM) "rax", "rcx", "r11", "memory", "cc");                                 \
    }

DEFINE(xmm_call, EACH16, LOAD_XMM, SAVE_XMM, DO_CALL)
DEFINE(xmm_work, EACH16, LOAD_XMM, SAVE_XMM, DO_WORK)
DEFINE(ymm_call, EACH16, LOAD_YMM, SAVE_YMM, DO_CALL)
DEFINE(ymm_work, EACH16, LOAD_YMM, SAVE_YMM, DO_WORK)
DEFINE(zmm_call, EACH32, LOAD_ZMM, SAVE_ZMM, DO_CALL)
DEFINE(zmm_work, EACH32, LOAD_ZMM, SAVE_ZMM, DO_WORK)

static uint64_t masks_after_call(uint64_t value) {
    uint64_t after;
    __asm__ volatile("kmovq %1, %%k1\n\tkmovq %1, %%k7\n\tmov %2, %%eax\n\tsyscall\n\tkxorq %%k1, %%k7, %%k2\n\t"
                     "kortestq %%k2, %%k2\n\tkmovq %%k7, %0"
                     : "=r"(after)
                     : "r"(value), "i"(SYS_getppid)
                     : "rax", "rcx", "r11", "cc", "memory");
    return after;
}

typedef void (*exercise)(file_of_registers, file_of_registers);
static exercise by_call, by_work;
static int lanes, width;

static void *keep(void *seed) {
    file_of_registers in, out;
    for (unsigned round = 0; !atomic_load(&stop) && round < 4000; round++) {
        for (int lane = 0; lane < LANES; lane++) memset(in[lane], (int)((uintptr_t)seed * 37 + (unsigned)lane * 5 + round), WIDTH);
        exercise todo = round % 2 ? by_call : by_work;
        memset(out, 0, sizeof out);
        todo(in, out);
        for (int lane = 0; lane < lanes; lane++) NEED(memcmp(in[lane], out[lane], (size_t)width) == 0);
    }
    return NULL;
}

static void run(exercise call, exercise work, int lane_count, int lane_width) {
    by_call = call, by_work = work, lanes = lane_count, width = lane_width;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, keep, (void *)i) == 0);
    for (int i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

int main(void) {
    __builtin_cpu_init();
    run(xmm_call, xmm_work, 16, 16);
    // The output does not depend on the processor, which may differ between the compared runs.
    if (__builtin_cpu_supports("avx")) run(ymm_call, ymm_work, 16, 32);
    if (__builtin_cpu_supports("avx512bw")) {
        run(zmm_call, zmm_work, 32, 64);
        for (uint64_t i = 1; i < 1000; i++) NEED(masks_after_call(i * 0x9e3779b97f4a7c15) == i * 0x9e3779b97f4a7c15);
    }
    return done();
}
