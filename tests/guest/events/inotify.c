// inotify: every event of files and directories, moves and their cookies, one-shot and changed watches, unlinked files,
// overflow, FIONREAD, poll and epoll, a reader that waits.
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

static int in;
static uint32_t last_cookie;

static const struct { uint32_t bit; const char *name; } names[] = {
    {IN_ACCESS, "ACCESS"}, {IN_MODIFY, "MODIFY"}, {IN_ATTRIB, "ATTRIB"}, {IN_CLOSE_WRITE, "CLOSE_WRITE"},
    {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"}, {IN_OPEN, "OPEN"}, {IN_MOVED_FROM, "MOVED_FROM"},
    {IN_MOVED_TO, "MOVED_TO"}, {IN_CREATE, "CREATE"}, {IN_DELETE, "DELETE"}, {IN_DELETE_SELF, "DELETE_SELF"},
    {IN_MOVE_SELF, "MOVE_SELF"}, {IN_Q_OVERFLOW, "Q_OVERFLOW"}, {IN_IGNORED, "IGNORED"}, {IN_ISDIR, "ISDIR"},
};

// Prints what happened; cookies only as whether they are those of the half before.
static void show(const char *title) {
    _Alignas(struct inotify_event) static char buffer[1 << 16];
    ssize_t count = read(in, buffer, sizeof buffer);
    printf("%s:%s", title, count <= 0 ? " nothing" : "");
    for (char *at = buffer; at < buffer + count;) {
        struct inotify_event *event = (struct inotify_event *)at;
        printf(" %d", event->wd);
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            if (event->mask & names[i].bit) printf("|%s", names[i].name);
        }
        if (event->len) printf("(%s)", event->name);
        if (event->cookie) printf("[%s]", event->cookie == last_cookie ? "same" : "new");
        last_cookie = event->cookie;
        at += sizeof *event + event->len;
    }
    printf("\n");
}

static int make(const char *path) {
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    NEED(fd >= 0);
    return fd;
}

static void contents(void) {
    mkdir("d", 0755);
    int file, all = inotify_add_watch(in, "d", IN_ALL_EVENTS);
    EXPECT(all == 1);
    close(make("d/f"));
    show("create");
    file = open("d/f", O_RDWR);
    EXPECT(write(file, "12", 2) == 2 && write(file, "34", 2) == 2 && write(file, "", 0) == 0);
    char c;
    EXPECT(pread(file, &c, 1, 0) == 1 && pread(file, &c, 1, 100) == 0);
    EXPECT(ftruncate(file, 1) == 0 && fchmod(file, 0600) == 0 && fchown(file, -1, -1) == 0);
    struct timespec times[2] = {{1, 0}, {2, 0}};
    EXPECT(futimens(file, times) == 0);
    times[0].tv_nsec = UTIME_OMIT;
    EXPECT(futimens(file, times) == 0);
    EXPECT(posix_fallocate(file, 0, 100) == 0);
    close(file);
    show("contents");
    EXPECT(mkdir("d/sub", 0755) == 0 && symlink("f", "d/s") == 0 && link("d/f", "d/hard") == 0 &&
           mkfifo("d/fifo", 0600) == 0);
    show("names");
    EXPECT(chmod("d/sub", 0700) == 0 && rmdir("d/sub") == 0 && unlink("d/s") == 0 && unlink("d/hard") == 0 &&
           unlink("d/fifo") == 0);
    show("gone");
    EXPECT(chmod("d", 0700) == 0);
    show("itself");
}

static void moves(void) {
    mkdir("e", 0755);
    EXPECT(inotify_add_watch(in, "e", IN_MOVE | IN_MOVE_SELF) == 2);
    int moved = inotify_add_watch(in, "d/f", IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB);
    EXPECT(moved == 3);
    show("before");
    EXPECT(rename("d/f", "d/g") == 0);
    show("within");
    EXPECT(rename("d/g", "e/g") == 0);
    show("across");
    EXPECT(rename("e", "e2") == 0);
    show("directory");
    close(make("e2/other"));
    EXPECT(rename("e2/other", "e2/g") == 0);
    show("over");
    int fd = make("e2/open");
    EXPECT(inotify_add_watch(in, "e2/open", IN_DELETE_SELF | IN_CLOSE) == 4);
    EXPECT(unlink("e2/open") == 0);
    show("still open");
    close(fd);
    show("closed");
    EXPECT(renameat2(AT_FDCWD, "d", AT_FDCWD, "e2", RENAME_EXCHANGE) == 0);
    show("exchange");
    EXPECT(renameat2(AT_FDCWD, "d", AT_FDCWD, "e2", RENAME_EXCHANGE) == 0);
    show("back");
}

