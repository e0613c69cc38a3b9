// getrlimit, setrlimit, prlimit; sysconf; RLIMIT_FSIZE with SIGXFSZ.
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

static volatile sig_atomic_t exceeded;
static void on_size(int signal) { exceeded = signal; }

int main(void) {
    enter_scratch();
    const int known[] = {RLIMIT_AS, RLIMIT_CORE, RLIMIT_CPU, RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE,
                         RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_RSS, RLIMIT_RTPRIO, RLIMIT_SIGPENDING,
                         RLIMIT_STACK};
    struct rlimit limit, again;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        EXPECT(getrlimit(known[i], &limit) == 0 && limit.rlim_cur <= limit.rlim_max);
        EXPECT(prlimit(0, known[i], NULL, &again) == 0 && again.rlim_cur == limit.rlim_cur);
    }
    FAILS(getrlimit(99, &limit), EINVAL);
    EXPECT(getrlimit(RLIMIT_CORE, &limit) == 0);
    limit.rlim_cur = 0;
    EXPECT(prlimit(0, RLIMIT_CORE, &limit, &again) == 0 && getrlimit(RLIMIT_CORE, &again) == 0 && again.rlim_cur == 0);
    limit = (struct rlimit){10, 5};
    FAILS(setrlimit(RLIMIT_CORE, &limit), EINVAL);
    part("limits");

    signal(SIGXFSZ, on_size);
    EXPECT(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = 1000;
    EXPECT(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    int fd = open("f", O_CREAT | O_RDWR, 0600);
    static char block[2000];
    EXPECT(write(fd, block, 2000) == 1000);
    FAILS(write(fd, block, 1), EFBIG);
    EXPECT(exceeded == SIGXFSZ);
    limit.rlim_cur = limit.rlim_max;
    EXPECT(setrlimit(RLIMIT_FSIZE, &limit) == 0 && write(fd, block, 2000) == 2000);
    part("file size");

    EXPECT(sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_CLK_TCK) == 100);
    EXPECT(sysconf(_SC_OPEN_MAX) >= 64 && sysconf(_SC_ARG_MAX) >= 4096);
    EXPECT(sysconf(_SC_PHYS_PAGES) > 0 && sysconf(_SC_AVPHYS_PAGES) > 0);
    EXPECT(sysconf(_SC_PHYS_PAGES) >= sysconf(_SC_AVPHYS_PAGES));
    return done();
}
