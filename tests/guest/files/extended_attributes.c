// Extended attributes of files, directories and links: kept, replaced, listed, removed, refused.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

int main(void) {
    enter_scratch();
    char value[64], names[256];
    int fd = open("file", O_CREAT | O_RDWR, 0600);
    NEED(fd >= 0 && mkdir("dir", 0700) == 0 && symlink("file", "link") == 0 && mkfifo("fifo", 0600) == 0);
    FAILS(getxattr("file", "user.a", value, sizeof value), ENODATA);
    FAILS(setxattr("file", "user.a", "1", 1, XATTR_REPLACE), ENODATA);
    EXPECT(setxattr("file", "user.a", "first", 5, XATTR_CREATE) == 0);
    FAILS(setxattr("link", "user.a", "1", 1, XATTR_CREATE), EEXIST);
    EXPECT(fsetxattr(fd, "user.b", "", 0, 0) == 0 && fgetxattr(fd, "user.b", value, sizeof value) == 0);
    EXPECT(getxattr("link", "user.a", value, sizeof value) == 5 && memcmp(value, "first", 5) == 0);
    EXPECT(getxattr("file", "user.a", NULL, 0) == 5);
    FAILS(getxattr("file", "user.a", value, 4), ERANGE);
    EXPECT(setxattr("file", "user.a", "longer value", 12, 0) == 0 && getxattr("file", "user.a", value, 64) == 12);
    // In whatever order, and with others that the system may have set.
    ssize_t size = listxattr("file", names, sizeof names);
    int found = 0;
    for (char *name = names; name < names + size; name += strlen(name) + 1) {
        found += strcmp(name, "user.a") == 0 || strcmp(name, "user.b") == 0;
    }
    EXPECT(size >= 14 && found == 2 && flistxattr(fd, NULL, 0) == size);
    FAILS(listxattr("file", names, 3), ERANGE);
    EXPECT(setxattr("dir", "user.a", "of a directory", 14, 0) == 0 && rename("dir", "moved") == 0);
    EXPECT(getxattr("moved", "user.a", value, sizeof value) == 14);
    FAILS(lsetxattr("link", "user.a", "1", 1, 0), EPERM);
    FAILS(setxattr("fifo", "user.a", "1", 1, 0), EPERM);
    FAILS(setxattr("file", "other.a", "1", 1, 0), EOPNOTSUPP);
    FAILS(setxattr("file", "user.", "1", 1, 0), EINVAL);
    FAILS(setxattr("file", "", "1", 1, 0), ERANGE);
    FAILS(setxattr("none", "user.a", "1", 1, 0), ENOENT);
    FAILS(setxattr("file", "user.a", "1", 1, 8), EINVAL);
    EXPECT(removexattr("file", "user.a") == 0 && fremovexattr(fd, "user.b") == 0);
    FAILS(removexattr("file", "user.a"), ENODATA);
    FAILS(getxattr("file", "user.b", value, sizeof value), ENODATA);
    close(fd);
    return done();
}
