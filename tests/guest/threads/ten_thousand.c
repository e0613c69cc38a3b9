// 10,000 threads alive at once; each can be signalled, and all come to an end.
#include "check.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>

enum { COUNT = 10000 };
static pthread_t threads[COUNT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int waiting, may_leave;
static atomic_int signalled;

static void on_signal(int signal) {
    (void)signal;
    atomic_fetch_add(&signalled, 1);
}

static void *stay(void *number) {
    pthread_mutex_lock(&lock);
    if (++waiting == COUNT) pthread_cond_broadcast(&changed);
    while (!may_leave) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return number;
}

int main(void) {
    pthread_attr_t attributes;
    NEED(pthread_attr_init(&attributes) == 0);
    NEED(pthread_attr_setstacksize(&attributes, 32768) == 0);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    NEED(sigaction(SIGUSR1, &action, NULL) == 0);
    for (intptr_t i = 0; i < COUNT; i++) NEED(pthread_create(&threads[i], &attributes, stay, (void *)i) == 0);
    pthread_mutex_lock(&lock);
    while (waiting < COUNT) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    part("alive");
    for (int i = 0; i < COUNT; i += 100) EXPECT(pthread_kill(threads[i], SIGUSR1) == 0);
    while (atomic_load(&signalled) < COUNT / 100) sleep_ms(1);
    part("signalled");
    pthread_mutex_lock(&lock);
    may_leave = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    long sum = 0;
    for (int i = 0; i < COUNT; i++) {
        void *value = NULL;
        NEED(pthread_join(threads[i], &value) == 0);
        sum += (intptr_t)value;
    }
    printf("sum %ld\n", sum);
    return done();
}
