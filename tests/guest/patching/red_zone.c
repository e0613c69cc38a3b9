// A leaf function may keep data in the 128 bytes below its stack pointer across a system call,
// and may even have the kernel write there.
#include "check.h"

// Each function fills the red zone with a pattern, makes the call, and returns how many of the 16 words changed.
#define RED_ZONE(name, section, load, after)                                                            \
    long name(void);                                                                                    \
    __asm__(section "\n.globl " #name "\n.type " #name ", @function\n" #name ":\n.cfi_startproc\n"      \
            "    mov $16, %ecx\n"                                                                       \
            "1:  mov %rcx, %rdx\n    neg %rdx\n    mov %rcx, (%rsp,%rdx,8)\n    dec %ecx\n    jnz 1b\n"  \
            "    xor %edi, %edi\n" load "\n"                                                            \
            "site_" #name ": syscall\n" after "\n"                                                      \
            "    mov $16, %ecx\n    xor %eax, %eax\n"                                                   \
            "1:  mov %rcx, %rdx\n    neg %rdx\n    cmp %rcx, (%rsp,%rdx,8)\n    je 2f\n    inc %eax\n"   \
            "2:  dec %ecx\n    jnz 1b\n    ret\n"                                                       \
            ".cfi_endproc\n.size " #name ", . - " #name "\n.p2align 6\n.text\n")

RED_ZONE(by_mov, ".text", "mov $24, %eax", "");
RED_ZONE(by_before, ".text", "mov $24, %eax\n    mov 8(%rsp), %r9", "");
// Padding follows: a short jump reaches it.
RED_ZONE(by_hop, ".text", "mov $24, %eax\n    jne 3f\n3:", "");
// No padding is near.
RED_ZONE(by_after, ".section .text.packed,\"ax\",@progbits", ".rept 130\n    cltq\n    .endr\n    mov $24, %eax\n    jne 3f\n3:",
         "test %eax, %eax\n    mov %eax, %esi\n    .rept 130\n    cltq\n    .endr\n");

// clock_gettime(CLOCK_MONOTONIC, red zone): returns the nanoseconds that the kernel wrote, or -1.
long out_parameter(void);
__asm__(
    ".text\n.globl out_parameter\n.type out_parameter, @function\nout_parameter:\n.cfi_startproc\n"
    "    movq $-1, -48(%rsp)\n    movq $-1, -40(%rsp)\n"
    "    mov $1, %edi\n    lea -48(%rsp), %rsi\n    mov $228, %eax\n    syscall\n"
    "    mov -40(%rsp), %rax\n    ret\n"
    ".cfi_endproc\n.size out_parameter, . - out_parameter\n");

int main(void) {
    for (int i = 0; i < 1000; i++) {
        EXPECT(by_mov() == 0);
        EXPECT(by_before() == 0);
        EXPECT(by_hop() == 0);
        EXPECT(by_after() == 0);
        long nanoseconds = out_parameter();
        EXPECT(nanoseconds >= 0 && nanoseconds < 1000000000);
    }
    return done();
}
