// Never sets up a device, never ends.
#include "guest.h"

void main(const struct start_info *info) {
    (void)info;
    debug("ready\n");
    for (;;) asm volatile("hlt");
}
