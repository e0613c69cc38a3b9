// 100 threads at once, 2,000 one after the other, detached ones, small and large stacks.
#include "check.h"

#include <limits.h>
#include <pthread.h>

enum { COUNT = 100 };
static atomic_int running, finished;
static atomic_int go;

static void *wait_for_start(void *number) {
    atomic_fetch_add(&running, 1);
    while (!atomic_load(&go)) sleep_ms(1);
    atomic_fetch_add(&finished, 1);
    return (void *)((intptr_t)number * 3);
}

static void *count_up(void *unused) {
    atomic_fetch_add(&finished, 1);
    return unused;
}

static void *use_stack(void *size) {
    size_t usable = (size_t)size - 16384;
    volatile char *area = __builtin_alloca(usable);
    for (size_t i = 0; i < usable; i += 4096) area[i] = 1;
    return NULL;
}

static void at_once(void) {
    pthread_t threads[COUNT];
    for (intptr_t i = 0; i < COUNT; i++) NEED(pthread_create(&threads[i], NULL, wait_for_start, (void *)i) == 0);
    while (atomic_load(&running) < COUNT) sleep_ms(1);
    atomic_store(&go, 1);
    long sum = 0;
    for (int i = 0; i < COUNT; i++) {
        void *value;
        NEED(pthread_join(threads[i], &value) == 0);
        sum += (intptr_t)value;
    }
    printf("%d finished, sum %ld\n", atomic_load(&finished), sum);
}

static void detached(void) {
    atomic_store(&finished, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    EXPECT(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        NEED(pthread_create(&thread, i % 2 ? &attributes : NULL, count_up, NULL) == 0);
        if (i % 2 == 0) EXPECT(pthread_detach(thread) == 0);
    }
    for (int i = 0; i < 5000 && atomic_load(&finished) < 200; i++) sleep_ms(1);
    EXPECT(atomic_load(&finished) == 200);
}

static void stacks(void) {
    const size_t sizes[] = {PTHREAD_STACK_MIN + 32768, 1 << 20, 64 << 20};
    for (int i = 0; i < 3; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        pthread_attr_init(&attributes);
        NEED(pthread_attr_setstacksize(&attributes, sizes[i]) == 0);
        NEED(pthread_create(&thread, &attributes, use_stack, (void *)(sizes[i] > 1 << 21 ? 1 << 21 : sizes[i])) == 0);
        NEED(pthread_join(thread, NULL) == 0);
    }
}

int main(void) {
    at_once();
    atomic_store(&finished, 0);
    for (int i = 0; i < 2000; i++) {
        pthread_t thread;
        NEED(pthread_create(&thread, NULL, count_up, NULL) == 0 && pthread_join(thread, NULL) == 0);
    }
    printf("%d in a row\n", atomic_load(&finished));
    detached();
    part("detached");
    stacks();
    return done();
}
