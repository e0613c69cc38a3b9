// Jumping straight to the two bytes of a `syscall`, past the instructions that a patch moved.
#include "sites.h"

long jump_direct(long number);
long jump_computed(long number, const void *site);
extern char site_direct[], site_bytes[];

__asm__(
    ".text\n.globl jump_direct, site_direct\n.type jump_direct, @function\n"
    "jump_direct:\n.cfi_startproc\n"
    "    test %rdi, %rdi\n"
    "    mov %rdi, %rax\n"
    "    jns site_direct\n"
    "    neg %rdi\n"
    "    mov $39, %eax\n"
    "site_direct: syscall\n"
    "    ret\n"
    ".cfi_endproc\n.size jump_direct, . - jump_direct\n"
    ".globl jump_computed\n.type jump_computed, @function\n"
    "jump_computed:\n.cfi_startproc\n"
    "    mov %rdi, %rax\n"
    "    jmp *%rsi\n"
    ".cfi_endproc\n.size jump_computed, . - jump_computed\n");

int main(void) {
    part("a jump that the analysis sees");
    EXPECT(jump_direct(-1) == getpid());
    EXPECT(jump_direct(SYS_getppid) == getppid());
    EXPECT(jump_direct(-1) == getpid());
    part("jumps that it cannot see");
    // But where the jump of the patch ends in the site: nobody jumps to one that nothing mentions.
    for (int i = 0; i < SITES; i++)
        if (sites[i].before == 0) EXPECT(jump_computed(SYS_getppid, sites[i].address) == getppid());
    EXPECT(jump_computed(SYS_getppid, site_direct) == getppid());
    return done();
}
