// mmap of anonymous memory: zero-filled, page-aligned, protections, munmap of parts.
#include "check.h"

#include <sys/mman.h>

static char *map(size_t length, int prot, int flags) {
    char *p = mmap(NULL, length, prot, MAP_ANONYMOUS | flags, -1, 0);
    NEED(p != MAP_FAILED);
    return p;
}

static void zero_filled(void) {
    const size_t length = 3 << 20;
    char *p = map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    EXPECT(((uintptr_t)p & 4095) == 0);
    size_t wrong = 0;
    for (size_t i = 0; i < length; i++) wrong += p[i] != 0;
    EXPECT(wrong == 0);
    memset(p, 7, length);
    EXPECT(munmap(p, length) == 0);
    // Freed memory that comes back is zero again.
    p = map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (size_t i = 0; i < length; i += 4096) wrong += p[i] != 0;
    EXPECT(wrong == 0);
    munmap(p, length);
}

static void in_parts(void) {
    char *p = map(10 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (int i = 0; i < 10; i++) p[i * 4096] = (char)i;
    EXPECT(munmap(p + 2 * 4096, 3 * 4096) == 0);
    EXPECT(p[4096] == 1 && p[5 * 4096] == 5);
    unsigned char vec[10];
    FAILS(mincore(p, 10 * 4096, vec), ENOMEM);
    EXPECT(mincore(p, 2 * 4096, vec) == 0 && (vec[0] & 1) && (vec[1] & 1));
    EXPECT(munmap(p, 10 * 4096) == 0);
    EXPECT(munmap(p, 10 * 4096) == 0);
}

static void shared(void) {
    int *p = (int *)map(8192, PROT_READ | PROT_WRITE, MAP_SHARED);
    p[0] = 1, p[1024] = 2;
    EXPECT(p[0] == 1 && p[1024] == 2 && msync(p, 8192, MS_SYNC) == 0);
    EXPECT(munmap(p, 8192) == 0);
}

static void populated(void) {
    char *p = map(1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE);
    unsigned char vec[256];
    EXPECT(mincore(p, 1 << 20, vec) == 0);
    for (int i = 0; i < 256; i++) EXPECT(vec[i] & 1);
    EXPECT(mlock(p, 8192) == 0 && munlock(p, 8192) == 0);
    munmap(p, 1 << 20);
}

static void errors(void) {
    FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    FAILS(mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    FAILS(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
    FAILS(mmap((void *)1, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
    FAILS(munmap((void *)1, 4096), EINVAL);
    FAILS(munmap((void *)4096, 0), EINVAL);
    FAILS(msync((void *)4096, 4096, MS_SYNC), ENOMEM);
    FAILS(mprotect((void *)4096, 4096, PROT_READ), ENOMEM);
}

int main(void) {
    zero_filled();
    part("zero-filled");
    in_parts();
    part("in parts");
    shared();
    populated();
    part("populated");
    errors();
    return done();
}
