# Ring 3: the ways into the kernel and out of it. See ARCHITECTURE.md, "Ring 0 and ring 3".
#
# Kernel stack of a thread, from its top down: the Frame (21 words, as `task::frame::Frame`), 8 bytes of padding, xmm0-15.
    .set FRAME, 168
    .set XMM, 264

    .macro SAVE_REGISTERS           # orig_rax has been pushed
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $XMM, %rsp
    movaps %xmm0, (%rsp)
    movaps %xmm1, 16(%rsp)
    movaps %xmm2, 32(%rsp)
    movaps %xmm3, 48(%rsp)
    movaps %xmm4, 64(%rsp)
    movaps %xmm5, 80(%rsp)
    movaps %xmm6, 96(%rsp)
    movaps %xmm7, 112(%rsp)
    movaps %xmm8, 128(%rsp)
    movaps %xmm9, 144(%rsp)
    movaps %xmm10, 160(%rsp)
    movaps %xmm11, 176(%rsp)
    movaps %xmm12, 192(%rsp)
    movaps %xmm13, 208(%rsp)
    movaps %xmm14, 224(%rsp)
    movaps %xmm15, 240(%rsp)
    cld
    .endm

    .macro FROM_PROGRAM back, orig_rax      # a jump of the program's: to the thread's kernel stack, rdi: the frame
    movq %rsp, %gs:{USER_RSP}
    movq %gs:{KSTACK_TOP}, %rsp
    pushq $0x2b
    pushq %gs:{USER_RSP}
    pushfq
    pushq $0x33
    pushq \back
    pushq \orig_rax
    SAVE_REGISTERS
    leaq XMM(%rsp), %rdi
    .endm

    .macro RESTORE_XMM
    movaps (%rsp), %xmm0
    movaps 16(%rsp), %xmm1
    movaps 32(%rsp), %xmm2
    movaps 48(%rsp), %xmm3
    movaps 64(%rsp), %xmm4
    movaps 80(%rsp), %xmm5
    movaps 96(%rsp), %xmm6
    movaps 112(%rsp), %xmm7
    movaps 128(%rsp), %xmm8
    movaps 144(%rsp), %xmm9
    movaps 160(%rsp), %xmm10
    movaps 176(%rsp), %xmm11
    movaps 192(%rsp), %xmm12
    movaps 208(%rsp), %xmm13
    movaps 224(%rsp), %xmm14
    movaps 240(%rsp), %xmm15
    .endm

    .macro RESTORE_REGISTERS        # from the xmm area up to and with orig_rax: leaves rsp at RIP
    RESTORE_XMM
    addq $XMM, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    leaq 8(%rsp), %rsp
    .endm

    .section .text.entry, "ax"
    .balign 64
    .globl trap_entry
trap_entry:                         # from gate_lstar
    movq %gs:{TRAP_RIP}, %rcx
    .globl syscall_entry
syscall_entry:                      # rax: number, rcx: where to go on; everything else is the program's
    FROM_PROGRAM %rcx, %rax
    call *SYSCALL_HANDLER(%rip)     # (frame); the result is left in the frame; see `trace`
    RESTORE_XMM
    addq $XMM, %rsp
    movq 48(%rsp), %r11             # rbx, rbp and r12-r15 are as they were: the Rust ABI keeps them
    movq 56(%rsp), %r10
    movq 64(%rsp), %r9
    movq 72(%rsp), %r8
    movq 96(%rsp), %rdx
    movq 104(%rsp), %rsi
    movq 112(%rsp), %rdi
    testl $0x244d00, 144(%rsp)      # TF, DF, OF, NT, AC, ID: seldom set, and only popfq restores them
    jnz 2f
    movb 144(%rsp), %ah             # the others are cheaper by sahf; the test has cleared OF
    sahf
    movq 80(%rsp), %rax
    .globl exit_jump
exit_jump:                          # restartable: an interrupt in here begins it again; nothing in it changes the flags
    movl %gs:{PENDING}, %ecx
    jrcxz 1f
    jmp exit_slow
1:  movq %gs:{KSTACK_TOP}, %rcx
    movq -16(%rcx), %rsp
    movq -40(%rcx), %rcx
    jmp *%rcx
    .globl exit_jump_end
exit_jump_end:

2:  movq 80(%rsp), %rax
    pushq 144(%rsp)
    popfq
    jmp exit_jump

exit_slow:                          # the frame is still whole below the top of the stack
    movq %gs:{KSTACK_TOP}, %rcx
    leaq -(FRAME + XMM)(%rcx), %rsp
    .globl return_to_program
