// Unwinders find their way through the frame of a handler, with the registers that were interrupted: an exception that is
// thrown from one, and a backtrace. (patching/cancel.c has threads that are cancelled.)
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <execinfo.h>

struct Marker {
    const char *name;
    ~Marker() { std::printf("%s destroyed\n", name); }
};

static void throws(int, siginfo_t *info, void *) { throw info->si_signo; }

// Its values are in registers that calls keep, and must be there again for whoever catches.
[[gnu::noinline]] static long touch(volatile const int *place, long a, long b, long c, long d, long e) {
    long sum = 0;
    try {
        Marker marker{"touching"};
        sum = *place;
    } catch (int number) {
        sum = a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * number;
    }
    return sum;
}

static std::atomic<int> seen;

[[gnu::noinline]] static void interrupted() {
    std::raise(SIGUSR1);
    asm volatile("" ::: "memory");
}

static void looks_back(int) {
    void *frames[64];
    int count = backtrace(frames, 64);
    auto start = reinterpret_cast<std::uintptr_t>(&interrupted);
    for (int i = 0; i < count; i++) {
        auto at = reinterpret_cast<std::uintptr_t>(frames[i]);
        if (at > start && at < start + 64) seen++;
    }
}

int main() {
    struct sigaction action = {};
    action.sa_sigaction = throws;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, nullptr);
    for (long i = 1; i <= 3; i++) std::printf("caught %ld\n", touch(nullptr, i, i, i, i, i));
    std::signal(SIGUSR1, looks_back);
    interrupted();
    std::printf("seen %d\n", seen.load());
}
