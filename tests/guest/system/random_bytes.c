// getrandom, getentropy, and that no two runs or calls give the same.
#include "check.h"

#include <sys/random.h>

int main(void) {
    unsigned char a[256], b[256];
    EXPECT(getrandom(a, sizeof a, 0) == sizeof a && getrandom(b, sizeof b, GRND_NONBLOCK) == sizeof b);
    EXPECT(memcmp(a, b, sizeof a) != 0);
    EXPECT(getrandom(a, 1, GRND_RANDOM) == 1 && getrandom(a, 0, 0) == 0);
    EXPECT(getrandom(a, sizeof a, GRND_INSECURE) == sizeof a);
    EXPECT(getentropy(b, 32) == 0);
    FAILS(getentropy(b, 257), EIO);
    FAILS(getrandom(a, 1, 0x100), EINVAL);
    FAILS(getrandom((void *)8, 16, 0), EFAULT);
    static unsigned char large[1 << 20];
    long ones = 0;
    EXPECT(getrandom(large, sizeof large, 0) == sizeof large);
    for (size_t i = 0; i < sizeof large; i++) ones += __builtin_popcount(large[i]);
    EXPECT(labs(ones - 4 * (long)sizeof large) < 20000);
    return done();
}
