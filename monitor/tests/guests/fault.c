// An invalid instruction and no handler for it: the CPU shuts down.
#include "guest.h"

void main(const struct start_info *info) {
    (void)info;
    asm volatile("mov $0x12345678,%eax\n lidt 0x200000\n ud2");
}
