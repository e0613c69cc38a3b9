// A system call changes rax, rcx and r11 only; flags come back; six arguments arrive; errors are -errno.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct registers { uint64_t rbx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15; };

static __attribute__((noinline, naked)) long call_with(struct registers *all, long nr) {
    (void)all, (void)nr;
    __asm__("push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rdi\n\t"
            "mov %rsi, %rax; mov %rdi, %r11\n\t"
            "mov 0(%r11), %rbx; mov 8(%r11), %rdx; mov 16(%r11), %rsi; mov 24(%r11), %rdi; mov 32(%r11), %rbp\n\t"
            "mov 40(%r11), %r8; mov 48(%r11), %r9; mov 56(%r11), %r10; mov 64(%r11), %r12; mov 72(%r11), %r13\n\t"
            "mov 80(%r11), %r14; mov 88(%r11), %r15\n\t"
            "syscall\n\t"
            "pop %r11\n\t"
            "mov %rbx, 0(%r11); mov %rdx, 8(%r11); mov %rsi, 16(%r11); mov %rdi, 24(%r11); mov %rbp, 32(%r11)\n\t"
            "mov %r8, 40(%r11); mov %r9, 48(%r11); mov %r10, 56(%r11); mov %r12, 64(%r11); mov %r13, 72(%r11)\n\t"
            "mov %r14, 80(%r11); mov %r15, 88(%r11)\n\t"
            "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n\t"
            "ret");
}

static void unchanged(long nr, long expected) {
    struct registers before = {0xb, 0xd, 0x51, -1, 0xb9, 8, 9, 10, 12, 13, 14, 15}, after = before;
    long result = call_with(&after, nr);
    EXPECT(memcmp(&before, &after, sizeof before) == 0);
    if (expected != 0) EXPECT(result == expected);
}

static void flags(void) {
    uint64_t out;
    // Direction stays clear, carry and overflow come back as they were.
    __asm__ volatile("mov $0x7fffffff, %%eax\n\tadd $1, %%eax\n\tstc\n\tmov %1, %%eax\n\tsyscall\n\tpushfq\n\tpop %0"
                     : "=r"(out) : "i"(SYS_getppid) : "rax", "rcx", "r11", "cc", "memory");
    EXPECT((out & 1) == 1 && (out & (1 << 10)) == 0 && (out & (1 << 9)) != 0);
}

static void six_arguments(void) {
    enter_scratch();
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    NEED(fd >= 0 && ftruncate(fd, 3 * 4096) == 0 && pwrite(fd, "third", 5, 8192) == 5);
    struct registers r = {.rdi = 0, .rsi = 4096, .rdx = PROT_READ, .r10 = MAP_PRIVATE, .r8 = (uint64_t)fd, .r9 = 8192};
    long at = call_with(&r, SYS_mmap);
    EXPECT(at > 0 && memcmp((void *)at, "third", 5) == 0);
}

int main(void) {
    unchanged(SYS_getppid, 0);
    unchanged(SYS_read, -EBADF);
    unchanged(SYS_close, -EBADF);
    unchanged(SYS_sched_yield, 0);
    unchanged(999, -ENOSYS);
    part("unchanged");
    flags();
    six_arguments();
    return done();
}
