// brk and sbrk, malloc in many sizes, and the limits of memory: ENOMEM, not a crash.
#include "check.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

static void program_break(void) {
    char *start = sbrk(0);
    EXPECT(sbrk(10000) == start && sbrk(0) == start + 10000);
    for (int i = 0; i < 10000; i++) EXPECT(start[i] == 0);
    memset(start, 1, 10000);
    EXPECT(brk(start) == 0 && sbrk(0) == start);
    EXPECT(sbrk(8192 + 4096) == start);
    EXPECT(start[8192] == 0);
    EXPECT(brk(start) == 0);
    // The kernel answers an impossible request with the old break.
    EXPECT((char *)syscall(SYS_brk, 16) == start);
    EXPECT(sbrk(1l << 46) == (void *)-1 && errno == ENOMEM);
}

static uint32_t state = 12345;
static uint32_t next(void) { return state = state * 1664525 + 1013904223; }

static void many_sizes(void) {
    enum { SLOTS = 1000 };
    static unsigned char *block[SLOTS];
    static size_t length[SLOTS];
    for (int round = 0; round < 60000; round++) {
        int i = next() >> 8 & 1023;
        if (i >= SLOTS) continue;
        for (size_t j = 0; j < length[i]; j += 509) NEED(block[i][j] == (unsigned char)i);
        free(block[i]);
        length[i] = next() >> (8 + (next() >> 28));
        if (length[i] > 200000) length[i] %= 5000;
        NEED((block[i] = malloc(length[i] + 1)) != NULL);
        memset(block[i], i, length[i] + 1);
    }
    for (int i = 0; i < SLOTS; i++) free(block[i]);
    void *aligned = NULL;
    EXPECT(posix_memalign(&aligned, 1 << 16, 100) == 0 && ((uintptr_t)aligned & 0xffff) == 0);
    free(aligned);
    malloc_trim(0);
}

static void too_much(void) {
    FAILS(mmap(NULL, 1ul << 47, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    volatile size_t huge = 1ul << 46;
    EXPECT(malloc(huge * 4) == NULL);
    struct rlimit old, limit;
    EXPECT(getrlimit(RLIMIT_AS, &old) == 0);
    limit = old;
    limit.rlim_cur = 1ul << 30;
    EXPECT(setrlimit(RLIMIT_AS, &limit) == 0);
    FAILS(mmap(NULL, 2ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), ENOMEM);
    EXPECT(malloc(huge >> 15) == NULL);
    EXPECT(setrlimit(RLIMIT_AS, &old) == 0);
    void *p = mmap(NULL, 2ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    EXPECT(p != MAP_FAILED);
}

int main(void) {
    program_break();
    part("break");
    many_sizes();
    part("many sizes");
    too_much();
    return done();
}
