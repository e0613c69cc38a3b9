# The gate: everything that runs in ring 0 after boot. Integer instructions only (an emulator may execute them), no stack
# but its own, under 40 instructions on any path. Ring-3 addresses that it knows: exc_entry, irq_entry, syscall_entry.
#
# GS base points at the per-CPU block in both rings. Exceptions use the stack in the block (RSP0), so ring 3 reads the
# hardware frame from there; interrupts use another one (IST 1) and copy what they deliver.
    .section .gate.text, "ax"
    .code64

    .macro EXC vector, has_error
    .balign 16
    .if \has_error == 0
    pushq $0
    .endif
    pushq $\vector
    jmp gate_exception
    .endm

    .balign 16
    .globl gate_vectors
gate_vectors:                       # 16 bytes each; #UD and #PF have handlers of their own
    EXC 0, 0
    EXC 1, 0
    EXC 2, 0
    EXC 3, 0
    EXC 4, 0
    EXC 5, 0
    EXC 6, 0
    EXC 7, 0
    EXC 8, 1
    EXC 9, 0
    EXC 10, 1
    EXC 11, 1
    EXC 12, 1
    EXC 13, 1
    EXC 14, 1
    EXC 15, 0
    EXC 16, 0
    EXC 17, 1
    EXC 18, 0
    EXC 19, 0
    EXC 20, 0
    EXC 21, 1

    .balign 16
    .globl gate_page_fault
gate_page_fault:
    pushq $14
    pushq %rax
    movq %cr2, %rax
    movq %rax, %gs:{CR2}
    popq %rax
gate_exception:
    testb $3, 24(%rsp)
    jz gate_fatal
    movq %gs:{EXC_RETURN}, %rsp     # a constant frame: ring 3, exc_entry
    iretq

gate_fatal:                         # an exception in the gate itself: report RIP and vector on the debug port, stop
    movl $0xe9, %edx
    movb $0x21, %al
    outb %al, %dx
    movl $0xf4, %edx
    movl $0x1ff, %eax
    outl %eax, %dx
1:  hlt
    jmp 1b

    # #UD: from `gate_ud2` it is a service call (eax: number; rdi, rsi: arguments; result in rax), else an exception.
    .balign 16
    .globl gate_invalid_opcode
gate_invalid_opcode:
    cmpl $gate_ud2_phys, (%rsp)
    jne 1f
    cmpl $0x6600, 4(%rsp)
    je gate_service
1:  pushq $0
    pushq $6
    jmp gate_exception

gate_service:
    addq $2, (%rsp)
    cmpl $1, %eax
    jb gate_halt
    je gate_load_cr3
    cmpl $3, %eax
    jb gate_write_msr
    je gate_invlpg
    cmpl $5, %eax
    jb gate_xsetbv
    iretq
gate_load_cr3:
    movq %rdi, %cr3
    iretq
gate_invlpg:
    invlpg (%rdi)
    iretq
gate_write_msr:
    movl %esi, %ecx
    movl %edi, %eax
    movq %rdi, %rdx
    shrq $32, %rdx
    wrmsr
    iretq
gate_xsetbv:
    xorl %ecx, %ecx
    movl %edi, %eax
    xorl %edx, %edx
    xsetbv
    iretq
gate_halt:                          # sleep until an interrupt, unless one is pending already; interrupts are off here
    cmpl $0, %gs:{PENDING}
    jne 1f
    sti
    hlt
    cli
1:  iretq

    .balign 32
    .globl gate_irqs
gate_irqs:                          # 32 bytes each
    .set n, 0
    .rept 24
    .balign 32
    orl $(1 << n), %gs:{PENDING}
    jmp gate_interrupt
    .set n, n + 1
    .endr

    .balign 16
gate_interrupt:
    movabsl %eax, {EOI}             # any value ends the interrupt
    cmpl $0x6600, 4(%rsp)
    je 1f
    popq %gs:{IRQ_FRAME}            # in the program: hand RIP, CS, RFLAGS, RSP, SS over
    popq %gs:{IRQ_FRAME} + 8
    popq %gs:{IRQ_FRAME} + 16
    popq %gs:{IRQ_FRAME} + 24
    popq %gs:{IRQ_FRAME} + 32
    movq %gs:{IRQ_RETURN}, %rsp     # a constant frame: ring 3, irq_entry
    iretq
1:  pushq %rax                      # in the kernel: it stays pending; an exit window that was entered starts again
    movl 8(%rsp), %eax
    subl $exit_jump_phys, %eax
    cmpl $(exit_jump_end - exit_jump), %eax
    jae 2f
    movl $exit_jump_phys, 8(%rsp)
    jmp 3f
2:  movl 8(%rsp), %eax
    subl $exit_iret_phys, %eax
    cmpl $(exit_iret_end - exit_iret), %eax
    jae 3f
    movl $exit_iret_phys, 8(%rsp)
3:  popq %rax
    iretq

    # Another CPU has changed page tables and waits: everything is forgotten here and now, in the program as in the kernel.
    .balign 16
    .globl gate_flush
gate_flush:
    movabsl %eax, {EOI}
    pushq %rax
    pushq %rcx
    movq %gs:{FLUSH_WANTED}, %rcx   # before the flush: what is asked for later comes with another interrupt
    movq %cr3, %rax
    movq %rax, %cr3
    movq %rcx, %gs:{FLUSH_DONE}
    popq %rcx
    popq %rax
    iretq

    .balign 16
    .globl gate_spurious
gate_spurious:
    iretq

    # An unpatched `syscall`. On VT-x and SVM this is ring 0; on KVM on PVM the handler finds itself still in ring 3.
    .balign 16
    .globl gate_lstar
gate_lstar:                         # changes no flag: the program gets them back
    movq %rcx, %gs:{TRAP_RIP}
    movl %cs, %ecx
    leal -0x10(%rcx), %ecx
    jrcxz 1f
    jmp trap_entry
1:  leaq trap_entry(%rip), %rcx
    sysretq
    .text
