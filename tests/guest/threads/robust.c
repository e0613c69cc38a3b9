// A thread that ends holding a robust mutex: the next owner learns it.
#include "check.h"

#include <pthread.h>

static pthread_mutex_t mutex;

static void *die_with_it(void *unused) {
    EXPECT(pthread_mutex_lock(&mutex) == 0);
    return unused;
}

static void *wait_for_it(void *result) {
    *(int *)result = pthread_mutex_lock(&mutex);
    if (*(int *)result == EOWNERDEAD) {
        EXPECT(pthread_mutex_consistent(&mutex) == 0);
    }
    EXPECT(pthread_mutex_unlock(&mutex) == 0);
    return NULL;
}

static void *hold_a_while(void *unused) {
    EXPECT(pthread_mutex_lock(&mutex) == 0);
    sleep_ms(50);
    return unused;
}

int main(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    NEED(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
    NEED(pthread_mutex_init(&mutex, &attributes) == 0);
    pthread_t a, b;
    NEED(pthread_create(&a, NULL, die_with_it, NULL) == 0 && pthread_join(a, NULL) == 0);
    EXPECT(pthread_mutex_lock(&mutex) == EOWNERDEAD);
    EXPECT(pthread_mutex_consistent(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    EXPECT(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
    part("afterwards");

    // One that already waits is woken by the death.
    int result = -1;
    NEED(pthread_create(&a, NULL, hold_a_while, NULL) == 0);
    sleep_ms(20);
    NEED(pthread_create(&b, NULL, wait_for_it, &result) == 0);
    NEED(pthread_join(a, NULL) == 0 && pthread_join(b, NULL) == 0);
    EXPECT(result == EOWNERDEAD);
    part("while waiting");

    NEED(pthread_create(&a, NULL, die_with_it, NULL) == 0 && pthread_join(a, NULL) == 0);
    EXPECT(pthread_mutex_lock(&mutex) == EOWNERDEAD && pthread_mutex_unlock(&mutex) == 0);
    EXPECT(pthread_mutex_lock(&mutex) == ENOTRECOVERABLE);
    return done();
}