return_to_program:                  # rsp: at the xmm area; handles what is pending, then restores everything
    leaq XMM(%rsp), %rdi
    call before_return              # (frame)
return_frame:
    RESTORE_REGISTERS
    .globl exit_iret
exit_iret:                          # restartable
    cmpl $0, %gs:{PENDING}
    jne 1f
    iretq
    .globl exit_iret_end
exit_iret_end:
1:  pushq $-1
    SAVE_REGISTERS
    jmp return_to_program

    .balign 16
    .globl cpuid_entry
cpuid_entry:                        # eax, ecx: as for the instruction, rdx: where to go on; everything else is the program's
    FROM_PROGRAM %rdx, $-1
    call cpuid_from_ring3           # (frame)
    jmp return_to_program           # by iretq, which serialises as cpuid does

    .balign 16
    .globl irq_entry
irq_entry:                          # from gate_interrupt: the program was interrupted
    movq %gs:{KSTACK_TOP}, %rsp
    pushq %gs:{IRQ_FRAME} + 32
    pushq %gs:{IRQ_FRAME} + 24
    pushq %gs:{IRQ_FRAME} + 16
    pushq %gs:{IRQ_FRAME} + 8
    pushq %gs:{IRQ_FRAME}
    pushq $-1
    SAVE_REGISTERS
    jmp return_to_program

    .balign 16
    .globl exc_entry
exc_entry:                          # from gate_exception: the hardware frame is on the exception stack in the per-CPU block
    movq %gs:{EXC_TOP} - 16, %rsp
    cmpl $0x6600, %gs:{EXC_TOP} - 36
    je 1f
    movq %gs:{KSTACK_TOP}, %rsp
    jmp 2f
1:  subq %gs:{CR2}, %rsp            # in the kernel: if the fault lies just below its stack, the stack is what overflowed,
    cmpq $8192, %rsp                # and the report needs another one
    jb 3f
    addq %gs:{CR2}, %rsp
    subq $128, %rsp                 # spare the red zone
    andq $-16, %rsp
    jmp 2f
3:  leaq boot_stack_top(%rip), %rsp
2:  pushq %gs:{EXC_TOP} - 8
    pushq %gs:{EXC_TOP} - 16
    pushq %gs:{EXC_TOP} - 24
    pushq %gs:{EXC_TOP} - 32
    pushq %gs:{EXC_TOP} - 40
    pushq $-1
    SAVE_REGISTERS
    leaq XMM(%rsp), %rdi
    movq %gs:{EXC_TOP} - 56, %rsi
    movq %gs:{EXC_TOP} - 48, %rdx
    movq %gs:{CR2}, %rcx
    call exception                  # (frame, vector, error code, cr2)
    cmpl $0x6600, FRAME - 36 + XMM(%rsp)
    jne return_to_program
    RESTORE_REGISTERS
    iretq

    # void context_switch(save: *mut *mut u8 [rdi], to: *mut u8 [rsi]): saves the callee-saved registers on the stack.
    .balign 16
    .globl context_switch
context_switch:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

    # First run of a new thread: r12 = frame is ready on this stack; finish the switch, then leave for the program.
    .globl thread_start
thread_start:
    call thread_started
    jmp return_to_program

    .balign 16
    .globl gate_call
gate_call:                          # u64 gate_call(arg0 rdi, arg1 rsi, service edx)
    movl %edx, %eax
    .globl gate_ud2
gate_ud2:
    ud2
    ret

    # bool copy_user(dst rdi, src rsi, len rdx): 1 if all was copied, 0 after a fault (see `mm::user`).
    .balign 16
    .globl copy_user
copy_user:
    movq %rdx, %rcx
    rep movsb
    movl $1, %eax
    ret

    # bool load_user(address rdi, value rsi)
    .balign 16
    .globl load_user
load_user:
    movl (%rdi), %eax
    movl %eax, (%rsi)
    movl $1, %eax
    ret

    # bool exchange_user(address rdi, expected esi, new edx, old rcx): compares and exchanges; `old` gets what was there.
    .balign 16
    .globl exchange_user
exchange_user:
    movl %esi, %eax
    lock cmpxchgl %edx, (%rdi)
    movl %eax, (%rcx)
    movl $1, %eax
    ret
    .globl copy_user_end
copy_user_end:
    .globl copy_user_fault
copy_user_fault:                    # a fault inside these three that has no answer resumes here
    xorl %eax, %eax
    ret
    .text
