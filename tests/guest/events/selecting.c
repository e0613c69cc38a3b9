// select and pselect.
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/select.h>

static volatile sig_atomic_t count;
static void on_signal(int signal) { (void)signal, count++; }

int main(void) {
    int p[2], q[2];
    NEED(pipe(p) == 0 && pipe(q) == 0);
    EXPECT(write(q[1], "x", 1) == 1);
    fd_set in, out, except;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&except);
    FD_SET(p[0], &in), FD_SET(q[0], &in), FD_SET(p[1], &out), FD_SET(p[0], &except);
    struct timeval limit = {5, 0};
    EXPECT(select(q[1] + 1, &in, &out, &except, &limit) == 2);
    EXPECT(!FD_ISSET(p[0], &in) && FD_ISSET(q[0], &in) && FD_ISSET(p[1], &out) && !FD_ISSET(p[0], &except));
    // Linux writes back the time that is left.
    EXPECT(limit.tv_sec >= 3);
    part("ready");

    FD_ZERO(&in);
    FD_SET(p[0], &in);
    limit = (struct timeval){0, 20000};
    int64_t start = now_ns(CLOCK_MONOTONIC);
    EXPECT(select(p[0] + 1, &in, NULL, NULL, &limit) == 0 && now_ns(CLOCK_MONOTONIC) - start >= 20000000);
    EXPECT(!FD_ISSET(p[0], &in) && limit.tv_sec == 0 && limit.tv_usec == 0);
    limit = (struct timeval){0, 0};
    EXPECT(select(0, NULL, NULL, NULL, &limit) == 0);
    limit = (struct timeval){-1, 0};
    FAILS(select(0, NULL, NULL, NULL, &limit), EINVAL);
    FAILS(select(-1, NULL, NULL, NULL, NULL), EINVAL);
    FD_ZERO(&in);
    FD_SET(60, &in);
    FAILS(select(61, &in, NULL, NULL, NULL), EBADF);
    part("limits");

    close(p[1]);
    FD_ZERO(&in);
    FD_SET(p[0], &in);
    EXPECT(select(p[0] + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &in));

    sigset_t blocked, none;
    sigemptyset(&none), sigemptyset(&blocked), sigaddset(&blocked, SIGUSR1);
    signal(SIGUSR1, on_signal);
    NEED(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0 && raise(SIGUSR1) == 0);
    struct timespec long_limit = {10, 0};
    FAILS(pselect(0, NULL, NULL, NULL, &long_limit, &none), EINTR);
    EXPECT(count == 1);
    return done();
}
