// Writing to a pipe without reader: SIGPIPE and EPIPE.
#include "check.h"

#include <signal.h>

static volatile sig_atomic_t count;
static void on_pipe(int signal) { (void)signal, count++; }

int main(void) {
    int pipes[2];
    NEED(pipe(pipes) == 0);
    close(pipes[0]);
    signal(SIGPIPE, SIG_IGN);
    FAILS(write(pipes[1], "x", 1), EPIPE);
    signal(SIGPIPE, on_pipe);
    FAILS(write(pipes[1], "x", 1), EPIPE);
    EXPECT(count == 1);
    EXPECT(write(pipes[1], "x", 0) == 0 && count == 1);
    printf("the default action ends the program\n");
    fflush(stdout);
    if (check_failures != 0) return 1;
    signal(SIGPIPE, SIG_DFL);
    if (write(pipes[1], "x", 1) != 0) _exit(2);
    return 3;
}
