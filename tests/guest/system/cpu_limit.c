// RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one.
#include "check.h"

#include <signal.h>
#include <sys/resource.h>

static volatile sig_atomic_t warnings;
static void warned(int signal) { (void)signal, warnings++; }

int main(void) {
    signal(SIGXCPU, warned);
    struct rlimit limit = {1, 3};
    NEED(setrlimit(RLIMIT_CPU, &limit) == 0);
    while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < 1400000000) {}
    printf("warned %d times\n", warnings);
    fflush(stdout);
    NEED(getrlimit(RLIMIT_CPU, &limit) == 0 && limit.rlim_max == 3);
    printf("the soft limit is %d\n", (int)limit.rlim_cur);
    fflush(stdout);
    for (;;) {}
}
