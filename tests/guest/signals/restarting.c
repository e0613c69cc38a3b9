// SA_RESTART restarts slow calls; without it they fail with EINTR; some are never restarted.
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static volatile sig_atomic_t count;
static int pipes[2];

static void on_alarm(int signal) { (void)signal, count++; }
static void on_alarm_write(int signal) {
    (void)signal;
    if (++count == 3 && write(pipes[1], "w", 1) != 1) _exit(3);
}

static void install(void (*handler)(int), int flags) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    NEED(sigaction(SIGALRM, &action, NULL) == 0);
    count = 0;
}

static void every_ms(int ms) {
    struct itimerval timer = {.it_value = {0, ms * 1000}, .it_interval = {0, ms * 1000}};
    NEED(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

int main(void) {
    NEED(pipe(pipes) == 0);
    char byte;
    install(on_alarm, 0);
    every_ms(20);
    FAILS(read(pipes[0], &byte, 1), EINTR);
    EXPECT(count >= 1);
    part("EINTR");

    install(on_alarm_write, SA_RESTART);
    EXPECT(read(pipes[0], &byte, 1) == 1 && byte == 'w' && count >= 3);
    part("restarted");

    // Waiting with a time limit is never restarted.
    install(on_alarm, SA_RESTART);
    struct pollfd poller = {.fd = pipes[0], .events = POLLIN};
    FAILS(poll(&poller, 1, 10000), EINTR);
    struct timespec t = {10, 0};
    FAILS(nanosleep(&t, &t), EINTR);
    FAILS(pause(), EINTR);
    part("never restarted");

    install(on_alarm, 0);
    // A transfer that has begun reports what it did.
    static char block[1 << 20];
    ssize_t written = write(pipes[1], block, sizeof block);
    EXPECT(written > 0 && written < (ssize_t)sizeof block);
    printf("partial write of %zd\n", written);
    every_ms(0);

    // An ignored signal does not interrupt.
    signal(SIGALRM, SIG_IGN);
    every_ms(5);
    t = (struct timespec){0, 50000000};
    EXPECT(nanosleep(&t, NULL) == 0);
    return done();
}