static void watches(void) {
    EXPECT(inotify_rm_watch(in, 1) == 0 && inotify_rm_watch(in, 2) == 0);
    show("removed");
    FAILS(inotify_rm_watch(in, 1), EINVAL);
    EXPECT(inotify_add_watch(in, "d", IN_CREATE) == 5);
    EXPECT(inotify_add_watch(in, "d", IN_DELETE | IN_MASK_ADD) == 5);
    close(make("d/a"));
    unlink("d/a");
    show("added");
    EXPECT(inotify_add_watch(in, "d", IN_DELETE) == 5);
    close(make("d/a"));
    show("replaced");
    FAILS(inotify_add_watch(in, "d", IN_CREATE | IN_MASK_CREATE), EEXIST);
    FAILS(inotify_add_watch(in, "d/a", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    FAILS(inotify_add_watch(in, "none", IN_OPEN), ENOENT);
    FAILS(inotify_add_watch(in, "d", 0), EINVAL);
    FAILS(inotify_add_watch(0x7fff, "d", IN_OPEN), EBADF);
    FAILS(inotify_add_watch(STDIN_FILENO, "d", IN_OPEN), EINVAL);
    EXPECT(inotify_add_watch(in, "d/a", IN_OPEN | IN_ONESHOT) == 6);
    close(open("d/a", O_RDONLY));
    close(open("d/a", O_RDONLY));
    show("one shot");
    EXPECT(inotify_add_watch(in, "d", IN_MODIFY | IN_EXCL_UNLINK) == 5);
    int fd = open("d/a", O_RDWR);
    unlink("d/a");
    EXPECT(write(fd, "x", 1) == 1);
    show("excluded");
    EXPECT(inotify_add_watch(in, "d", IN_MODIFY) == 5 && write(fd, "x", 1) == 1);
    show("included");
    close(fd);
    EXPECT(symlink("e2", "to") == 0 && inotify_add_watch(in, "to", IN_DELETE_SELF | IN_DONT_FOLLOW) == 7);
    EXPECT(unlink("to") == 0);
    show("symlink");
    EXPECT(inotify_add_watch(in, "d", IN_DELETE_SELF) == 5 && rmdir("d") == 0);
    show("directory gone");
}

static void *touch(void *unused) {
    sleep_ms(20);
    close(make("e2/late"));
    return unused;
}

static void readiness(void) {
    struct pollfd p = {in, POLLIN, 0};
    int ep = epoll_create1(0), waiting = -1;
    struct epoll_event event = {EPOLLIN, {.u32 = 5}};
    EXPECT(poll(&p, 1, 0) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, in, &event) == 0 && epoll_wait(ep, &event, 1, 0) == 0);
    EXPECT(ioctl(in, FIONREAD, &waiting) == 0 && waiting == 0);
    int wd = inotify_add_watch(in, "e2", IN_CREATE);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, touch, NULL) == 0);
    EXPECT(epoll_wait(ep, &event, 1, 30000) == 1 && event.data.u32 == 5);
    NEED(pthread_join(thread, NULL) == 0);
    EXPECT(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    EXPECT(ioctl(in, FIONREAD, &waiting) == 0 && waiting == 32);
    char small[16];
    FAILS(read(in, small, sizeof small), EINVAL);
    EXPECT(wd == 8);
    show("late");
    NEED(fcntl(in, F_SETFL, 0) == 0 && unlink("e2/late") == 0);
    NEED(pthread_create(&thread, NULL, touch, NULL) == 0);
    show("waited");
    NEED(pthread_join(thread, NULL) == 0);
    NEED(fcntl(in, F_SETFL, O_NONBLOCK) == 0);
    close(ep);
}

static void overflow(void) {
    FILE *limit = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    int most = 0;
    NEED(limit != NULL && fscanf(limit, "%d", &most) == 1);
    fclose(limit);
    int one = make("e2/one"), two = make("e2/two");
    int own = inotify_init1(IN_NONBLOCK);
    NEED(inotify_add_watch(own, "e2", IN_MODIFY) == 1);
    for (int i = 0; i < most + 100; i++) NEED(write(i % 2 ? one : two, "", 1) == 1);
    _Alignas(struct inotify_event) char event[32];
    int events = 0, overflows = 0;
    for (ssize_t n; (n = read(own, event, sizeof event)) > 0; events++) {
        overflows += ((struct inotify_event *)event)->mask == IN_Q_OVERFLOW;
    }
    // Reading in pieces of one event each.
    EXPECT(overflows == 1 && events == most + 1);
    close(own), close(one), close(two);
}

int main(void) {
    enter_scratch();
    in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    NEED(in >= 0);
    char link[64] = "", path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", in);
    EXPECT(readlink(path, link, sizeof link - 1) > 0 && fcntl(in, F_GETFL) == O_NONBLOCK);
    printf("%s\n", link);
    FAILS(inotify_init1(1), EINVAL);
    contents();
    moves();
    watches();
    readiness();
    overflow();
    show("rest");
    return done();
}
