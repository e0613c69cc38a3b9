// What is in memory, and who says so: mincore, mlock and its kin, smaps, status.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { PAGE = 4096, COUNT = 256, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

// A value in kB after `name` in the block of smaps that describes the mapping at `p`, or of the whole file without one.
static long kilobytes(const char *path, const void *p, const char *name) {
    FILE *file = fopen(path, "r");
    NEED(file != NULL);
    char line[512];
    long value = -1;
    int inside = p == NULL;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long from, to;
        if (p != NULL && sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, '-') < strchr(line, ' '))
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        size_t length = strlen(name);
        if (inside && strncmp(line, name, length) == 0 && line[length] == ':') value = strtol(line + length + 1, NULL, 10);
    }
    fclose(file);
    return value;
}

static long smaps(const void *p, const char *name) { return kilobytes("/proc/self/smaps", p, name); }
static long status(const char *name) { return kilobytes("/proc/self/status", NULL, name); }

static int resident(void *p) {
    unsigned char pages[COUNT];
    int count = 0;
    NEED(mincore(p, COUNT * PAGE, pages) == 0);
    for (int i = 0; i < COUNT; i++) count += pages[i] & 1;
    return count;
}

static char *map(void) {
    char *p = mmap(NULL, COUNT * PAGE, PROT_READ | PROT_WRITE, ANON | MAP_NORESERVE, -1, 0);
    NEED(p != MAP_FAILED && madvise(p, COUNT * PAGE, MADV_NOHUGEPAGE) == 0);
    return p;
}

static void counting(void) {
    char *p = map();
    memset(p, 1, COUNT * PAGE);
    EXPECT(resident(p) == COUNT);
    EXPECT(smaps(p, "Size") >= COUNT * 4 && smaps(p, "Rss") >= COUNT * 4 && smaps(p, "Anonymous") >= COUNT * 4);
    EXPECT(smaps(p, "Private_Dirty") >= COUNT * 4 && smaps(p, "Swap") == 0);
    // Linux counts these two in batches.
    long before = status("VmRSS");
    EXPECT(madvise(p, COUNT * PAGE, MADV_DONTNEED) == 0);
    EXPECT(resident(p) == 0 && status("VmRSS") < before - COUNT * 2 && status("VmHWM") > before - COUNT * 2);
    long rollup = kilobytes("/proc/self/smaps_rollup", NULL, "Rss");
    EXPECT(rollup > 0 && rollup < status("VmHWM") + COUNT * 4);
    FAILS(mincore(p + 1, PAGE, (unsigned char *)p), EINVAL);
    EXPECT(munmap(p, COUNT * PAGE) == 0);
    unsigned char page;
    FAILS(mincore(p, PAGE, &page), ENOMEM);
    p = map();
    FAILS(mincore(p, PAGE, (unsigned char *)8), EFAULT);
    munmap(p, COUNT * PAGE);
}

static void locking(void) {
    struct rlimit limit;
    NEED(getrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    EXPECT(status("VmLck") == 0);
    char *p = map();
    NEED(mlock(p + 1, 9 * PAGE) == 0);
    EXPECT(resident(p) >= 10 && status("VmLck") == 40 && smaps(p, "Locked") >= 40);
    EXPECT(munlock(p, 5 * PAGE) == 0 && status("VmLck") == 20);
    // Locked twice counts once.
    EXPECT(mlock(p + 4 * PAGE, 4 * PAGE) == 0 && status("VmLck") == 24);
    FAILS(madvise(p, COUNT * PAGE, MADV_DONTNEED), EINVAL);
    EXPECT(mlock2(p + 100 * PAGE, 10 * PAGE, MLOCK_ONFAULT) == 0 && status("VmLck") == 64);
    EXPECT(munmap(p, COUNT * PAGE) == 0 && status("VmLck") == 0);
    FAILS(mlock(p, PAGE), ENOMEM);
    FAILS(mlock2(p, PAGE, 77), EINVAL);
    p = mmap(NULL, COUNT * PAGE, PROT_READ | PROT_WRITE, ANON | MAP_LOCKED, -1, 0);
    NEED(p != MAP_FAILED);
    EXPECT(resident(p) == COUNT && status("VmLck") == COUNT * 4);
    EXPECT(munlockall() == 0 && status("VmLck") == 0);
    munmap(p, COUNT * PAGE);
    EXPECT(mlockall(MCL_FUTURE) == 0);
    p = map();
    EXPECT(resident(p) == COUNT && status("VmLck") >= COUNT * 4);
    munmap(p, COUNT * PAGE);
    EXPECT(munlockall() == 0);
    FAILS(mlockall(0), EINVAL);
    FAILS(mlockall(0x100), EINVAL);
}

int main(void) {
    counting();
    part("counting");
    locking();
    return done();
}
