# Entry of every test guest: the two notes, a stack, a call of main(start_info). 32-bit protected mode throughout.
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long start
    .align 4
    .long 7, 4, 1
    .asciz "compat"
    .align 4
    .long 2

    .code32
    .text
    .globl start
start:
    mov $stack_end, %esp
    push %ebx
    call main
1:  hlt
    jmp 1b

    .bss
    .align 16
    .skip 16384
stack_end:
