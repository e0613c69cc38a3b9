// pthread_cancel of a C++ thread blocked in read: the stack is unwound, destructors run, catch (...) sees it.
#include <cstdio>
#include <pthread.h>
#include <unistd.h>

namespace {
int ends[2];
volatile int started;

struct Guard {
    const char *name;
    ~Guard() { std::printf("destructor of %s\n", name); }
};

void block() {
    Guard guard{"inner"};
    char byte;
    started = 1;
    if (read(ends[0], &byte, 1) < 0) std::printf("read returned\n");
}

void *run(void *) {
    Guard guard{"outer"};
    try {
        block();
    } catch (...) {
        std::printf("catch all\n");
        throw;
    }
    return nullptr;
}
}  // namespace

int main() {
    pthread_t thread;
    void *result = nullptr;
    if (pipe(ends) != 0 || pthread_create(&thread, nullptr, run, nullptr) != 0) return 1;
    while (!started) usleep(1000);
    usleep(50000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    std::printf("%s\n", result == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
    return 0;
}
