# PVH entry: 32-bit protected mode, paging off, EBX = hvm_start_info. Leaves ring 0 for good at the end. The other CPUs come
# by `ap_start`, in the same state with their number in EBX, or by `sipi_start`, which brings them there from real mode.
# This code may run under an instruction emulator (KVM on PVM): integer instructions only, and few.
    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_start_phys

    .section .note.compat, "a", @note
    .balign 4
    .long 7, 4, 1
    .asciz "compat"
    .balign 4
    .long {ABI_VERSION}

    .section .boot.text, "ax"
    .code32
    .globl pvh_start
pvh_start:
    movl $boot_pdpt_phys + 7, %eax  # present, writable, user
    movl %eax, boot_pml4_phys
    movl %eax, boot_pml4_phys + 204 * 8     # 0x660000000000
    movl $boot_pd_phys + 7, boot_pdpt_phys
    movl $boot_pd_high_phys + 7, boot_pdpt_phys + 8
    movl $boot_pd_high_phys + 0x1007, boot_pdpt_phys + 16
    movl $boot_pd_high_phys + 0x2007, boot_pdpt_phys + 24
    xorl %esi, %esi                 # 0: the first CPU
boot_common:
    movl $boot_pml4_phys, %eax
    movl %eax, %cr3
    movl $0x50620, %eax             # CR4: PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE
    movl %eax, %cr4
    movl $0xc0000080, %ecx          # EFER: SCE, LME, NXE
    movl $0x901, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80010033, %eax          # CR0: PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt boot_gdtr_phys
    ljmp $0x10, $start64_phys

    .code64
    .globl start64
start64:
    movabsq $1f, %rax
    jmp *%rax
1:  lgdt boot_gdtr_high(%rip)
    movl $0x18, %eax
    movl %eax, %ss
    movl $0x2b, %eax
    movl %eax, %ds
    movl %eax, %es
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl %ebx, %ebx                 # hvm_start_info or the CPU's number, zero-extended
    movl %ebx, %eax
    shll $4, %eax
    addl $0x40, %eax                # of a later CPU the descriptor is ready
    testl %esi, %esi
    jnz 2f
    # The IDT and the TSS are plain memory that ring 3 fills in before anything can go wrong (`gate::install`); only
    # their addresses are needed here. The TSS descriptor's base is split, so it is put together.
    leaq boot_gdt_tss(%rip), %rdx
    movl $boot_tss_phys, %eax
    movw %ax, 2(%rdx)
    shrl $16, %eax
    movb %al, 4(%rdx)
    movb %ah, 7(%rdx)
    movl $0x40, %eax
2:  ltr %ax
    lidt boot_idtr(%rip)
    movl $0xc0000081, %ecx          # STAR: ring-3 selectors from 0x23, ring 0 from 0x10
    movl $0x00230010, %edx
    xorl %eax, %eax
    wrmsr
    incl %ecx                       # LSTAR
    movl $0x6600, %edx
    movl $gate_lstar_phys, %eax
    wrmsr
    addl $2, %ecx                   # FMASK: TF and DF, but not IF: on PVM the handler is in ring 3 and could not set it again;
    xorl %edx, %edx                 # in ring 0 interrupts are safe there, since they bring their own stack
    movl $0x500, %eax
    wrmsr
    leaq boot_stack_top(%rip), %rsp
    leaq ring3_start(%rip), %rdx
    testl %esi, %esi
    jz 3f
    movq ap_root(%rip), %rax        # its stack is not in the boot tables
    movq %rax, %cr3
    leaq ap_stacks(%rip), %rax
    movq (%rax,%rbx,8), %rsp
    leaq ring3_ap_start(%rip), %rdx
3:  movq %rsp, %rax
    pushq $0x2b
    pushq %rax
    pushq $0x202                    # IF: nothing interrupts before ring 3 enables the local APIC
    pushq $0x33
    pushq %rdx
    iretq

