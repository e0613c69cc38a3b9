// membarrier(2): what has to be registered first, and what is told of it.
#include "check.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>

#ifndef MEMBARRIER_CMD_GET_REGISTRATIONS
#define MEMBARRIER_CMD_GET_REGISTRATIONS (1 << 9)
#endif

static long barrier(int command, unsigned flags) { return syscall(SYS_membarrier, command, flags, 0); }

static void registrations(const char *when) { printf("%s: %#lx\n", when, barrier(MEMBARRIER_CMD_GET_REGISTRATIONS, 0)); }

int main(void) {
    long offered = barrier(MEMBARRIER_CMD_QUERY, 0);
    EXPECT((offered & 0x27f) == 0x27f);
    registrations("at first");
    FAILS(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0), EPERM);
    FAILS(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0), EPERM);
    EXPECT(barrier(MEMBARRIER_CMD_GLOBAL, 0) == 0 && barrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) == 0);
    EXPECT(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
    registrations("with one");
    EXPECT(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0) == 0);
    FAILS(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0), EPERM);
    EXPECT(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
    EXPECT(barrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0) == 0);
    registrations("with all");
    EXPECT(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
    FAILS(barrier(3, 0), EINVAL);
    FAILS(barrier(MEMBARRIER_CMD_GLOBAL, 2), EINVAL);
    return done();
}
