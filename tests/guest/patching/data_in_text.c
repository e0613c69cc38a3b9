// Constants among code whose bytes read as `mov $39,%eax; syscall; ret` stay what they are.
#include "check.h"

extern const unsigned char table[], table_end[], inner_table[];
long sum_inner(void);

__asm__(
    ".text\n.p2align 4\n.globl table, table_end\ntable:\n"
    "    .byte 0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3\n"
    "    .byte 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x0f, 0x05\n"
    "    .byte 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90\n"
    "    .byte 0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0, 0xf0\n"
    "table_end:\n"
    ".globl sum_inner\n.type sum_inner, @function\nsum_inner:\n.cfi_startproc\n"
    "    mov inner_table(%rip), %rax\n    ret\n"
    ".cfi_endproc\n.size sum_inner, . - sum_inner\n"
    ".globl inner_table\n.p2align 3\ninner_table:\n    .byte 0xb8, 1, 0, 0, 0, 0x0f, 0x05, 0xc3\n");

int main(void) {
    static const unsigned char expected[] = {
        0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x0f, 0x05,
        0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0, 0xf0,
    };
    NEED(table_end - table == sizeof expected);
    EXPECT(memcmp(table, expected, sizeof expected) == 0);
    EXPECT(sum_inner() == (long)0xc3050f00000001b8);
    return done();
}
