// pthread_cancel of a thread that is blocked in a system call: the cleanup handlers run, in order.
// The C library tells from the interrupted program counter (musl) or unwinds from it (glibc).
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>

static int ends[2];
static atomic_int started, cleaned;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;

static void cleanup(void *order) {
    if (order == &mutex) {
        pthread_mutex_unlock(&mutex);
        return;
    }
    EXPECT(atomic_fetch_add(&cleaned, 1) == (int)(intptr_t)order);
}

static void in_read(void) {
    char byte;
    read(ends[0], &byte, 1);
}
static void in_poll(void) {
    struct pollfd entry = {.fd = ends[0], .events = POLLIN};
    poll(&entry, 1, -1);
}
static void in_nanosleep(void) {
    struct timespec time = {100, 0};
    nanosleep(&time, NULL);
}
static void in_pause(void) { pause(); }
static void in_semaphore(void) { sem_wait(&semaphore); }
static void in_condition(void) {
    pthread_mutex_lock(&mutex);
    pthread_cleanup_push(cleanup, &mutex);
    pthread_cond_wait(&never, &mutex);
    pthread_cleanup_pop(0);
}

static __attribute__((noinline)) void inner(void (*block)(void)) {
    pthread_cleanup_push(cleanup, (void *)0);
    atomic_store(&started, 1);
    block();
    atomic_store(&started, 2);
    pthread_cleanup_pop(0);
}

static void *run(void *block) {
    pthread_cleanup_push(cleanup, (void *)1);
    inner(*(void (**)(void))block);
    pthread_cleanup_pop(0);
    return NULL;
}

static void check(const char *name, void (*block)(void), int settle_ms) {
    pthread_t thread;
    void *result = NULL;
    part(name);
    atomic_store(&started, 0);
    atomic_store(&cleaned, 0);
    NEED(pthread_create(&thread, NULL, run, &block) == 0);
    while (settle_ms && !atomic_load(&started)) usleep(1000);
    usleep(settle_ms * 1000);
    NEED(pthread_cancel(thread) == 0);
    NEED(pthread_join(thread, &result) == 0);
    EXPECT(result == PTHREAD_CANCELED);
    EXPECT(atomic_load(&cleaned) == 2);
    EXPECT(atomic_load(&started) == 1);
}

int main(void) {
    static const struct {
        const char *name;
        void (*block)(void);
    } cases[] = {{"read", in_read},   {"poll", in_poll},           {"nanosleep", in_nanosleep},
                 {"pause", in_pause}, {"semaphore", in_semaphore}, {"condition", in_condition}};
    NEED(pipe(ends) == 0 && sem_init(&semaphore, 0, 0) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check(cases[i].name, cases[i].block, 30);
    // Data wins over a cancellation that comes later; nothing may be lost.
    NEED(write(ends[1], "x", 1) == 1);
    char byte = 0;
    EXPECT(read(ends[0], &byte, 1) == 1 && byte == 'x');
    return done();
}
