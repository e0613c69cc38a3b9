# void cpuid_NAME(const struct question *in, struct answer *out): asks `cpuid` at a site of one technique, and stores what it
# leaves in the registers, the flags and below the stack pointer.

.macro prologue name
    .globl cpuid_\name, site_cpuid_\name
    .type cpuid_\name, @function
cpuid_\name:
    .cfi_startproc
    push %rbx
    push %r12
    push %r13
    mov %rsi, %r12
    mov %rdi, %r13
    mov 16(%rdi), %r11
    mov %r11, -8(%rsp)
    mov %r11, -128(%rsp)
    mov $-1, %rbx               # the upper halves become zero
    mov $-1, %rdx
    push 24(%rdi)
    popfq
    mov %r11, -8(%rsp)
    mov 0(%rdi), %rax
    mov 8(%rdi), %rcx
.endm

.macro epilogue name
    mov %rax, 0(%r12)
    mov %rbx, 8(%r12)
    mov %rcx, 16(%r12)
    mov %rdx, 24(%r12)
    mov %r11, 32(%r12)
    mov -8(%rsp), %rax
    mov %rax, 40(%r12)
    mov -128(%rsp), %rax
    mov %rax, 48(%r12)
    pushfq
    pop 56(%r12)
    mov %rdi, 64(%r12)
    movdqu %xmm5, 72(%r12)
    cld
    pop %r13
    pop %r12
    pop %rbx
    ret
    .cfi_endproc
    .size cpuid_\name, . - cpuid_\name
.endm

    .text
    .p2align 4
    prologue mov
    mov $7, %eax
site_cpuid_mov:
    cpuid
    epilogue mov

    .p2align 4
    prologue before
    mov 0(%r13), %rax
    mov 8(%r13), %rcx
site_cpuid_before:
    cpuid
    epilogue before

    .p2align 4
    prologue hop
    jmp 1f
    .p2align 5
1:  cpuid
    .set site_cpuid_hop, 1b
    epilogue hop

    .p2align 4
    prologue after
    .rept 50                    # no padding near
    mov %rdi, %rdi
    .endr
    jmp 1f
1:  cpuid
    .set site_cpuid_after, 1b
    mov %rdx, %r9
    mov %r9, %rdx
    .rept 50
    mov %rdi, %rdi
    .endr
    epilogue after

    .section .note.GNU-stack, "", @progbits
