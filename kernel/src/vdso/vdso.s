# The vDSO: clocks without a system call. Mapped read-only right behind the page that `vvar` names; see mod.rs for its fields.
# Nothing here touches the stack, so the default call-frame information holds everywhere.
    .set TSC0, 0
    .set MULT, 8
    .set REALTIME0, 16
    .set PERCPU_CPU, 44             # %gs is the kernel's per-CPU block

    .set CLOCKS, 0x8f3              # REALTIME MONOTONIC _RAW REALTIME_COARSE MONOTONIC_COARSE BOOTTIME TAI
    .set REALTIME_CLOCKS, 0x821     # REALTIME REALTIME_COARSE TAI
    .set HIGHEST_CLOCK, 11
    .set SYS_clock_gettime, 228
    .set SYS_clock_getres, 229

    .hidden vvar
    .text

    .macro ENTRY name, alias
    .balign 16
    .globl \name
    .type \name, @function
    .weak \alias
    .set \alias, \name
\name:
    .cfi_startproc
    .endm

    .macro END name
    .cfi_endproc
    .size \name, . - \name
    .endm

    .macro MONOTONIC                # rax: nanoseconds of CLOCK_MONOTONIC; clobbers rcx, rdx
    lfence
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    xorl %ecx, %ecx
    subq vvar + TSC0(%rip), %rax
    cmovsq %rcx, %rax
    mulq vvar + MULT(%rip)
    shrdq $32, %rdx, %rax
    .endm

    .macro SECONDS                  # rax: nanoseconds in; rdx: seconds, rax: what is left; clobbers rcx
    movq %rax, %rcx
    shrq $9, %rax
    movabsq $0x44b82fa09b5a53, %rdx # 2^75 / (10^9 / 2^9), rounded up: exact for all of 64 bits
    mulq %rdx
    shrq $11, %rdx
    imulq $1000000000, %rdx, %rax
    subq %rax, %rcx
    movq %rcx, %rax
    .endm

    .macro SYSTEM_CALL nr           # as from a patched site: the kernel goes on at rcx
    movl $\nr, %eax
    leaq 99f(%rip), %rcx
    jmp *%gs:8
99: ret
    .endm

    # int clock_gettime(clockid_t [edi], struct timespec * [rsi])
ENTRY __vdso_clock_gettime, clock_gettime
    cmpl $HIGHEST_CLOCK, %edi
    ja 1f
    movl $CLOCKS, %eax
    btl %edi, %eax
    jnc 1f
    MONOTONIC
    movl $REALTIME_CLOCKS, %ecx
    xorl %edx, %edx
    btl %edi, %ecx
    cmovcq vvar + REALTIME0(%rip), %rdx
    addq %rdx, %rax
    SECONDS
    movq %rdx, (%rsi)
    movq %rax, 8(%rsi)
    xorl %eax, %eax
    ret
1:  SYSTEM_CALL SYS_clock_gettime
END __vdso_clock_gettime

    # int gettimeofday(struct timeval * [rdi], struct timezone * [rsi])
ENTRY __vdso_gettimeofday, gettimeofday
    testq %rdi, %rdi
    jz 1f
    MONOTONIC
    addq vvar + REALTIME0(%rip), %rax
    SECONDS
    imulq $274877907, %rax, %rax    # 2^38 / 1000, rounded up: exact below 2^30
    shrq $38, %rax
    movq %rdx, (%rdi)
    movq %rax, 8(%rdi)
1:  testq %rsi, %rsi
    jz 2f
    movq $0, (%rsi)
2:  xorl %eax, %eax
    ret
END __vdso_gettimeofday

    # time_t time(time_t * [rdi])
ENTRY __vdso_time, time
    MONOTONIC
    addq vvar + REALTIME0(%rip), %rax
    SECONDS
    movq %rdx, %rax
    testq %rdi, %rdi
    jz 1f
    movq %rax, (%rdi)
1:  ret
END __vdso_time

    # int getcpu(unsigned * [rdi], unsigned * [rsi], void *)
ENTRY __vdso_getcpu, getcpu
    movl %gs:PERCPU_CPU, %eax
    testq %rdi, %rdi
    jz 1f
    movl %eax, (%rdi)
1:  testq %rsi, %rsi
    jz 2f
    movl $0, (%rsi)
2:  xorl %eax, %eax
    ret
END __vdso_getcpu

    # int clock_getres(clockid_t [edi], struct timespec * [rsi])
ENTRY __vdso_clock_getres, clock_getres
    cmpl $HIGHEST_CLOCK, %edi
    ja 1f
    movl $CLOCKS, %eax
    btl %edi, %eax
    jnc 1f
    xorl %eax, %eax
    testq %rsi, %rsi
    jz 2f
    movq $0, (%rsi)
    movq $1, 8(%rsi)
2:  ret
1:  SYSTEM_CALL SYS_clock_getres
END __vdso_clock_getres

    # Where a handler returns to in place of the program's restorer, whose `syscall` would trap: rsp is at the ucontext.
    # Unwinders go on from there with the registers that were interrupted; they look up the byte before a return address.
    .set UC_RSP, 160
    .set SYS_rt_sigreturn, 15

    .macro FROM_UCONTEXT register, offset   # DW_CFA_expression: DW_OP_breg7 (rsp) and an offset
    .cfi_escape 0x10, \register, 3, 0x77, (\offset & 0x7f) | 0x80, \offset >> 7
    .endm

    .balign 16
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_escape 0x0f, 4, 0x77, (UC_RSP & 0x7f) | 0x80, UC_RSP >> 7, 0x06   # DW_CFA_def_cfa_expression: rsp as it was
    FROM_UCONTEXT 8, 40             # r8 to r15
    FROM_UCONTEXT 9, 48
    FROM_UCONTEXT 10, 56
    FROM_UCONTEXT 11, 64
    FROM_UCONTEXT 12, 72
    FROM_UCONTEXT 13, 80
    FROM_UCONTEXT 14, 88
    FROM_UCONTEXT 15, 96
    FROM_UCONTEXT 5, 104            # rdi
    FROM_UCONTEXT 4, 112            # rsi
    FROM_UCONTEXT 6, 120            # rbp
    FROM_UCONTEXT 3, 128            # rbx
    FROM_UCONTEXT 1, 136            # rdx
    FROM_UCONTEXT 0, 144            # rax
    FROM_UCONTEXT 2, 152            # rcx
    FROM_UCONTEXT 7, UC_RSP
    FROM_UCONTEXT 16, 168           # rip
    nop
    .globl sigreturn
    .hidden sigreturn
    .type sigreturn, @function
sigreturn:
    SYSTEM_CALL SYS_rt_sigreturn
    .cfi_endproc
    .size sigreturn, . - sigreturn

    .section .note.GNU-stack, "", @progbits
