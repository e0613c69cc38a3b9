// Faults inside handlers, handlers on the alternate stack inside one another, and jumps out of all of it.
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

enum { AREA = 256 << 10, NESTED = 20, PAGE = 4096 };
static char *area;
static volatile char *forbidden;
static sigjmp_buf back;
static volatile sig_atomic_t depth, deepest, outside;

static int on_area(const void *p) { return (const char *)p >= area && (const char *)p < area + AREA; }

// Each fault is in the handler of the one before; all of them on the alternate stack, below one another.
static void fault_again(int signal) {
    char here;
    if (!on_area(&here)) outside = 1;
    if (++depth > deepest) deepest = depth;
    if (depth == NESTED) siglongjmp(back, signal);
    forbidden[depth] = 1;
}

static void nested_faults(void) {
    struct sigaction action = {.sa_handler = fault_again, .sa_flags = SA_ONSTACK | SA_NODEFER};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    for (volatile int i = 0; i < 100; i++) {
        depth = 0;
        if (sigsetjmp(back, 1) == 0) *forbidden = 1;
        EXPECT(depth == NESTED);
        stack_t now;
        EXPECT(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0);
    }
    EXPECT(deepest == NESTED && !outside);
}

static void mend(int signal) {
    (void)signal;
    depth++;
    if (mprotect((void *)forbidden, PAGE, PROT_READ | PROT_WRITE) != 0) _exit(4);
}

static void touch(int signal) {
    (void)signal;
    // Handled while this handler runs; then the store is done again, and counts.
    forbidden[8] = 42;
    depth += 10;
}

static void mended_in_a_handler(void) {
    depth = 0;
    struct sigaction action = {.sa_handler = mend, .sa_flags = SA_ONSTACK};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    action.sa_handler = touch;
    NEED(sigaction(SIGUSR1, &action, NULL) == 0);
    EXPECT(raise(SIGUSR1) == 0 && depth == 11 && forbidden[8] == 42);
    EXPECT(mprotect((void *)forbidden, PAGE, PROT_NONE) == 0);
}

static void leave(int signal) { siglongjmp(back, signal); }

static volatile sig_atomic_t endless = 1;

__attribute__((noinline)) static int recurse(volatile char *above) {
    volatile char frame[1024];
    frame[0] = above[0];
    if (!endless) return 0;
    return recurse(frame) + frame[0];
}

// A stack that is full is no place for a handler.
static void overflows(void) {
    struct sigaction action = {.sa_handler = leave, .sa_flags = SA_ONSTACK};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
    volatile int caught = 0;
    for (volatile int i = 0; i < 5; i++) {
        volatile char start = 0;
        int signal = sigsetjmp(back, 1);
        if (signal == 0) recurse(&start);
        else caught += signal == SIGSEGV;
    }
    printf("%d stack overflows\n", caught);
}

int main(void) {
    area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    forbidden = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(area != MAP_FAILED && forbidden != MAP_FAILED);
    stack_t stack = {.ss_sp = area, .ss_size = AREA};
    NEED(sigaltstack(&stack, NULL) == 0);
    nested_faults();
    part("nested faults");
    mended_in_a_handler();
    part("mended");
    overflows();
    return done();
}
