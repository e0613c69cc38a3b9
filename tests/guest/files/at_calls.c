// The *at calls: relative to a directory descriptor, AT_EMPTY_PATH, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/openat2.h>

static void relative(int dir) {
    EXPECT(mkdirat(dir, "sub", 0700) == 0);
    int fd = openat(dir, "sub/file", O_CREAT | O_WRONLY, 0600);
    EXPECT(fd >= 0 && write(fd, "12345", 5) == 5);
    close(fd);
    struct stat st;
    EXPECT(fstatat(dir, "sub/file", &st, 0) == 0 && st.st_size == 5);
    EXPECT(faccessat(dir, "sub/file", R_OK | W_OK, 0) == 0);
    EXPECT(symlinkat("file", dir, "sub/link") == 0);
    EXPECT(fstatat(dir, "sub/link", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode) && st.st_size == 4);
    EXPECT(fstatat(dir, "sub/link", &st, 0) == 0 && S_ISREG(st.st_mode));
    char target[8] = "";
    EXPECT(readlinkat(dir, "sub/link", target, 8) == 4 && strcmp(target, "file") == 0);
    EXPECT(linkat(dir, "sub/file", dir, "hard", 0) == 0);
    EXPECT(renameat(dir, "hard", dir, "renamed") == 0);
    EXPECT(fchmodat(dir, "renamed", 0640, 0) == 0);
    EXPECT(fstatat(dir, "sub/file", &st, 0) == 0 && (st.st_mode & 0777) == 0640 && st.st_nlink == 2);
    EXPECT(mknodat(dir, "fifo", S_IFIFO | 0600, 0) == 0);
    EXPECT(fstatat(dir, "fifo", &st, 0) == 0 && S_ISFIFO(st.st_mode));
}

static void removal(int dir) {
    FAILS(unlinkat(dir, "sub", 0), EISDIR);
    FAILS(unlinkat(dir, "sub", AT_REMOVEDIR), ENOTEMPTY);
    FAILS(unlinkat(dir, "renamed", AT_REMOVEDIR), ENOTDIR);
    EXPECT(unlinkat(dir, "sub/file", 0) == 0 && unlinkat(dir, "sub/link", 0) == 0);
    EXPECT(unlinkat(dir, "sub", AT_REMOVEDIR) == 0);
    FAILS(unlinkat(dir, "sub", AT_REMOVEDIR), ENOENT);
}

static void empty_path(int dir) {
    struct stat by_fd, by_path;
    int fd = openat(dir, "renamed", O_RDONLY);
    NEED(fd >= 0);
    EXPECT(fstatat(fd, "", &by_path, AT_EMPTY_PATH) == 0);
    EXPECT(fstat(fd, &by_fd) == 0 && by_fd.st_ino == by_path.st_ino);
    FAILS(fstatat(fd, "", &by_path, 0), ENOENT);
    FAILS(fstatat(fd, "x", &by_path, 0), ENOTDIR);
    FAILS(fstatat(99, "x", &by_path, 0), EBADF);
    // An absolute path does not look at the descriptor.
    EXPECT(fstatat(99, "/", &by_path, 0) == 0);
    FAILS(fstatat(dir, "renamed", &by_path, 0x8000000), EINVAL);
    close(fd);
}

static void extended_open(int dir) {
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_BENEATH};
    int fd = (int)syscall(SYS_openat2, dir, "renamed", &how, sizeof how);
    EXPECT(fd >= 0);
    close(fd);
    FAILS(syscall(SYS_openat2, dir, "../outside", &how, sizeof how), EXDEV);
    how.flags = 1ull << 40;
    FAILS(syscall(SYS_openat2, dir, "renamed", &how, sizeof how), EINVAL);
}

int main(void) {
    enter_scratch();
    NEED(mkdir("dir", 0755) == 0);
    int dir = open("dir", O_RDONLY | O_DIRECTORY);
    NEED(dir >= 0);
    relative(dir);
    part("relative");
    removal(dir);
    part("removal");
    empty_path(dir);
    part("empty path");
    extended_open(dir);
    return done();
}
