// What ioctl_tty(2) offers on a terminal, each request once; and /dev/random's.
#include "check.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define TAKES(request, argument) EXPECT(ioctl(0, request, argument) == 0)

// Those of pty(7), and of a session that gets a terminal and gives it up.
static void pseudo_terminal(void) {
    int number, off = 0, status;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    NEED(master >= 0);
    EXPECT(ioctl(master, TIOCGPTN, &number) == 0 && number >= 0);
    EXPECT(ioctl(master, TIOCSPTLCK, &off) == 0);
    EXPECT(ioctl(master, TIOCGPTLCK, &number) == 0 && number == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    NEED(slave >= 0);
    pid_t child = fork();
    if (child == 0) {
        pid_t leader;
        // Both the end of the terminal and that of the session send it to who is in the foreground.
        signal(SIGHUP, SIG_IGN);
        setsid();
        FAILS(ioctl(slave, TIOCGSID, &leader), ENOTTY);
        EXPECT(ioctl(slave, TIOCSCTTY, 0) == 0);
        EXPECT(ioctl(slave, TIOCGSID, &leader) == 0 && leader == getpid());
        EXPECT(ioctl(slave, TIOCNOTTY) == 0);
        FAILS(ioctl(slave, TIOCNOTTY), ENOTTY);
        FAILS(open("/dev/tty", O_RDWR), ENXIO);
        _exit(atomic_load(&check_failures));
    }
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    close(slave);
    close(master);
}

int main(void) {
    struct termios t;
    struct termios2 t2;
    struct winsize size;
    pid_t group;
    int number;
    TAKES(TCGETS, &t);
    TAKES(TCSETS, &t);
    TAKES(TCSETSW, &t);
    TAKES(TCSETSF, &t);
    TAKES(TCGETS2, &t2);
    TAKES(TCSETS2, &t2);
    TAKES(TCSETSW2, &t2);
    TAKES(TCSETSF2, &t2);
    TAKES(TIOCGWINSZ, &size);
    EXPECT(size.ws_row == 40 && size.ws_col == 100);
    TAKES(TIOCSWINSZ, &size);
    TAKES(TIOCSCTTY, 0);
    TAKES(TIOCGPGRP, &group);
    EXPECT(group == getpgrp());
    TAKES(TIOCSPGRP, &group);
    TAKES(TIOCGSID, &group);
    EXPECT(group == getsid(0));
    TAKES(TIOCGDEV, &number);
    TAKES(TIOCGETD, &number);
    EXPECT(number == 0);
    TAKES(TIOCGEXCL, &number);
    EXPECT(number == 0);
    TAKES(FIONREAD, &number);
    TAKES(TIOCOUTQ, &number);
    TAKES(TCFLSH, TCIFLUSH);
    TAKES(TCXONC, TCOON);
    TAKES(TCSBRK, 1);
    TAKES(TCSBRKP, 0);
    pseudo_terminal();
    int random = open("/dev/random", O_RDONLY);
    EXPECT(ioctl(random, RNDGETENTCNT, &number) == 0 && number > 0);
    close(random);
    return done();
}
