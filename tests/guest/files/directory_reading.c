// getdents64, readdir, rewinddir, telldir/seekdir, and removal while reading.
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { COUNT = 500 };

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static void sorted(void) {
    struct dirent **entries;
    int count = scandir("d", &entries, NULL, by_name);
    EXPECT(count == COUNT + 4);
    for (int i = 0; i < count; i++) {
        if (i < 6) printf("%s type %d\n", entries[i]->d_name, entries[i]->d_type);
        free(entries[i]);
    }
    free(entries);
}

static void every_entry_once(void) {
    static char seen[COUNT];
    int fd = open("d", O_RDONLY | O_DIRECTORY), total = 0;
    // A small buffer needs many calls, which must continue where the last one stopped.
    char buffer[200];
    long length;
    while ((length = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < length;) {
            struct dirent64 *entry = (struct dirent64 *)(buffer + at);
            EXPECT(entry->d_reclen % 8 == 0 && at + entry->d_reclen <= length);
            int number;
            if (sscanf(entry->d_name, "file-%d", &number) == 1) seen[number]++;
            total++;
            at += entry->d_reclen;
        }
    }
    EXPECT(length == 0 && total == COUNT + 4);
    for (int i = 0; i < COUNT; i++) EXPECT(seen[i] == 1);
    EXPECT(lseek(fd, 0, SEEK_SET) == 0);
    FAILS(syscall(SYS_getdents64, fd, buffer, 4), EINVAL);
    EXPECT(syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
    close(fd);
    fd = open("d/file-1", O_RDONLY);
    FAILS(syscall(SYS_getdents64, fd, buffer, sizeof buffer), ENOTDIR);
    close(fd);
}

static void positions(void) {
    DIR *dir = opendir("d");
    NEED(dir != NULL);
    for (int i = 0; i < 100; i++) NEED(readdir(dir) != NULL);
    long where = telldir(dir);
    char name[256];
    strcpy(name, readdir(dir)->d_name);
    for (int i = 0; i < 50; i++) readdir(dir);
    seekdir(dir, where);
    EXPECT(strcmp(name, readdir(dir)->d_name) == 0);
    rewinddir(dir);
    int total = 0;
    while (readdir(dir) != NULL) total++;
    EXPECT(total == COUNT + 4);
    closedir(dir);
}

static void removal_while_reading(void) {
    DIR *dir = opendir("d");
    NEED(dir != NULL);
    int removed = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_type == DT_REG) removed += unlinkat(dirfd(dir), entry->d_name, 0) == 0;
    }
    EXPECT(removed == COUNT);
    closedir(dir);
    EXPECT(unlink("d/link") == 0 && rmdir("d/sub") == 0 && rmdir("d") == 0);
}

int main(void) {
    enter_scratch();
    NEED(mkdir("d", 0755) == 0 && mkdir("d/sub", 0755) == 0 && symlink("sub", "d/link") == 0);
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "d/file-%d", i);
        NEED(close(open(name, O_CREAT | O_WRONLY, 0644)) == 0);
    }
    sorted();
    every_entry_once();
    part("every entry once");
    positions();
    part("positions");
    removal_while_reading();
    return done();
}
