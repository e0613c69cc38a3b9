// Create, join, mutexes of each kind, condition variables, semaphores, once, keys, cancellation points.
#include "check.h"

#include <pthread.h>
#include <semaphore.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int counter, turn;

static void *add(void *times) {
    for (intptr_t i = 0; i < (intptr_t)times; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return (void *)pthread_self();
}

static void mutual_exclusion(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) NEED(pthread_create(&threads[i], NULL, add, (void *)20000) == 0);
    for (int i = 0; i < 8; i++) {
        void *self;
        NEED(pthread_join(threads[i], &self) == 0 && (pthread_t)self == threads[i]);
    }
    printf("counter %d\n", counter);
    pthread_mutexattr_t attributes;
    pthread_mutex_t checked, recursive;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checked, &attributes);
    EXPECT(pthread_mutex_lock(&checked) == 0 && pthread_mutex_lock(&checked) == EDEADLK);
    EXPECT(pthread_mutex_unlock(&checked) == 0 && pthread_mutex_unlock(&checked) == EPERM);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attributes);
    EXPECT(pthread_mutex_lock(&recursive) == 0 && pthread_mutex_trylock(&recursive) == 0);
    EXPECT(pthread_mutex_unlock(&recursive) == 0 && pthread_mutex_unlock(&recursive) == 0);
}

static void *take_turns(void *parity) {
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&mutex);
        while ((turn & 1) != (int)(intptr_t)parity) pthread_cond_wait(&changed, &mutex);
        turn++;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void conditions(void) {
    pthread_t a, b;
    NEED(pthread_create(&a, NULL, take_turns, (void *)0) == 0 && pthread_create(&b, NULL, take_turns, (void *)1) == 0);
    NEED(pthread_join(a, NULL) == 0 && pthread_join(b, NULL) == 0);
    printf("turns %d\n", turn);
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += 20000000;
    if (end.tv_nsec >= 1000000000) end.tv_sec++, end.tv_nsec -= 1000000000;
    pthread_mutex_lock(&mutex);
    EXPECT(pthread_cond_timedwait(&changed, &mutex, &end) == ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
}

static sem_t semaphore;
static void *post(void *unused) {
    for (int i = 0; i < 100; i++) sem_post(&semaphore);
    return unused;
}

static void semaphores(void) {
    pthread_t thread;
    NEED(sem_init(&semaphore, 0, 0) == 0 && pthread_create(&thread, NULL, post, NULL) == 0);
    for (int i = 0; i < 100; i++) EXPECT(sem_wait(&semaphore) == 0);
    FAILS(sem_trywait(&semaphore), EAGAIN);
    NEED(pthread_join(thread, NULL) == 0);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static atomic_int made, destroyed;
static void make(void) { atomic_fetch_add(&made, 1); }
static void destroy(void *value) { atomic_fetch_add(&destroyed, (int)(intptr_t)value); }
static void *use(void *value) {
    pthread_once(&once, make);
    pthread_setspecific(key, value);
    sleep_ms(5);
    EXPECT(pthread_getspecific(key) == value);
    return NULL;
}

int main(void) {
    mutual_exclusion();
    part("mutexes");
    conditions();
    part("conditions");
    semaphores();
    part("semaphores");
    NEED(pthread_key_create(&key, destroy) == 0);
    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, use, (void *)(intptr_t)(1 << i * 4)) == 0);
    for (int i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
    EXPECT(atomic_load(&made) == 1 && atomic_load(&destroyed) == 0x1111);
    return done();
}
