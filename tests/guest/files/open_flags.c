// open(2): creation, exclusive, truncation, directory, path-only and read-only descriptors.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static off_t size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

static void creation(void) {
    FAILS(open("a", O_RDONLY), ENOENT);
    umask(027);
    int fd = open("a", O_CREAT | O_EXCL | O_WRONLY, 0666);
    NEED(fd >= 0);
    struct stat st;
    EXPECT(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
    umask(022);
    FAILS(open("a", O_CREAT | O_EXCL | O_WRONLY, 0666), EEXIST);
    EXPECT(write(fd, "0123456789", 10) == 10);
    char byte;
    FAILS(read(fd, &byte, 1), EBADF);
    close(fd);
    FAILS(write(fd, "x", 1), EBADF);
}

static void truncation(void) {
    int fd = open("a", O_RDONLY);
    EXPECT(size_of("a") == 10);
    FAILS(write(fd, "x", 1), EBADF);
    close(fd);
    fd = open("a", O_RDWR | O_TRUNC);
    EXPECT(size_of("a") == 0);
    EXPECT((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    close(fd);
}

static void kinds(void) {
    NEED(mkdir("d", 0755) == 0);
    FAILS(open("d", O_WRONLY), EISDIR);
    FAILS(open("d", O_CREAT, 0644), EISDIR);
    FAILS(open("a", O_DIRECTORY), ENOTDIR);
    FAILS(open("a/b", O_RDONLY), ENOTDIR);
    FAILS(open("d/none/b", O_CREAT | O_WRONLY, 0644), ENOENT);
    int fd = open("d", O_RDONLY | O_DIRECTORY);
    char byte;
    NEED(fd >= 0);
    FAILS(read(fd, &byte, 1), EISDIR);
    close(fd);
    NEED(symlink("a", "link") == 0);
    FAILS(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    FAILS(open("link", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST);
    NEED(symlink("target", "dangling") == 0);
    fd = open("dangling", O_CREAT | O_WRONLY, 0644);
    EXPECT(fd >= 0 && size_of("target") == 0);
    close(fd);
}

static void path_only(void) {
    int fd = open("a", O_PATH);
    NEED(fd >= 0);
    char byte;
    struct stat st;
    FAILS(read(fd, &byte, 1), EBADF);
    EXPECT(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
    close(fd);
    fd = open("link", O_PATH | O_NOFOLLOW);
    EXPECT(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
    close(fd);
}

static void numbers(void) {
    // The lowest free descriptor is taken.
    int a = open("a", O_RDONLY), b = open("a", O_RDONLY), c = open("a", O_RDONLY);
    EXPECT(b == a + 1 && c == b + 1);
    close(b);
    EXPECT(open("a", O_RDONLY | O_CLOEXEC) == b);
    EXPECT(fcntl(b, F_GETFD) == FD_CLOEXEC && fcntl(c, F_GETFD) == 0);
    close(a), close(b), close(c);
    int fd = creat("made", 0600);
    EXPECT(fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY);
    close(fd);
}

int main(void) {
    enter_scratch();
    creation();
    part("creation");
    truncation();
    part("truncation");
    kinds();
    part("kinds");
    path_only();
    part("path only");
    numbers();
    return done();
}
