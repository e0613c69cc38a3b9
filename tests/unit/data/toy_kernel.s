# A kernel that says hello on the debug port and ends with status 5 on the exit port: enough to see an image boot.
# With SPIN defined it never ends.
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

    .section .text
    .code32
    .globl start
start:
    mov $message, %esi
    mov $message_size, %ecx
    mov $0xe9, %edx
    rep outsb
    .ifdef SPIN
2:  jmp 2b
    .endif
    mov $0x7c5a3e05, %eax
    mov $0xf4, %edx
    out %eax, %dx
1:  hlt
    jmp 1b

    .section .rodata
message: .ascii "hello from the toy kernel\n"
    .set message_size, . - message

    .section .compat.header, "aw"
    .globl compat_image_header
compat_image_header:
    .quad 0x31474d4954504d43, 0, 0, 0, 0, 0, 0, 0
