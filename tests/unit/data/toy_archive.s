# A kernel of the shape that a link takes apart: handlers, a part that one of them needs, and parts of that part.
# It starts and carries its header as the other toy does.
    .include "toy_kernel.s"

    .macro function name
    .section ".text.\name", "ax", @progbits
    .globl "\name"
"\name":
    .endm

    function compat.without_handler
    ret
    function compat.left_out
    ret
    function compat.sys.read
    ret
    function compat.sys.write
    .code64
    call "compat.need.toy"
    ret
    function compat.need.toy
    ret
    function toy_code
    ret

    .macro part name
    .section ".data.\name", "aw", @progbits
    .globl "compat.part.\name"
"compat.part.\name":
    .quad toy_code
    .endm

    part toy
    part toy.left
    part toy.right
