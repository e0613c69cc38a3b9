// exit() ends the process while other threads spin, sleep and wait.
#include "check.h"

#include <pthread.h>

static void *spin(void *unused) {
    for (volatile long i = 0;; i++) {}
    return unused;
}
static void *sleep_long(void *unused) {
    sleep(1000);
    return unused;
}
static void *wait_in_read(void *fd) {
    char byte;
    EXPECT(read(*(int *)fd, &byte, 1) == 1);
    return NULL;
}

int main(void) {
    int pipes[2];
    pthread_t thread;
    NEED(pipe(pipes) == 0);
    for (int i = 0; i < 3; i++) {
        NEED(pthread_create(&thread, NULL, spin, NULL) == 0);
        NEED(pthread_create(&thread, NULL, sleep_long, NULL) == 0);
        NEED(pthread_create(&thread, NULL, wait_in_read, &pipes[0]) == 0);
    }
    sleep_ms(50);
    printf("leaving\n");
    exit(17);
}
