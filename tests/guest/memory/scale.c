// Reservations of terabytes, as many mappings as the system allows (100,000 at most), and protections that change often.
#include "check.h"

#include <sys/mman.h>

enum { PAGE = 4096, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

// As the address sanitizer does it for its shadow, and as run-times with huge heaps do.
static void reservations(void) {
    const size_t terabyte = 1ul << 40;
    char *shadow = (char *)0x7fff8000;
    EXPECT(mmap(shadow, 14 * terabyte, PROT_READ | PROT_WRITE, ANON | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) == shadow);
    for (size_t at = 0; at < 14 * terabyte; at += terabyte / 2) shadow[at] = 1;
    EXPECT(shadow[terabyte] == 1 && shadow[terabyte + 1] == 0);
    EXPECT(madvise(shadow, 14 * terabyte, MADV_DONTNEED) == 0 && shadow[terabyte] == 0);
    EXPECT(madvise(shadow, 14 * terabyte, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    EXPECT(mprotect(shadow + terabyte, terabyte, PROT_NONE) == 0);
    EXPECT(munmap(shadow, 14 * terabyte) == 0);
    char *heaps[8];
    for (int i = 0; i < 8; i++) {
        heaps[i] = mmap(NULL, terabyte, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
        NEED(heaps[i] != MAP_FAILED);
        EXPECT(mprotect(heaps[i] + terabyte / 2, 2 << 20, PROT_READ | PROT_WRITE) == 0);
        heaps[i][terabyte / 2 + 100] = (char)i;
    }
    for (int i = 0; i < 8; i++) EXPECT(heaps[i][terabyte / 2 + 100] == i && munmap(heaps[i], terabyte) == 0);
}

static int mappings_allowed(void) {
    FILE *file = fopen("/proc/sys/vm/max_map_count", "r");
    int count = 0;
    NEED(file != NULL && fscanf(file, "%d", &count) == 1);
    fclose(file);
    return count - 1000 < 100000 ? count - 1000 : 100000;
}

// Each is a call of its own, and no two can be joined.
static void many(void) {
    int count = mappings_allowed();
    NEED(count > 10000);
    char **at = malloc((size_t)count * sizeof *at);
    for (int i = 0; i < count; i++) {
        at[i] = mmap(NULL, PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ, ANON, -1, 0);
        NEED(at[i] != MAP_FAILED);
        if (i % 2) at[i][0] = (char)i;
    }
    for (int i = 0; i < count; i++) EXPECT(at[i][0] == (i % 2 ? (char)i : 0));
    // Holes in between are found again.
    for (int i = 0; i < count; i += 30) EXPECT(munmap(at[i], PAGE) == 0);
    for (int i = 0; i < count; i += 30) {
        at[i] = mmap(NULL, PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ, ANON, -1, 0);
        NEED(at[i] != MAP_FAILED && at[i][0] == 0);
    }
    // They stay to the end of the program.
    free(at);
}

// As a compiler of code at run time does: write, protect, use, again.
static void protections(void) {
    enum { PAGES = 64 };
    unsigned char *code = mmap(NULL, PAGES * PAGE, PROT_NONE, ANON, -1, 0);
    NEED(code != MAP_FAILED);
    int sum = 0;
    for (int round = 0; round < 2000; round++) {
        unsigned char *page = code + round % PAGES * PAGE;
        NEED(mprotect(page, PAGE, PROT_READ | PROT_WRITE) == 0);
        // mov $round, %eax; ret
        memcpy(page, (unsigned char[]){0xb8, (unsigned char)round, (unsigned char)(round >> 8), 0, 0, 0xc3}, 6);
        NEED(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0);
        sum += ((int (*)(void))(uintptr_t)page)();
    }
    printf("sum %d\n", sum);
    munmap(code, PAGES * PAGE);
}

int main(void) {
    reservations();
    part("reservations");
    protections();
    many();
    return done();
}
