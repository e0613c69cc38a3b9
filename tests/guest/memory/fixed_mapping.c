// MAP_FIXED replaces, MAP_FIXED_NOREPLACE refuses, hints are taken when free, huge reservations cost nothing.
#include "check.h"

#include <sys/mman.h>

enum { PAGE = 4096 };
enum { ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static void fixed(void) {
    char *p = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
    NEED(p != MAP_FAILED);
    memset(p, 'o', 8 * PAGE);
    EXPECT(mmap(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0) == p + 2 * PAGE);
    EXPECT(p[2 * PAGE - 1] == 'o' && p[2 * PAGE] == 0 && p[4 * PAGE - 1] == 0 && p[4 * PAGE] == 'o');
    FAILS(mmap(p, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    munmap(p + 3 * PAGE, PAGE);
    EXPECT(mmap(p + 3 * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0) == p + 3 * PAGE);
    munmap(p, 8 * PAGE);
    EXPECT(mmap(p, PAGE, PROT_READ, ANON, -1, 0) == p);
    char *elsewhere = mmap(p, PAGE, PROT_READ, ANON, -1, 0);
    EXPECT(elsewhere != MAP_FAILED && elsewhere != p);
    munmap(p, PAGE), munmap(elsewhere, PAGE);
    char *low = mmap((void *)0x10000000, PAGE, PROT_READ | PROT_WRITE, ANON | MAP_FIXED_NOREPLACE, -1, 0);
    EXPECT(low == (char *)0x10000000);
    *low = 1;
    char *below_4g = mmap(NULL, PAGE, PROT_READ, ANON | MAP_32BIT, -1, 0);
    EXPECT((uintptr_t)below_4g < 1ul << 31);
    FAILS(mmap((void *)(1ul << 47), PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0), ENOMEM);
}

static void reservation(void) {
    const size_t terabyte = 1ul << 40;
    char *p = mmap(NULL, terabyte, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
    NEED(p != MAP_FAILED);
    for (size_t at = 0; at < terabyte; at += terabyte / 16) {
        EXPECT(mprotect(p + at, 2 * PAGE, PROT_READ | PROT_WRITE) == 0);
        p[at] = 'r';
        EXPECT(p[at + PAGE] == 0);
    }
    EXPECT(p[terabyte / 2] == 'r');
    EXPECT(mmap(p + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + PAGE && p[0] == 'r');
    EXPECT(munmap(p, terabyte) == 0);
    p = mmap(NULL, 64ul << 30, PROT_READ | PROT_WRITE, ANON | MAP_NORESERVE, -1, 0);
    NEED(p != MAP_FAILED);
    for (size_t at = 0; at < 64ul << 30; at += 1ul << 30) p[at] = 1;
    EXPECT(munmap(p, 64ul << 30) == 0);
}

static void many(void) {
    // Alternating protections keep the mappings apart.
    char *p = mmap(NULL, 4000 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
    NEED(p != MAP_FAILED);
    for (int i = 0; i < 4000; i += 2) NEED(mprotect(p + i * PAGE, PAGE, PROT_READ) == 0);
    for (int i = 1; i < 4000; i += 2) p[i * PAGE] = (char)i;
    for (int i = 0; i < 4000; i++) EXPECT(p[i * PAGE] == (i % 2 ? (char)i : 0));
    for (int i = 0; i < 4000; i += 4) EXPECT(munmap(p + i * PAGE, PAGE) == 0);
    EXPECT(munmap(p, 4000 * PAGE) == 0);
}

int main(void) {
    fixed();
    part("fixed");
    reservation();
    part("reservation");
    many();
    return done();
}
