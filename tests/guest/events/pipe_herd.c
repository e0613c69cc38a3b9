// Many that wait at one pipe: what is written in one piece is enough for all, none is left asleep by another that a signal
// took away, room wakes all writers, and the end of the pipe is told to everybody.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

enum { HERD = 20 };

static int ends[2];
static atomic_int waiting, got, ended;

static void on_signal(int sig) { (void)sig; }

static void *reads(void *count) {
    atomic_fetch_add(&waiting, 1);
    for (long i = 0; i < (long)count; i++) {
        char c;
        ssize_t n;
        while ((n = read(ends[0], &c, 1)) == -1 && errno == EINTR) {}
        if (n == 0) {
            atomic_fetch_add(&ended, 1);
            break;
        }
        EXPECT(n == 1 && c == 'x');
        atomic_fetch_add(&got, 1);
    }
    return NULL;
}

static void *writes(void *unused) {
    static const char page[4096];
    (void)unused;
    atomic_fetch_add(&waiting, 1);
    EXPECT(write(ends[1], page, sizeof page) == sizeof page);
    return NULL;
}

static void start(pthread_t *herd, void *(*what)(void *), long count) {
    waiting = 0;
    for (int i = 0; i < HERD; i++) NEED(pthread_create(&herd[i], NULL, what, (void *)count) == 0);
    while (waiting < HERD) sleep_ms(1);
    // Most of them sleep by then; nothing depends on it.
    sleep_ms(20);
}

static void finish(pthread_t *herd) {
    for (int i = 0; i < HERD; i++) NEED(pthread_join(herd[i], NULL) == 0);
}

int main(void) {
    pthread_t herd[HERD];
    char bytes[HERD];
    memset(bytes, 'x', sizeof bytes);
    struct sigaction action = {.sa_handler = on_signal};
    NEED(pipe(ends) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
    start(herd, reads, 1);
    EXPECT(write(ends[1], bytes, HERD) == HERD);
    finish(herd);
    EXPECT(got == HERD);
    part("one piece");

    got = 0;
    start(herd, reads, 50);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < HERD; i++) {
            EXPECT(write(ends[1], "x", 1) == 1);
            pthread_kill(herd[(i + round) % HERD], SIGUSR1);
        }
    }
    finish(herd);
    EXPECT(got == HERD * 50);
    part("signals");

    NEED(fcntl(ends[1], F_SETPIPE_SZ, 4096) == 4096 && write(ends[1], bytes, 1) == 1);
    start(herd, writes, 0);
    static char sink[1 << 16];
    for (long left = HERD * 4096 + 1; left > 0;) {
        ssize_t n = read(ends[0], sink, sizeof sink);
        NEED(n > 0);
        left -= n;
    }
    finish(herd);
    part("room");

    start(herd, reads, 1);
    close(ends[1]);
    finish(herd);
    EXPECT(ended == HERD);
    return done();
}
