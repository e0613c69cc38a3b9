// mkdir, rmdir, chdir, fchdir, getcwd, and how paths resolve.
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static void working_directory(void) {
    char start[PATH_MAX], now[PATH_MAX];
    NEED(getcwd(start, sizeof start) != NULL);
    EXPECT(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0 && chdir("d/e") == 0);
    EXPECT(getcwd(now, sizeof now) != NULL && strcmp(now + strlen(start), "/d/e") == 0);
    EXPECT(getcwd(now, 3) == NULL && errno == ERANGE);
    int fd = open("..", O_RDONLY | O_DIRECTORY);
    EXPECT(chdir("/") == 0 && getcwd(now, sizeof now) != NULL && strcmp(now, "/") == 0);
    EXPECT(chdir("..") == 0 && getcwd(now, sizeof now) != NULL && strcmp(now, "/") == 0);
    EXPECT(fchdir(fd) == 0 && getcwd(now, sizeof now) != NULL && strcmp(now + strlen(start), "/d") == 0);
    EXPECT(chdir(start) == 0);
    close(fd);
    fd = open("file", O_CREAT | O_RDWR, 0644);
    FAILS(chdir("file"), ENOTDIR);
    FAILS(fchdir(fd), ENOTDIR);
    FAILS(chdir("none"), ENOENT);
    close(fd);
}

static void removal(void) {
    FAILS(rmdir("d"), ENOTEMPTY);
    FAILS(rmdir("file"), ENOTDIR);
    FAILS(rmdir("d/e/."), EINVAL);
    FAILS(rmdir("none"), ENOENT);
    FAILS(mkdir("d", 0755), EEXIST);
    FAILS(mkdir("none/d", 0755), ENOENT);
    EXPECT(mkdir("slash///", 0755) == 0 && rmdir("slash/") == 0);
    // A directory that was removed while it is the working directory.
    EXPECT(mkdir("gone", 0755) == 0 && chdir("gone") == 0 && rmdir("../gone") == 0);
    char now[PATH_MAX];
    EXPECT(getcwd(now, sizeof now) == NULL && errno == ENOENT);
    FAILS(open("x", O_CREAT | O_WRONLY, 0644), ENOENT);
    EXPECT(chdir(check_scratch) == 0);
}

static void resolution(void) {
    struct stat a, b;
    EXPECT(stat("d/../d/./e//..", &a) == 0 && stat("d", &b) == 0 && a.st_ino == b.st_ino);
    FAILS(stat("file/", &a), ENOTDIR);
    FAILS(stat("file/.", &a), ENOTDIR);
    FAILS(stat("", &a), ENOENT);
    FAILS(open("d/new/", O_CREAT | O_WRONLY, 0644), EISDIR);
    EXPECT(symlink("d", "dl") == 0 && lstat("dl", &a) == 0 && S_ISLNK(a.st_mode));
    EXPECT(lstat("dl/", &a) == 0 && S_ISDIR(a.st_mode));
    EXPECT(symlink("../d/e", "d/up") == 0 && stat("dl/up", &a) == 0 && stat("d/e", &b) == 0 && a.st_ino == b.st_ino);
    FAILS(rmdir("dl/"), ENOTDIR);
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = 0;
    FAILS(open(name, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
    name[255] = 0;
    int fd = open(name, O_CREAT | O_WRONLY, 0644);
    EXPECT(fd >= 0);
    close(fd);
    static char path[PATH_MAX + 2];
    for (int i = 0; i < PATH_MAX; i += 2) memcpy(path + i, "./", 2);
    FAILS(stat(path, &a), ENAMETOOLONG);
    path[PATH_MAX - 2] = 0;
    EXPECT(stat(path, &a) == 0);
}

int main(void) {
    enter_scratch();
    working_directory();
    part("working directory");
    removal();
    part("removal");
    resolution();
    return done();
}
