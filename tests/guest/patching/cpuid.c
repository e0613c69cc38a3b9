// `cpuid` at sites of every technique answers as the instruction does in code that nobody patches, and changes rax, rbx, rcx and
// rdx and nothing else. Signals may come in its middle.
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

// cpuid_sites.S knows the offsets.
struct question {
    uint64_t leaf, subleaf, pattern, flags;
};
struct answer {
    uint64_t rax, rbx, rcx, rdx, r11, top_of_red_zone, end_of_red_zone, flags, rdi;
    unsigned char xmm5[16];
};

typedef void asks(const struct question *in, struct answer *out);
asks cpuid_mov, cpuid_before, cpuid_hop, cpuid_after;

// cpuid_before's code without its site: mov (%rdi),%rax; mov 8(%rdi),%rcx; push %rbx; cpuid; the four stores; pop %rbx; ret.
static const unsigned char code[] = {0x48, 0x8b, 0x07, 0x48, 0x8b, 0x4f, 0x08, 0x53, 0x49, 0x89, 0xf0, 0x0f, 0xa2,
                                     0x49, 0x89, 0x00, 0x49, 0x89, 0x58, 0x08, 0x49, 0x89, 0x48, 0x10,
                                     0x49, 0x89, 0x50, 0x18, 0x5b, 0xc3};
static asks *plain;
static volatile int handled;

static void handler(int signal) {
    (void)signal;
    handled++;
}

enum { CARRY = 1, DIRECTION = 0x400, OVERFLOW = 0x800, WANTED = CARRY | DIRECTION | OVERFLOW };

static void compare(asks *site, uint64_t leaf, uint64_t subleaf) {
    const struct question in = {leaf, subleaf, 0x1122334455667788 ^ leaf, 0x202 | WANTED};
    struct answer expected, out;
    plain(&in, &expected);
    memset(&out, 0, sizeof out);
    site(&in, &out);
    // The number of the processor may differ, where the thread has moved.
    const uint64_t moved = leaf == 1 ? 0xff000000 : 0;
    EXPECT(out.rax == expected.rax && out.rcx == expected.rcx);
    EXPECT((out.rbx | moved) == (expected.rbx | moved));
    EXPECT(out.rdx == expected.rdx || leaf == 0xb || leaf == 0x1f);
    EXPECT(out.r11 == in.pattern && out.top_of_red_zone == in.pattern && out.end_of_red_zone == in.pattern);
    EXPECT((out.flags & WANTED) == WANTED && out.rdi == (uint64_t)&in);
}

static void all(asks *site, const char *name, int only) {
    static const uint64_t leaves[] = {0, 1, 2, 4, 5, 7, 0xb, 0xd, 0x14, 0x80000000, 0x80000001, 0x80000004, 0x80000008, 0x40000000, 0x12345};
    part(name);
    for (unsigned i = 0; i < sizeof leaves / sizeof leaves[0]; i++)
        for (uint64_t subleaf = 0; subleaf < 4; subleaf++)
            if (only < 0 || leaves[i] == (uint64_t)only) compare(site, leaves[i], subleaf);
    // The upper halves of what goes in do not count.
    compare(site, 0xffffffff00000007, 0xabcd000000000000);
}

int main(void) {
    struct itimerval often = {.it_value = {0, 1000}, .it_interval = {0, 1000}}, never = {0};
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(page != MAP_FAILED);
    memcpy(page, code, sizeof code);
    NEED(mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0);
    plain = (asks *)page;
    all(cpuid_mov, "mov before", 7);
    all(cpuid_before, "instructions before", -1);
    all(cpuid_hop, "hop", -1);
    all(cpuid_after, "after", -1);
    part("signals");
    signal(SIGALRM, handler);
    NEED(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (handled < 50) {
        compare(cpuid_mov, 7, 1);
        compare(cpuid_before, 4, 2);
        compare(cpuid_hop, 0xd, 1);
        compare(cpuid_after, 0xd, 2);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    return done();
}
