// How connections end: half close, close, resets; what each side then sees.
#include "inet.h"

#include <signal.h>

#define END (POLLIN | POLLOUT | POLLRDHUP)
#define OVER (END | POLLHUP)

static char buffer[100];

static ssize_t receive(int fd) { return recv(fd, buffer, sizeof buffer, MSG_DONTWAIT); }
static ssize_t say(int fd, const char *text) { return send(fd, text, strlen(text), MSG_NOSIGNAL); }

static void half_close(void) {
    int p[2];
    make_pair(p);
    EXPECT(say(p[0], "request") == 7 && shutdown(p[0], SHUT_WR) == 0);
    FAILS(say(p[0], "x"), EPIPE);
    EXPECT(events_of(p[0], POLLOUT) == POLLOUT && events_of(p[1], END) == END);
    EXPECT(receive(p[1]) == 7 && receive(p[1]) == 0 && receive(p[1]) == 0);
    EXPECT(say(p[1], "answer") == 6);
    close(p[1]);
    EXPECT(events_of(p[0], OVER) == OVER);
    EXPECT(receive(p[0]) == 6 && receive(p[0]) == 0);
    union address peer;
    socklen_t length = sizeof peer;
    FAILS(getpeername(p[0], &peer.any, &length), ENOTCONN);
    FAILS(shutdown(p[0], SHUT_WR), ENOTCONN);
    close(p[0]);
}

static void deaf(void) {
    int p[2];
    make_pair(p);
    EXPECT(shutdown(p[0], SHUT_RD) == 0);
    EXPECT(events_of(p[0], END) == END && receive(p[0]) == 0);
    // The other side does not notice.
    EXPECT(events_of(p[1], POLLOUT) == POLLOUT && say(p[1], "still") == 5);
    sleep_ms(5);
    EXPECT(receive(p[0]) == 5 && receive(p[0]) == 0);
    close(p[0]), close(p[1]);
    // After both directions data is an offence.
    make_pair(p);
    EXPECT(shutdown(p[0], SHUT_RDWR) == 0 && events_of(p[0], OVER) == OVER);
    EXPECT(say(p[1], "x") == 1 && events_of(p[1], OVER | POLLERR) == (OVER | POLLERR));
    EXPECT(events_of(p[0], OVER | POLLERR) == (OVER | POLLERR));
    FAILS(receive(p[0]), ECONNRESET);
    EXPECT(receive(p[0]) == 0);
    FAILS(say(p[1], "x"), EPIPE);
    close(p[0]), close(p[1]);
}

static void unread(void) {
    int p[2];
    make_pair(p);
    EXPECT(say(p[0], "unread") == 6 && say(p[1], "last words") == 10);
    EXPECT(events_of(p[1], POLLIN | POLLOUT) == (POLLIN | POLLOUT));
    close(p[1]);
    EXPECT(events_of(p[0], OVER | POLLERR) == (OVER | POLLERR));
    EXPECT(receive(p[0]) == 10);
    FAILS(receive(p[0]), ECONNRESET);
    EXPECT(receive(p[0]) == 0 && get(p[0], SOL_SOCKET, SO_ERROR) == 0);
    FAILS(say(p[0], "x"), EPIPE);
    close(p[0]);
}

static void linger(void) {
    int p[2];
    struct linger now = {.l_onoff = 1, .l_linger = 0}, off = {.l_onoff = 0, .l_linger = 9};
    make_pair(p);
    EXPECT(setsockopt(p[1], SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    close(p[1]);
    EXPECT(events_of(p[0], OVER | POLLERR) == (OVER | POLLERR));
    EXPECT(get(p[0], SOL_SOCKET, SO_ERROR) == ECONNRESET && receive(p[0]) == 0);
    close(p[0]);
    make_pair(p);
    EXPECT(setsockopt(p[1], SOL_SOCKET, SO_LINGER, &off, sizeof off) == 0);
    close(p[1]);
    EXPECT(events_of(p[0], END) == END && receive(p[0]) == 0);
    close(p[0]);
}

static void nobody_there(void) {
    int p[2];
    make_pair(p);
    close(p[1]);
    EXPECT(events_of(p[0], END) == END && say(p[0], "lost") == 4);
    EXPECT(events_of(p[0], OVER | POLLERR) == (OVER | POLLERR));
    FAILS(say(p[0], "lost"), EPIPE);
    EXPECT(events_of(p[0], OVER) == OVER && receive(p[0]) == 0);
    // SIGPIPE comes unless it is asked not to.
    signal(SIGPIPE, SIG_IGN);
    FAILS(write(p[0], "x", 1), EPIPE);
    close(p[0]);
}

static void listener_gone(void) {
    int listener = listen4(5), fd = tcp4();
    NEED(connect_to(fd, name_of(listener)) == 0 && events_of(listener, POLLIN) == POLLIN);
    EXPECT(shutdown(listener, SHUT_RD) == 0);
    FAILS(accept(listener, NULL, NULL), EINVAL);
    EXPECT(events_of(fd, OVER | POLLERR) == (OVER | POLLERR));
    FAILS(receive(fd), ECONNRESET);
    close(fd), close(listener);
}

int main(void) {
    half_close();
    part("half close");
    deaf();
    part("deaf");
    unread();
    part("unread");
    linger();
    part("linger");
    nobody_there();
    part("nobody there");
    listener_gone();
    part("listener gone");
    return done();
}
