// pty(7): both sides of a pair, sessions and their terminal, job control, and what each side sees of the other's end.
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>

static char buffer[65536];

static bool reads(int fd, const char *text) {
    ssize_t count = read(fd, buffer, sizeof buffer);
    return count == (ssize_t)strlen(text) && memcmp(buffer, text, count) == 0;
}

static bool writes(int fd, const char *text) {
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

// Until this text has come. What came behind it is left for the next time.
static bool comes(int fd, const char *text) {
    static char kept[4096];
    static size_t got;
    for (;;) {
        char *found = memmem(kept, got, text, strlen(text));
        if (found != NULL) {
            char *rest = found + strlen(text);
            got -= rest - kept;
            memmove(kept, rest, got);
            return true;
        }
        ssize_t count = read(fd, kept + got, sizeof kept - got);
        if (count <= 0) return false;
        got += count;
    }
}

static short events(int fd) {
    struct pollfd query = {fd, POLLIN | POLLOUT, 0};
    poll(&query, 1, 0);
    return query.revents;
}

static void names(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    NEED(master >= 0);
    unsigned number;
    EXPECT(ioctl(master, TIOCGPTN, &number) == 0);
    char name[64];
    snprintf(name, sizeof name, "/dev/pts/%u", number);
    EXPECT(strcmp(ptsname(master), name) == 0);
    int locked = 0;
    EXPECT(ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 1);
    FAILS(open(name, O_RDWR | O_NOCTTY), EIO);
    EXPECT(grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(name, O_RDWR | O_NOCTTY);
    NEED(slave >= 0);
    struct stat found, other;
    EXPECT(fstat(slave, &found) == 0 && stat(name, &other) == 0);
    EXPECT(found.st_ino == other.st_ino && found.st_dev == other.st_dev && S_ISCHR(found.st_mode));
    EXPECT(major(found.st_rdev) == 136 && minor(found.st_rdev) == number);
    EXPECT(isatty(slave) && isatty(master));
    EXPECT(strcmp(ttyname(slave), name) == 0);
    EXPECT(fstat(master, &found) == 0 && found.st_rdev == makedev(5, 2));
    FAILS(lseek(slave, 0, SEEK_CUR), ESPIPE);
    bool listed = false;
    DIR *folder = opendir("/dev/pts");
    NEED(folder != NULL);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) listed |= (unsigned)atoi(entry->d_name) == number;
    closedir(folder);
    EXPECT(listed);
    close(master);
    FAILS(open(name, O_RDWR | O_NOCTTY), ENOENT);
    close(slave);
}

static void data(void) {
    int master, slave;
    struct winsize size = {30, 90, 0, 0}, got;
    NEED(openpty(&master, &slave, NULL, NULL, &size) == 0);
    EXPECT(ioctl(slave, TIOCGWINSZ, &got) == 0 && got.ws_row == 30 && got.ws_col == 90);
    EXPECT(events(master) == POLLOUT && events(slave) == POLLOUT);
    EXPECT(writes(master, "a\x7f" "bc\n"));
    EXPECT(reads(slave, "bc\n"));
    EXPECT(comes(master, "bc\r\n"));
    EXPECT(writes(slave, "one\ntwo\n"));
    EXPECT(comes(master, "one\r\ntwo\r\n"));
    struct termios t;
    EXPECT(tcgetattr(slave, &t) == 0);
    cfmakeraw(&t);
    EXPECT(tcsetattr(slave, TCSANOW, &t) == 0);
    EXPECT(writes(master, "x\x03\r"));
    EXPECT(reads(slave, "x\x03\r"));
    EXPECT(fcntl(master, F_SETFL, O_NONBLOCK) == 0);
    FAILS(read(master, buffer, 1), EAGAIN);
    close(slave);
    EXPECT(events(master) & POLLHUP);
    FAILS(read(master, buffer, 1), EIO);
    close(master);
    NEED(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    close(master);
    EXPECT(read(slave, buffer, 1) == 0);
    FAILS(write(slave, "x", 1), EIO);
    EXPECT((events(slave) & (POLLHUP | POLLERR)) == (POLLHUP | POLLERR));
    close(slave);
}

static volatile sig_atomic_t interrupted, resized;
static void note(int number) { *(number == SIGINT ? &interrupted : &resized) = 1; }

// A session of its own on the slave. What goes wrong in it is told by its status.
static int session(int slave) {
    NEED(getsid(0) == getpid());
    int terminal = open("/dev/tty", O_RDWR);
    NEED(terminal >= 0 && isatty(terminal));
    EXPECT(tcgetsid(slave) == getpid() && tcgetpgrp(slave) == getpid());
    sigset_t both, before;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGWINCH);
    sigprocmask(SIG_BLOCK, &both, &before);
    signal(SIGINT, note);
    signal(SIGWINCH, note);
    writes(slave, "ready\n");
    while (!interrupted || !resized) sigsuspend(&before);
    writes(slave, "signals\n");
    // A job in the background stops when it reads, and goes on in the foreground.
    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        _exit(read(slave, buffer, sizeof buffer) == 5 && memcmp(buffer, "line\n", 5) == 0 ? 7 : 1);
    }
    setpgid(job, job);
    int status;
    EXPECT(waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTTIN);
    EXPECT(tcsetpgrp(slave, job) == 0);
    EXPECT(tcgetpgrp(terminal) == job);
    // Now this one is in the background: what changes the terminal stops it, unless it does not care.
    signal(SIGTTOU, SIG_IGN);
    EXPECT(kill(-job, SIGCONT) == 0);
    writes(slave, "job\n");
    EXPECT(waitpid(job, &status, 0) == job && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    EXPECT(tcsetpgrp(slave, getpid()) == 0);
    // Who ignores the signal is refused.
    job = fork();
    if (job == 0) {
        setpgid(0, 0);
        signal(SIGTTIN, SIG_IGN);
        _exit(read(slave, buffer, 1) == -1 && errno == EIO ? 7 : 1);
    }
    EXPECT(waitpid(job, &status, 0) == job && WEXITSTATUS(status) == 7);
    writes(slave, "end\n");
    return atomic_load(&check_failures);
}

static void sessions(void) {
    int master;
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    NEED(child >= 0);
    if (child == 0) _exit(session(0));
    EXPECT(comes(master, "ready\r\n"));
    EXPECT(tcgetpgrp(master) == child);
    struct winsize size = {20, 40, 0, 0};
    EXPECT(ioctl(master, TIOCSWINSZ, &size) == 0);
    EXPECT(writes(master, "\x03"));
    EXPECT(comes(master, "signals\r\n"));
    EXPECT(comes(master, "job\r\n"));
    EXPECT(writes(master, "line\n"));
    EXPECT(comes(master, "end\r\n"));
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    EXPECT(read(master, buffer, 1) == -1 && errno == EIO);
    close(master);
}

static void hangups(void) {
    // The master goes: the session's leader is told.
    int master, status;
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    NEED(child >= 0);
    if (child == 0) {
        writes(1, "here\n");
        for (;;) pause();
    }
    EXPECT(comes(master, "here\r\n"));
    close(master);
    EXPECT(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGHUP);
    // The leader goes: who is in the foreground is told.
    int pipes[2];
    NEED(pipe(pipes) == 0);
    child = forkpty(&master, NULL, NULL, NULL);
    NEED(child >= 0);
    if (child == 0) {
        if (fork() == 0) {
            close(pipes[0]);
            writes(1, "here\n");
            for (;;) pause();
        }
        char word[8];
        _exit(read(0, word, sizeof word) == 3 ? 0 : 1);
    }
    close(pipes[1]);
    EXPECT(comes(master, "here\r\n"));
    EXPECT(writes(master, "go\n"));
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    // Closed by its end.
    EXPECT(read(pipes[0], buffer, 1) == 0);
    close(pipes[0]);
    close(master);
}

int main(void) {
    names();
    part("names");
    data();
    part("data");
    sessions();
    part("sessions");
    hangups();
    part("hangups");
    return done();
}
