// Waiting on sockets: timeouts, signals, MSG_WAITALL, partial sends, SIGPIPE.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>


static volatile sig_atomic_t signals;

static void count(int signo) {
    (void)signo;
    signals++;
}

static void handle(int signo, int flags) {
    struct sigaction action = {.sa_handler = count, .sa_flags = flags};
    NEED(sigaction(signo, &action, NULL) == 0);
}

static void alarm_after(long ms) {
    struct itimerval timer = {.it_value = {0, ms * 1000}};
    NEED(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void set_timeout(int fd, int option, long ms) {
    struct timeval time = {ms / 1000, ms % 1000 * 1000};
    NEED(setsockopt(fd, SOL_SOCKET, option, &time, sizeof time) == 0);
}

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void timeouts(void) {
    int s[2];
    char bytes[8];
    struct iovec iov = {bytes, 8};
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    set_timeout(s[0], SO_RCVTIMEO, 50);
    long start = now_ms();
    FAILS(recv(s[0], bytes, 8, 0), EAGAIN);
    FAILS(read(s[0], bytes, 8), EAGAIN);
    FAILS(readv(s[0], &iov, 1), EAGAIN);
    EXPECT(now_ms() - start >= 145);
    EXPECT(write(s[1], "abc", 3) == 3 && recv(s[0], bytes, 8, MSG_WAITALL) == 3);
    static char big[1 << 20];
    set_timeout(s[0], SO_SNDTIMEO, 50);
    ssize_t part = write(s[0], big, sizeof big);
    EXPECT(part > 0 && part < (ssize_t)sizeof big);
    FAILS(write(s[0], big, sizeof big), EAGAIN);
    FAILS(send(s[0], big, 1, 0), EAGAIN);
    // With a timeout, no restart.
    handle(SIGALRM, SA_RESTART);
    set_timeout(s[0], SO_RCVTIMEO, 10000);
    alarm_after(30);
    FAILS(recv(s[0], bytes, 8, 0), EINTR);
    alarm_after(30);
    FAILS(read(s[0], bytes, 8), EINTR);
    EXPECT(signals == 2);
    close(s[0]);
    close(s[1]);
}

static void *write_later(void *fd) {
    usleep(60000);
    EXPECT(write(*(int *)fd, "late", 4) == 4);
    return NULL;
}

static void restarts(void) {
    int s[2];
    char bytes[8];
    pthread_t thread;
    sigset_t alarms;
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    signals = 0;
    handle(SIGALRM, 0);
    alarm_after(20);
    FAILS(recv(s[0], bytes, 8, 0), EINTR);
    handle(SIGALRM, SA_RESTART);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL);
    NEED(pthread_create(&thread, NULL, write_later, &s[1]) == 0);
    pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    alarm_after(20);
    EXPECT(recv(s[0], bytes, 8, 0) == 4);
    EXPECT(signals == 2);
    pthread_join(thread, NULL);
    close(s[0]);
    close(s[1]);
}

enum { MUCH = 1 << 20 };

static void *read_all(void *fd) {
    static char bytes[MUCH];
    EXPECT(recv(*(int *)fd, bytes, MUCH, MSG_WAITALL) == MUCH);
    EXPECT(bytes[0] == 'a' && bytes[MUCH - 1] == 'z');
    return NULL;
}

static void all_of_it(void) {
    int s[2];
    static char bytes[MUCH];
    pthread_t thread;
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
    NEED(pthread_create(&thread, NULL, read_all, &s[0]) == 0);
    bytes[0] = 'a';
    bytes[MUCH - 1] = 'z';
    struct iovec parts[2] = {{bytes, MUCH / 2 + 1}, {bytes + MUCH / 2 + 1, MUCH / 2 - 1}};
    EXPECT(writev(s[1], parts, 2) == MUCH);
    pthread_join(thread, NULL);
    close(s[0]);
    close(s[1]);
}

static void broken(void) {
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    handle(SIGPIPE, 0);
    for (int i = 0; i < 3; i++) {
        int s[2];
        NEED(socketpair(AF_UNIX, types[i], 0, s) == 0);
        EXPECT(shutdown(s[0], SHUT_WR) == 0);
        signals = 0;
        FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
        EXPECT(signals == 0);
        FAILS(send(s[0], "x", 1, 0), EPIPE);
        FAILS(write(s[0], "x", 1), EPIPE);
        EXPECT(signals == (types[i] == SOCK_STREAM ? 2 : 0));
        close(s[0]);
        close(s[1]);
    }
}

static void accepting(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0waiting"};
    socklen_t len = sizeof(sa_family_t) + 8;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    NEED(bind(listener, (void *)&name, len) == 0 && listen(listener, 0) == 0);
    set_timeout(listener, SO_RCVTIMEO, 30);
    FAILS(accept(listener, NULL, NULL), EAGAIN);
    int first = socket(AF_UNIX, SOCK_STREAM, 0), second = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT(connect(first, (void *)&name, len) == 0);
    set_timeout(second, SO_SNDTIMEO, 30);
    FAILS(connect(second, (void *)&name, len), EAGAIN);
    int taken = accept(listener, NULL, NULL);
    EXPECT(taken >= 0 && connect(second, (void *)&name, len) == 0);
    EXPECT(write(first, "x", 1) == 1 && close(taken) == 0);
    close(first);
    close(second);
    close(listener);
}

int main(void) {
    timeouts();
    restarts();
    all_of_it();
    broken();
    accepting();
    return done();
}
