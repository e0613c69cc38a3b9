// siglongjmp out of a handler that interrupted a system call, again and again.
#include "sites.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static int ends[2];
static sigjmp_buf back;
static volatile int handled;

static void handler(int signal) {
    (void)signal;
    handled++;
    siglongjmp(back, 1);
}

static void timer(int milliseconds) {
    struct itimerval value = {.it_value = {0, milliseconds * 1000}};
    NEED(setitimer(ITIMER_REAL, &value, NULL) == 0);
}

int main(void) {
    struct sigaction action = {.sa_handler = handler};
    NEED(pipe(ends) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
    for (int i = 0; i < SITES; i++) {
        part(sites[i].name);
        for (volatile int round = 0; round < 20; round++) {
            char byte = 0;
            if (sigsetjmp(back, 1) == 0) {
                timer(5);
                sites[i].call(SYS_read, ends[0], (long)&byte, 1, 0);
                EXPECT(!"the read returned");
            }
            NEED(write(ends[1], "y", 1) == 1);
            EXPECT(sites[i].call(SYS_read, ends[0], (long)&byte, 1, 0) == 1 && byte == 'y');
        }
    }
    EXPECT(handled == 20 * SITES);
    return done();
}
