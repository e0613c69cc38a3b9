// O_APPEND, files that are open but no longer named, O_TMPFILE.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static void appending(void) {
    int a = open("log", O_CREAT | O_WRONLY | O_APPEND, 0644), b = open("log", O_RDWR | O_APPEND);
    NEED(a >= 0 && b >= 0);
    EXPECT(write(a, "one\n", 4) == 4 && write(b, "two\n", 4) == 4 && write(a, "three\n", 6) == 6);
    EXPECT(lseek(a, 0, SEEK_CUR) == 14);
    EXPECT(lseek(a, 0, SEEK_SET) == 0 && write(a, "four\n", 5) == 5);
    char text[64] = "";
    EXPECT(pread(b, text, 63, 0) == 19);
    printf("%s", text);
    // The flag can be taken away and set again.
    EXPECT(fcntl(b, F_SETFL, 0) == 0 && lseek(b, 0, SEEK_SET) == 0 && write(b, "ONE", 3) == 3);
    EXPECT(pread(b, text, 3, 0) == 3 && memcmp(text, "ONE", 3) == 0);
    EXPECT(fcntl(b, F_SETFL, O_APPEND) == 0 && (fcntl(b, F_GETFL) & O_APPEND) != 0);
    EXPECT(write(b, "five\n", 5) == 5 && lseek(b, 0, SEEK_END) == 24);
    close(a), close(b);
}

static void unnamed(void) {
    int fd = open("gone", O_CREAT | O_RDWR, 0644);
    struct stat st;
    EXPECT(write(fd, "still here", 10) == 10);
    EXPECT(unlink("gone") == 0);
    FAILS(stat("gone", &st), ENOENT);
    char text[16] = "";
    EXPECT(pread(fd, text, 10, 0) == 10 && strcmp(text, "still here") == 0);
    EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 10);
    // A new file of that name is another file.
    int other = open("gone", O_CREAT | O_EXCL | O_RDWR, 0644);
    EXPECT(other >= 0 && read(other, text, 10) == 0);
    EXPECT(write(fd, "!", 1) == 1 && fstat(other, &st) == 0 && st.st_size == 0);
    close(fd), close(other);
    FAILS(unlink("none"), ENOENT);
    FAILS(unlink("."), EISDIR);
}

static void temporary(void) {
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    NEED(fd >= 0);
    struct stat st;
    EXPECT(write(fd, "temporary", 9) == 9 && fstat(fd, &st) == 0 && st.st_nlink == 0);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    EXPECT(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
    EXPECT(stat("named", &st) == 0 && st.st_size == 9 && st.st_nlink == 1);
    close(fd);
    FILE *file = tmpfile();
    EXPECT(file != NULL && fprintf(file, "text") == 4 && fseek(file, 1, SEEK_SET) == 0 && fgetc(file) == 'e');
}

int main(void) {
    enter_scratch();
    appending();
    part("append");
    unnamed();
    part("unnamed");
    temporary();
    return done();
}
