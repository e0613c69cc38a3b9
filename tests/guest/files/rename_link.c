// rename, renameat2, hard and symbolic links.
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(name, "w");
    NEED(file != NULL);
    fputs(text, file);
    fclose(file);
}

static void show(const char *name) {
    char text[64] = "(absent)";
    FILE *file = fopen(name, "r");
    if (file != NULL) {
        text[fread(text, 1, 63, file)] = 0;
        fclose(file);
    }
    printf("%s: %s\n", name, text);
}

static nlink_t links(const char *name) {
    struct stat st;
    return lstat(name, &st) == 0 ? st.st_nlink : 0;
}

static void renames(void) {
    write_file("a", "first");
    write_file("b", "second");
    EXPECT(rename("a", "b") == 0);
    show("a"), show("b");
    write_file("a", "third");
    FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE), EEXIST);
    EXPECT(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
    show("a"), show("b");
    FAILS(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 0x80), EINVAL);
    FAILS(rename("none", "b"), ENOENT);
    EXPECT(rename("a", "a") == 0);
}

static void directories(void) {
    EXPECT(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0 && mkdir("f", 0755) == 0);
    FAILS(rename("d", "d/e/x"), EINVAL);
    FAILS(rename("f", "d"), ENOTEMPTY);
    FAILS(rename("a", "d"), EISDIR);
    FAILS(rename("d", "a"), ENOTDIR);
    EXPECT(rename("d/e", "f") == 0 && links("f") == 2 && links("d") == 2);
    EXPECT(rename("a", "f/moved") == 0);
    show("f/moved");
}

static void hard_links(void) {
    write_file("x", "linked");
    EXPECT(link("x", "y") == 0 && links("x") == 2);
    FAILS(link("x", "y"), EEXIST);
    FAILS(link("d", "dd"), EPERM);
    // Both names are one file: rename does nothing.
    EXPECT(rename("x", "y") == 0 && links("x") == 2 && links("y") == 2);
    EXPECT(unlink("x") == 0 && links("y") == 1);
    show("y");
}

static void symbolic_links(void) {
    char target[32] = "";
    EXPECT(symlink("y", "s") == 0);
    EXPECT(readlink("s", target, sizeof target) == 1 && target[0] == 'y');
    show("s");
    EXPECT(symlink("a-long-target-name", "t") == 0);
    memset(target, 0, sizeof target);
    EXPECT(readlink("t", target, 6) == 6);
    printf("%s\n", target);
    FAILS(readlink("y", target, sizeof target), EINVAL);
    FAILS(readlink("s", target, 0), EINVAL);
    FAILS(symlink("y", "s"), EEXIST);
    FAILS(symlink("", "u"), ENOENT);
    EXPECT(link("s", "hard-s") == 0 && links("s") == 2);
    EXPECT(rename("s", "s2") == 0 && links("y") == 1);
    EXPECT(unlink("s2") == 0 && access("y", F_OK) == 0);
    EXPECT(symlink("loop2", "loop1") == 0 && symlink("loop1", "loop2") == 0);
    FAILS(open("loop1", O_RDONLY), ELOOP);
}

int main(void) {
    enter_scratch();
    renames();
    part("rename");
    directories();
    part("directories");
    hard_links();
    part("hard links");
    symbolic_links();
    return done();
}
