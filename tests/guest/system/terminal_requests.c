// What ioctl_tty(2) offers on a terminal, each request once; and /dev/random's.
#include "check.h"

#include <asm/termbits.h>
#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>

#define TAKES(request, argument) EXPECT(ioctl(0, request, argument) == 0)

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
    int random = open("/dev/random", O_RDONLY);
    EXPECT(ioctl(random, RNDGETENTCNT, &number) == 0 && number > 0);
    close(random);
    return done();
}
