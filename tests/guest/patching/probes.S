# void probe_NAME(struct state *out, const struct state *in, int level): fills every register from `in`, makes a
# system call at a site of one technique, and stores every register to `out`. level: 0 SSE, 1 AVX, 2 AVX-512.

.macro vectors instruction, register, load, numbers:vararg
    .irp n, \numbers
    .if \load
    \instruction 192+64*\n(%rsi), %\register\n
    .else
    \instruction %\register\n, 192+64*\n(%rcx)
    .endif
    .endr
.endm

.macro vectors_by_level level, load
    cmp $1, \level
    je .Lavx\@
    ja .Lwide\@
    vectors movdqu, xmm, \load, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    jmp .Lready\@
.Lavx\@:
    vectors vmovdqu, ymm, \load, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    jmp .Lready\@
.Lwide\@:
    vectors vmovdqu64, zmm, \load, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vectors vmovdqu64, zmm, \load, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .irp n, 1, 2, 3, 4, 5, 6, 7
    .if \load
    kmovq 128+8*\n(%rsi), %k\n
    .else
    kmovq %k\n, 128+8*\n(%rcx)
    .endif
    .endr
.Lready\@:
.endm

.macro prologue name
    .globl probe_\name, site_\name
    .type probe_\name, @function
probe_\name:
    .cfi_startproc
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    push %rdx
    vectors_by_level %edx, 1
    mov 0(%rsi), %rbx
    mov 8(%rsi), %rbp
    mov 16(%rsi), %rdi
    mov 32(%rsi), %rdx
    mov 40(%rsi), %r8
    mov 48(%rsi), %r9
    mov 56(%rsi), %r10
    mov 64(%rsi), %r12
    mov 72(%rsi), %r13
    mov 80(%rsi), %r14
    mov 88(%rsi), %r15
    mov 24(%rsi), %rsi
.endm

.macro epilogue name
    mov 8(%rsp), %rcx
    mov %rbx, 0(%rcx)
    mov %rbp, 8(%rcx)
    mov %rdi, 16(%rcx)
    mov %rsi, 24(%rcx)
    mov %rdx, 32(%rcx)
    mov %r8, 40(%rcx)
    mov %r9, 48(%rcx)
    mov %r10, 56(%rcx)
    mov %r12, 64(%rcx)
    mov %r13, 72(%rcx)
    mov %r14, 80(%rcx)
    mov %r15, 88(%rcx)
    mov %rax, 96(%rcx)
    mov (%rsp), %r11d
    vectors_by_level %r11d, 0
    pop %rdx
    pop %rdi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .cfi_endproc
    .size probe_\name, . - probe_\name
.endm

    .text
    .p2align 4
    prologue mov
    mov $39, %eax
site_mov:
    syscall
    epilogue mov

    .p2align 4
    prologue before
    mov $39, %eax
    xchg %rdi, %rsi
    xchg %rdi, %rsi
site_before:
    syscall
    epilogue before

    .p2align 4
    prologue hop
    mov $39, %eax
    jmp 1f
    .p2align 5
1:  syscall
    .set site_hop, 1b
    epilogue hop

    .p2align 4
    prologue after
    mov $39, %eax
    jmp 1f
1:  syscall
    .set site_after, 1b
    mov %rax, %r11
    mov %r11, %rax
    epilogue after

    .section .note.GNU-stack, "", @progbits
