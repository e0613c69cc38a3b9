# One `syscall` site of each patching technique, with labels for its address and for the address after it.
# tests/unit/analysis/test_guest_sites.py checks that each gets the technique that its name says.

    .text

# Technique 1: the number is loaded right before. long t1_NAME(a, b, c, d)
.macro mov_site name, number
    .p2align 4
    .globl t1_\name, site_t1_\name
    .type t1_\name, @function
t1_\name:
    .cfi_startproc
    mov %rcx, %r10
    mov $\number, %eax
site_t1_\name:
    syscall
    ret
    .cfi_endproc
    .size t1_\name, . - t1_\name
.endm

    mov_site read, 0
    mov_site getpid, 39
    mov_site clock_gettime, 228

# The others take the number first: long tN_call(number, a, b, c, d)
.macro shuffle
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
.endm

# Technique 2, two register moves are displaced.
    .p2align 4
    .globl t2_call, site_t2
    .type t2_call, @function
t2_call:
    .cfi_startproc
    shuffle
site_t2:
    syscall
    ret
    .cfi_endproc
    .size t2_call, . - t2_call

# Technique 2, the displaced instruction has a rip-relative operand with an immediate behind it.
    .p2align 4
    .globl t2_rip_call, site_t2_rip
    .type t2_rip_call, @function
t2_rip_call:
    .cfi_startproc
    shuffle
    addl $3, t2_count(%rip)
site_t2_rip:
    syscall
    ret
    .cfi_endproc
    .size t2_rip_call, . - t2_rip_call

# Technique 3: a jump right before the site, and padding behind the function.
    .p2align 4
    .globl t3_call, site_t3
    .type t3_call, @function
t3_call:
    .cfi_startproc
    shuffle
    test %rax, %rax
    js 1f
site_t3:
    syscall
1:  ret
    .cfi_endproc
    .size t3_call, . - t3_call
    .p2align 5

# Technique 4: as 3, but nothing that a short jump reaches is padding.
    .section .text.packed, "ax", @progbits
    .globl t4_call, site_t4
    .type t4_call, @function
t4_call:
    .cfi_startproc
    .rept 80
    test %rax, %rax
    .endr
    shuffle
    test %rax, %rax
    js 1f
site_t4:
    syscall
    movq %rax, t4_result(%rip)
1:  ret
    .rept 80
    ud2
    .endr
    .cfi_endproc
    .size t4_call, . - t4_call

# Technique 2 with a jump that ends in the site: four bytes can move, and as above.
    .section .text.packed3, "ax", @progbits
    .globl t2_short_call, behind_t2_short   # a label of the site would be a way to it
    .type t2_short_call, @function
t2_short_call:
    .cfi_startproc
    .rept 80
    test %rax, %rax
    .endr
    shuffle
    test %rax, %rax
    js 1f
    test %edi, %edi
    test %esi, %esi
    syscall
behind_t2_short:
    jmp 1f
    .rept 80
    ud2
    .endr
1:  ret
    .rept 80
    ud2
    .endr
    .cfi_endproc
    .size t2_short_call, . - t2_short_call

# Not patched: a jump goes between the instructions before it, and a jump follows it.
    .section .text.packed2, "ax", @progbits
    .globl t0_call, site_t0
    .type t0_call, @function
t0_call:
    .cfi_startproc
    .rept 80
    test %rax, %rax
    .endr
    shuffle
    test %rax, %rax
    js 1f
site_t0:
    syscall
    jmp 1f
    .rept 80
    ud2
    .endr
1:  ret
    .rept 80
    ud2
    .endr
    .cfi_endproc
    .size t0_call, . - t0_call

    .data
    .balign 8
    .globl t2_count, t4_result
t2_count:  .long 0
    .balign 8
t4_result: .quad 0

    .section .note.GNU-stack, "", @progbits
