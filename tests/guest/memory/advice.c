// madvise: DONTNEED drops private memory, file pages come back, unknown advice is refused.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

int main(void) {
    enter_scratch();
    char *p = mmap(NULL, 1024 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(p != MAP_FAILED);
    memset(p, 'x', 1024 * PAGE);
    EXPECT(madvise(p + 10 * PAGE, 600 * PAGE, MADV_DONTNEED) == 0);
    EXPECT(p[10 * PAGE - 1] == 'x' && p[10 * PAGE] == 0 && p[610 * PAGE - 1] == 0 && p[610 * PAGE] == 'x');
    p[20 * PAGE] = 'y';
    EXPECT(p[20 * PAGE] == 'y' && p[21 * PAGE] == 0);
    part("anonymous");

    int fd = open("f", O_CREAT | O_RDWR, 0644);
    NEED(fd >= 0 && write(fd, "file", 4) == 4);
    char *f = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    NEED(f != MAP_FAILED);
    f[0] = 'F';
    EXPECT(madvise(f, PAGE, MADV_DONTNEED) == 0 && f[0] == 'f');
    char *s = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    s[0] = 'S';
    EXPECT(madvise(s, PAGE, MADV_DONTNEED) == 0 && s[0] == 'S');
    part("file");

    const int hints[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTFORK, MADV_DOFORK,
                         MADV_DONTDUMP, MADV_DODUMP};
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) EXPECT(madvise(p, 2 * PAGE, hints[i]) == 0);
    EXPECT(p[0] == 'x');
    // Freed lazily: either still there or zero, and a write keeps it.
    EXPECT(madvise(p, PAGE, MADV_FREE) == 0 && (p[0] == 'x' || p[0] == 0));
    p[0] = 'w';
    EXPECT(p[0] == 'w');
    FAILS(madvise(p, PAGE, 12345), EINVAL);
    FAILS(madvise(p, PAGE, MADV_REMOVE), EINVAL);
    FAILS(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL);
    EXPECT(madvise(p, 0, MADV_DONTNEED) == 0);
    munmap(p + PAGE, PAGE);
    FAILS(madvise(p, 3 * PAGE, MADV_DONTNEED), ENOMEM);
    EXPECT(p[0] == 0 && p[2 * PAGE] == 0);
    return done();
}
