// The main thread ends by pthread_exit; the process lives until the last thread, whose exit() counts.
#include "check.h"

#include <pthread.h>

static pthread_t first;

static void *last_one(void *unused) {
    (void)unused;
    EXPECT(pthread_join(first, NULL) == 0);
    sleep_ms(30);
    printf("the last thread\n");
    exit(check_failures == 0 ? 23 : 1);
}

int main(void) {
    first = pthread_self();
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, last_one, NULL) == 0);
    printf("main leaves\n");
    pthread_exit(NULL);
}
