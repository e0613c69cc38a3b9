// mremap: grow in place, move, shrink, to a fixed address, and its errors.
#include "check.h"

#include <sys/mman.h>

enum { PAGE = 4096 };

static char *map(size_t pages) {
    char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(p != MAP_FAILED);
    for (size_t i = 0; i < pages; i++) p[i * PAGE] = (char)('a' + i);
    return p;
}

static void check(const char *p, size_t pages) {
    for (size_t i = 0; i < pages; i++) EXPECT(p[i * PAGE] == (char)('a' + i));
}

int main(void) {
    char *p = map(4);
    // Make room behind it, then grow into it.
    char *q = mremap(p, 4 * PAGE, 1024 * PAGE, MREMAP_MAYMOVE);
    NEED(q != MAP_FAILED);
    check(q, 4);
    EXPECT(q[4 * PAGE] == 0 && q[1023 * PAGE] == 0);
    q[1023 * PAGE] = 'z';
    EXPECT(mremap(q, 1024 * PAGE, 2 * PAGE, 0) == q);
    check(q, 2);
    EXPECT(mremap(q, 2 * PAGE, 1024 * PAGE, 0) == q && q[1023 * PAGE] == 0 && q[2 * PAGE] == 0);
    part("grow and shrink");

    char *wall = mmap(q + 1024 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    NEED(wall == q + 1024 * PAGE);
    FAILS(mremap(q, 1024 * PAGE, 1025 * PAGE, 0), ENOMEM);
    char *moved = mremap(q, 1024 * PAGE, 2000 * PAGE, MREMAP_MAYMOVE);
    NEED(moved != MAP_FAILED && moved != q);
    check(moved, 2);
    unsigned char vec;
    FAILS(mincore(q, PAGE, &vec), ENOMEM);
    part("move");

    char *place = map(4);
    EXPECT(mremap(moved, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    check(place, 4);
    EXPECT(munmap(moved, 2000 * PAGE) == 0);
    part("fixed");

    // The middle of a mapping moves out of it.
    char *four = map(4);
    char *middle = mremap(four + PAGE, PAGE, 8 * PAGE, MREMAP_MAYMOVE);
    EXPECT(middle != MAP_FAILED && middle[0] == 'b' && four[0] == 'a' && four[2 * PAGE] == 'c');
    FAILS(mremap(four + 1, PAGE, PAGE, 0), EINVAL);
    FAILS(mremap(four, PAGE, 0, 0), EINVAL);
    FAILS(mremap(four, PAGE, PAGE, 0x100), EINVAL);
    FAILS(mremap((void *)PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    FAILS(mremap(four, PAGE, PAGE, MREMAP_FIXED, place), EINVAL);

    // realloc of large blocks is built on it.
    size_t size = 1 << 20;
    unsigned char *block = malloc(size);
    for (size_t i = 0; i < size; i++) block[i] = (unsigned char)(i * 31);
    for (; size < 64u << 20; size *= 2) NEED((block = realloc(block, size * 2)) != NULL);
    size_t wrong = 0;
    for (size_t i = 0; i < 1 << 20; i++) wrong += block[i] != (unsigned char)(i * 31);
    EXPECT(wrong == 0);
    free(block);
    return done();
}
