// Priority-inheriting mutexes: FUTEX_LOCK_PI and FUTEX_UNLOCK_PI with contention.
#include "check.h"

#include <pthread.h>

static pthread_mutex_t mutex;
static int counter;

static void *add(void *unused) {
    for (int i = 0; i < 5000; i++) {
        EXPECT(pthread_mutex_lock(&mutex) == 0);
        counter++;
        if (i % 500 == 0) sched_yield();
        EXPECT(pthread_mutex_unlock(&mutex) == 0);
    }
    return unused;
}

int main(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    NEED(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
    NEED(pthread_mutex_init(&mutex, &attributes) == 0);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, add, NULL) == 0);
    for (int i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
    printf("%d\n", counter);
    EXPECT(pthread_mutex_trylock(&mutex) == 0 && pthread_mutex_trylock(&mutex) == EBUSY);
    return done();
}
