// A system call changes rax, rcx and r11 and nothing else: all other general registers, and all the vector
// registers that the CPU has, keep their values at a site of every technique.
#include "check.h"

#include <cpuid.h>

enum { GENERAL = 12, MASKS = 8, VECTORS = 32, WIDTH = 64 };

// probes.S knows the offsets.
struct state {
    uint64_t general[GENERAL];  // rbx rbp rdi rsi rdx r8 r9 r10 r12 r13 r14 r15
    uint64_t result, unused[3];
    uint64_t mask[MASKS];
    unsigned char vector[VECTORS][WIDTH];
};

typedef void probe(struct state *out, const struct state *in, int level);
probe probe_mov, probe_before, probe_hop, probe_after;

static int vector_level(void) {
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & bit_AVX2)) return 0;
    return (low & 0xe0) == 0xe0 && (b & bit_AVX512F) && (b & bit_AVX512BW) ? 2 : 1;
}

static void fill(struct state *state, unsigned seed) {
    unsigned char *bytes = (unsigned char *)state;
    for (size_t i = 0; i < sizeof *state; i++) bytes[i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
}

int main(void) {
    static const struct {
        const char *name;
        probe *run;
    } probes[] = {{"mov before", probe_mov}, {"instructions before", probe_before}, {"hop", probe_hop}, {"after", probe_after}};
    const int level = vector_level();
    const int width = level == 0 ? 16 : level == 1 ? 32 : 64;
    for (unsigned i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        part(probes[i].name);
        for (unsigned seed = 1; seed <= 50; seed++) {
            struct state in, out;
            fill(&in, seed);
            fill(&out, seed + 1000);
            probes[i].run(&out, &in, level);
            EXPECT(out.result == (uint64_t)getpid());
            for (int n = 0; n < GENERAL; n++) EXPECT(out.general[n] == in.general[n]);
            for (int n = 0; n < (level == 2 ? 32 : 16); n++) EXPECT(memcmp(out.vector[n], in.vector[n], width) == 0);
            for (int n = 1; level == 2 && n < MASKS; n++) EXPECT(out.mask[n] == in.mask[n]);
        }
    }
    return done();
}
