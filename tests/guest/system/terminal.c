// Standard streams that are not terminals, and terminal calls on other files.
#include "check.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

int main(void) {
    struct termios t;
    struct winsize size;
    for (int fd = 0; fd < 3; fd++) {
        EXPECT(isatty(fd) == 0);
        FAILS(tcgetattr(fd, &t), ENOTTY);
        FAILS(ioctl(fd, TIOCGWINSZ, &size), ENOTTY);
        EXPECT(ttyname(fd) == NULL);
    }
    int fd = open("/dev/null", O_RDWR);
    FAILS(tcgetattr(fd, &t), ENOTTY);
    close(fd);
    FAILS(tcgetattr(99, &t), EBADF);
    FAILS(ioctl(1, 0x12345678, &t), ENOTTY);
    char line[16] = "";
    EXPECT(fgets(line, sizeof line, stdin) != NULL && strcmp(line, "input\n") == 0);
    EXPECT(fgets(line, sizeof line, stdin) == NULL && feof(stdin));
    EXPECT(read(0, line, 1) == 0);
    fprintf(stderr, "to stderr\n");
    return done();
}
