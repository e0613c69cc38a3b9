// stat, fstat, lstat, statx, chmod, chown, utimensat, access, umask.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/statvfs.h>

static void fields(void) {
    struct stat st, again;
    EXPECT(stat("f", &st) == 0);
    printf("mode %o, links %lu, size %ld, block size %ld\n", st.st_mode, (long)st.st_nlink, (long)st.st_size,
           (long)st.st_blksize);
    EXPECT(st.st_uid == geteuid() && st.st_ino != 0);
    EXPECT(lstat("l", &again) == 0);
    printf("mode %o, size %ld\n", again.st_mode, (long)again.st_size);
    EXPECT(stat("l", &again) == 0 && again.st_ino == st.st_ino && again.st_dev == st.st_dev);
    EXPECT(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    EXPECT(major(st.st_rdev) == 1 && minor(st.st_rdev) == 3);
    EXPECT(stat(".", &st) == 0 && stat("d/..", &again) == 0 && st.st_ino == again.st_ino && st.st_nlink == 3);
}

static void extended(void) {
    struct statx sx;
    struct stat st;
    EXPECT(statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx) == 0 && stat("f", &st) == 0);
    EXPECT((sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    EXPECT(sx.stx_size == (uint64_t)st.st_size && sx.stx_mode == st.st_mode && sx.stx_ino == st.st_ino);
    EXPECT(sx.stx_nlink == 1 && sx.stx_uid == st.st_uid && sx.stx_mtime.tv_sec == st.st_mtim.tv_sec);
    EXPECT(makedev(sx.stx_dev_major, sx.stx_dev_minor) == st.st_dev);
    EXPECT(statx(AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx) == 0 && S_ISLNK(sx.stx_mode));
}

static void modes(void) {
    struct stat st;
    EXPECT(chmod("f", 04711) == 0 && stat("f", &st) == 0 && (st.st_mode & 07777) == 04711);
    int fd = open("f", O_RDONLY);
    EXPECT(fchmod(fd, 0444) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0444);
    EXPECT(fchown(fd, -1, -1) == 0 && chown("f", geteuid(), getegid()) == 0);
    close(fd);
    FAILS(chmod("none", 0600), ENOENT);
    EXPECT(access("f", R_OK) == 0 && access("f", F_OK) == 0);
    FAILS(access("f", X_OK), EACCES);
    FAILS(access("none", F_OK), ENOENT);
    FAILS(access("f", 8), EINVAL);
    EXPECT(umask(077) == 022 && umask(022) == 077);
}

static void times(void) {
    struct stat st;
    struct timespec set[2] = {{1000000000, 123456789}, {-5, 0}};
    EXPECT(utimensat(AT_FDCWD, "f", set, 0) == 0 && stat("f", &st) == 0);
    printf("%ld.%09ld %ld\n", (long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec);
    struct timespec partly[2] = {{0, UTIME_OMIT}, {2000000000, 1}};
    EXPECT(utimensat(AT_FDCWD, "f", partly, 0) == 0 && stat("f", &st) == 0);
    EXPECT(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec == 2000000000);
    struct timespec wrong[2] = {{0, 1000000000}, {0, 0}};
    FAILS(utimensat(AT_FDCWD, "f", wrong, 0), EINVAL);
    time_t before = time(NULL);
    EXPECT(futimens(open("f", O_RDONLY), NULL) == 0 && stat("f", &st) == 0);
    EXPECT(st.st_mtim.tv_sec >= before - 1 && st.st_mtim.tv_sec <= time(NULL) + 1);
    int fd = open("d/new", O_CREAT | O_WRONLY, 0644);
    struct stat dir;
    EXPECT(stat("d", &dir) == 0 && dir.st_mtim.tv_sec >= before - 1);
    close(fd);
    unlink("d/new");
}

static void file_system(void) {
    struct statvfs fs;
    EXPECT(statvfs(".", &fs) == 0 && fs.f_bsize >= 512 && fs.f_namemax == 255 && fs.f_blocks >= fs.f_bfree);
}

int main(void) {
    enter_scratch();
    umask(022);
    int fd = open("f", O_CREAT | O_WRONLY, 0644);
    NEED(fd >= 0 && write(fd, "hello", 5) == 5 && close(fd) == 0);
    NEED(symlink("f", "l") == 0 && mkdir("d", 0755) == 0);
    fields();
    part("fields");
    extended();
    part("statx");
    modes();
    part("modes");
    times();
    part("times");
    file_system();
    return done();
}
