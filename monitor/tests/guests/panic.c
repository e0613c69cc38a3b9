// A kernel that gives up.
#include "guest.h"

void main(const struct start_info *info) {
    (void)info;
    debug("the reason\n");
    quit(0x100);
}