ring3_start:
    # What the boot tables map beyond the first GiB: here, where no emulator makes the loop slow.
    leaq boot_pd_high(%rip), %rdi
    movl $0x400000e7, %eax
    movl $0xc00000e7, %ecx
1:  movq %rax, (%rdi)
    addq $8, %rdi
    addq $0x200000, %rax
    cmpq %rcx, %rax
    jne 1b
    orl $0x18, %eax                 # device registers: not cached
    movl $512, %ecx
2:  movq %rax, (%rdi)
    addq $8, %rdi
    addq $0x200000, %rax
    decl %ecx
    jnz 2b
    movq %rbx, %rdi
    xorl %ebp, %ebp
    call kernel_start_rust
    ud2

ring3_ap_start:
    movq %rbx, %rdi
    xorl %ebp, %ebp
    call kernel_start_ap_rust
    ud2

    .code32
    .balign 64
    .globl ap_start
ap_start:
    movl $1, %esi
    jmp boot_common

    # Copied to a page below 1 MiB, where a start-up interrupt finds it in real mode with CS at that page.
    .code16
    .globl sipi_start
sipi_start:
    cli
    lgdtl %cs:(sipi_gdtr - sipi_start)
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $8, $sipi32_phys
sipi_gdtr:
    .word 23
    .long sipi_gdt_phys
    .globl sipi_end
sipi_end:
    .code32
    .globl sipi32
sipi32:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $0xfee00020, %ebx          # the APIC id is the CPU's number
    movl (%ebx), %ebx
    shrl $24, %ebx
    jmp ap_start
    .balign 8
    .globl sipi_gdt
sipi_gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
    .code64

    .section .boot.data, "aw"
    .balign 4096
    .globl boot_pd
boot_pd:                            # the first GiB in 2 MiB pages, present, writable, user, accessed, dirty
    .set i, 0
    .rept 512
    .quad (i << 21) | 0xe7
    .set i, i + 1
    .endr

    .balign 16
    .globl boot_gdt
boot_gdt:                           # Linux's selectors: kernel 0x10/0x18, user 0x2b/0x33
    .quad 0, 0
    .quad 0x00af9b000000ffff        # 0x10 kernel code
    .quad 0x00cf93000000ffff        # 0x18 kernel data
    .quad 0
    .quad 0x00cff3000000ffff        # 0x2b user data
    .quad 0x00affb000000ffff        # 0x33 user code
    .quad 0
    .globl boot_gdt_tss
boot_gdt_tss:
    .quad 0x00008900000000ff, 0x6600  # 0x40: TSS of the boot CPU, base filled in above
    .fill 126, 8, 0                 # and of 63 more
    .globl boot_gdtr
boot_gdtr:
    .word boot_gdtr - boot_gdt - 1
    .long boot_gdt_phys
    .balign 8
boot_gdtr_high:
    .word boot_gdtr - boot_gdt - 1
    .quad boot_gdt

    .word 0
boot_idtr:
    .word 64 * 16 - 1
    .quad boot_idt

    .balign 8
    .globl ap_root
ap_root:                            # CR3 for the CPUs after the first
    .quad 0

    # Filled in at the start: the image's file has no room for what is easily computed.
    .section .bss.boot_tables, "aw", @nobits
    .balign 4096
    .globl boot_pml4
boot_pml4:
    .skip 4096
    .globl boot_pdpt
boot_pdpt:
    .skip 4096
    .globl boot_pd_high
boot_pd_high:                       # the GiB after the first to the fourth
    .skip 3 * 4096
    .globl boot_idt
boot_idt:
    .skip 1024
    .globl boot_tss
boot_tss:
    .skip 256
    .globl ap_stacks
ap_stacks:                          # the tops of their first stacks
    .skip 64 * 8

    .section .bss.boot_stack, "aw", @nobits
    .balign 4096
    .globl boot_stack
boot_stack:
    .skip 65536
    .globl boot_stack_top
boot_stack_top:
    .text
