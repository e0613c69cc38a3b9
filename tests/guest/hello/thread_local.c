// Thread-local variables: initialised, zero-filled, aligned, and one copy each thread.
#include "check.h"

#include <pthread.h>

static _Thread_local int initialised = 42;
static _Thread_local char zeroed[4096];
static _Thread_local struct { _Alignas(64) int value; } aligned = {7};

static void *look(void *seen) {
    EXPECT(initialised == 42 && aligned.value == 7);
    EXPECT(((uintptr_t)&aligned & 63) == 0);
    for (size_t i = 0; i < sizeof zeroed; i++) EXPECT(zeroed[i] == 0);
    initialised = 1;
    memset(zeroed, 1, sizeof zeroed);
    *(void **)seen = &initialised;
    return NULL;
}

int main(void) {
    void *seen[4];
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        NEED(pthread_create(&thread, NULL, look, &seen[i]) == 0);
        NEED(pthread_join(thread, NULL) == 0);
        EXPECT(seen[i] != (void *)&initialised);
    }
    look(&seen[0]);
    EXPECT(seen[0] == (void *)&initialised && initialised == 1);
    return done();
}
