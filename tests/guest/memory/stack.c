// The main stack grows on demand up to its limit; beyond it SIGSEGV arrives on the alternate stack.
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

static sigjmp_buf back;
static char alternate[65536];

static __attribute__((noinline)) long descend(int depth) {
    volatile char frame[16384];
    frame[0] = (char)depth;
    frame[sizeof frame - 1] = 1;
    long below = depth == 0 ? 0 : descend(depth - 1);
    return below + (frame[0] == (char)depth) + frame[sizeof frame - 1];
}

static void on_overflow(int signal, siginfo_t *info, void *context) {
    (void)context, (void)info;
    char here;
    // The handler runs on the alternate stack.
    siglongjmp(back, signal == SIGSEGV && &here > alternate && &here < alternate + sizeof alternate ? 1 : 2);
}

static void *in_thread(void *unused) {
    (void)unused;
    return (void *)descend(400);
}

int main(void) {
    struct rlimit limit;
    EXPECT(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur >= 8u << 20);
    printf("%ld\n", descend(440));
    part("grown");

    pthread_t thread;
    void *result;
    NEED(pthread_create(&thread, NULL, in_thread, NULL) == 0 && pthread_join(thread, &result) == 0);
    printf("%ld\n", (long)result);

    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    NEED(sigaltstack(&stack, NULL) == 0);
    struct sigaction action = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    limit.rlim_cur = 8u << 20;
    for (int round = 0; round < 3; round++) {
        int caught = sigsetjmp(back, 1);
        if (caught == 0) {
            descend(1 << 30);
            EXPECT(!"reached");
        }
        EXPECT(caught == 1);
    }
    printf("%ld\n", descend(100));
    return done();
}
