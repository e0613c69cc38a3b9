// Code of the program mapped a second time, and what mprotect, madvise and mremap do to it.
#include "sites.h"

#include <fcntl.h>
#include <sys/mman.h>

extern char __executable_start[];

static const int RX = PROT_READ | PROT_EXEC;
static size_t size;

// Where a function of this program lies in the copy.
static void *in_copy(char *copy, const void *function) { return copy + ((const char *)function - __executable_start); }

// The sites that touch no data, which the copy does not share.
static int all_work(char *copy) {
    long (*const functions[])(long, long, long, long, long) = {t0_call, t2_call, t3_call};
    for (int i = 0; i < 3; i++) {
        long (*call)(long, long, long, long, long) = (void *)in_copy(copy, (void *)functions[i]);
        if (call(SYS_getppid, 0, 0, 0, 0) != getppid()) return 0;
    }
    return 1;
}

static char *map(int fd, int protection) {
    char *copy = mmap(NULL, size, protection, MAP_PRIVATE, fd, 0);
    NEED(copy != MAP_FAILED);
    return copy;
}

int main(void) {
    int fd = open("/proc/self/exe", O_RDONLY);
    NEED(fd >= 0);
    size = ((size_t)((char *)main - __executable_start) | 0xffff) + 1;
    part("executable from the start");
    char *copy = map(fd, RX);
    EXPECT(all_work(copy));
    part("not executable for a while");
    EXPECT(mprotect(copy, size, PROT_READ) == 0);
    EXPECT(mprotect(copy, size, RX) == 0);
    EXPECT(all_work(copy));
    part("discarded, whole and by the page");
    for (size_t at = 0; at < size; at += 4096) {
        EXPECT(madvise(copy + at, 4096, MADV_DONTNEED) == 0);
        EXPECT(all_work(copy));
    }
    EXPECT(madvise(copy, size, MADV_DONTNEED) == 0);
    EXPECT(all_work(copy));
    part("read before it is executable");
    char *late = map(fd, PROT_READ);
    EXPECT(memcmp(late, "\177ELF", 4) == 0 && *(char *)in_copy(late, (void *)main) == *(char *)main);
    EXPECT(mprotect(late, size, RX) == 0);
    EXPECT(all_work(late));
    part("unmapped, and mapped again at the same place");
    EXPECT(munmap(late, size) == 0);
    EXPECT(mmap(late, size, RX, MAP_PRIVATE | MAP_FIXED, fd, 0) == late);
    EXPECT(all_work(late));
    return done();
}
