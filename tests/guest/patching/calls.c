// Each technique makes the call, with its arguments, and its rip-relative operands still meet their variables.
#include "sites.h"

int main(void) {
    int ends[2];
    NEED(pipe(ends) == 0);
    for (int i = 0; i < SITES; i++) {
        char buffer[8] = "";
        part(sites[i].name);
        NEED(write(ends[1], "abc", 3) == 3);
        EXPECT(sites[i].call(SYS_read, ends[0], (long)buffer, sizeof buffer, 0) == 3);
        EXPECT(strcmp(buffer, "abc") == 0);
        EXPECT(sites[i].call(SYS_read, -1, (long)buffer, sizeof buffer, 0) == -EBADF);
        if (i == 0) continue;
        EXPECT(sites[i].call(SYS_getpid, 0, 0, 0, 0) == getpid());
        // Four arguments: pwrite64 to a pipe fails, but only after they were looked at.
        EXPECT(sites[i].call(SYS_pwrite64, ends[1], (long)"x", 1, 0) == -ESPIPE);
        EXPECT(sites[i].call(SYS_pwrite64, ends[1], (long)"x", 1, -1) == -EINVAL);
        EXPECT(sites[i].call(999, 0, 0, 0, 0) == -ENOSYS);
    }
    EXPECT(t2_count == 6 * 3);
    EXPECT(t4_result == -ENOSYS);
    struct timespec now = {-1, -1}, later;
    EXPECT(t1_clock_gettime(CLOCK_MONOTONIC, &now, 0, 0) == 0);
    NEED(clock_gettime(CLOCK_MONOTONIC, &later) == 0);
    EXPECT(now.tv_sec >= 0 && later.tv_sec - now.tv_sec <= 1);
    EXPECT(t1_getpid(0, 0, 0, 0) == getpid());
    return done();
}
