// A thread made by a bare clone at a site of each technique: the child returns from the call on a stack of its own,
// with every register but rax, rcx and r11 as its parent had it.
#include "sites.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>

enum { STACK = 64 * 1024 };
static const long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                          CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
static volatile int child_ran;

// The child comes back with `stack` as its stack pointer; there lies the return address into child_start.
void child_start(void);
__asm__(
    ".text\n.globl child_start\n.type child_start, @function\nchild_start:\n.cfi_startproc\n.cfi_undefined rip\n"
    "    test %rax, %rax\n    jne 1f\n"
    "    movl $1, child_ran(%rip)\n"
    "    xor %edi, %edi\n    mov $60, %eax\n    syscall\n"
    "1:  ud2\n"
    ".cfi_endproc\n.size child_start, . - child_start\n");

int main(void) {
    char *memory = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    for (int i = 1; i < SITES; i++) {
        static _Atomic int tid;
        void **stack = (void **)(memory + STACK - 64);
        part(sites[i].name);
        *stack = child_start;
        child_ran = 0;
        atomic_store(&tid, -1);
        // Kernel order: flags, stack, parent_tid, child_tid.
        EXPECT(sites[i].call(SYS_clone, flags, (long)stack, 0, (long)&tid) > 0);
        for (int value; (value = atomic_load(&tid)) != 0;)
            syscall(SYS_futex, &tid, FUTEX_WAIT, value, NULL, NULL, 0);
        EXPECT(child_ran == 1);
    }
    return done();
}
