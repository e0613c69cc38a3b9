// Dekker's entry protocol with the barrier on one side only: membarrier(2) has to order what another processor does.
#include "check.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

enum { ROUNDS = 200 };

static atomic_int mine, theirs, round_number, answered;
static int saw;

// The frequent side: a compiler barrier is all that it has.
static void *frequent(void *unused) {
    (void)unused;
    for (int i = 1; i <= ROUNDS; i++) {
        while (atomic_load_explicit(&round_number, memory_order_acquire) < i) sched_yield();
        atomic_store_explicit(&mine, 1, memory_order_relaxed);
        atomic_signal_fence(memory_order_seq_cst);
        saw = atomic_load_explicit(&theirs, memory_order_relaxed);
        atomic_store_explicit(&answered, i, memory_order_release);
    }
    return NULL;
}

static long membarrier(int command) { return syscall(SYS_membarrier, command, 0, 0); }

int main(void) {
    pthread_t thread;
    int both_missed = 0;
    EXPECT(membarrier(MEMBARRIER_CMD_QUERY) & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    NEED(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0);
    NEED(pthread_create(&thread, NULL, frequent, NULL) == 0);
    for (int i = 1; i <= ROUNDS; i++) {
        atomic_store(&mine, 0);
        atomic_store(&theirs, 0);
        atomic_store(&round_number, i);
        atomic_store_explicit(&theirs, 1, memory_order_relaxed);
        NEED(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0);
        int seen = atomic_load(&mine);
        while (atomic_load(&answered) < i) sched_yield();
        if (!seen && !saw) both_missed++;
    }
    NEED(pthread_join(thread, NULL) == 0);
    EXPECT(both_missed == 0);
    return done();
}
