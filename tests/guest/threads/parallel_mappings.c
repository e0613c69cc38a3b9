// Memory that changes under threads on other processors: nobody may see what an old translation shows.
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

enum { READERS = 3, ROUNDS = 12, PAGES = 3 };

static char *memory;
static size_t page;
static atomic_int round_number, seen_by;
static atomic_int wanted; // what the readers are to find; -1: a fault

static __thread sigjmp_buf back;

static void on_fault(int signal) {
    (void)signal;
    siglongjmp(back, 1);
}

// Reads one word of a page; -1 after a fault.
static int look(int number) {
    if (sigsetjmp(back, 1)) return -1;
    return *(volatile int *)(memory + (size_t)number * page);
}

static void *read_along(void *unused) {
    (void)unused;
    for (int last = 0;;) {
        int now = atomic_load(&round_number);
        if (now < 0) return NULL;
        if (now == last) {
            sched_yield();
            continue;
        }
        last = now;
        for (int i = 0; i < PAGES; i++) EXPECT(look(i) == atomic_load(&wanted));
        atomic_fetch_add(&seen_by, 1);
    }
}

// All readers look now, and find `value`.
static void everybody_finds(int value) {
    atomic_store(&wanted, value);
    atomic_store(&seen_by, 0);
    atomic_fetch_add(&round_number, 1);
    while (atomic_load(&seen_by) < READERS) sched_yield();
}

static void fill(int value) {
    for (int i = 0; i < PAGES; i++) *(volatile int *)(memory + (size_t)i * page) = value;
}

static void map(int flags, int fd) {
    int prot = PROT_READ | PROT_WRITE;
    NEED(mmap(memory, PAGES * page, prot, flags | MAP_FIXED, fd, 0) == memory);
}

static void replaced(int round) {
    map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    everybody_finds(0);
    fill(round);
    everybody_finds(round);
}

static void unmapped(int round) {
    fill(round);
    everybody_finds(round);
    NEED(munmap(memory, PAGES * page) == 0);
    everybody_finds(-1);
    map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void discarded(int round) {
    fill(round);
    everybody_finds(round);
    NEED(madvise(memory, PAGES * page, MADV_DONTNEED) == 0);
    everybody_finds(0);
}

static void protected_(int round) {
    fill(round);
    everybody_finds(round);
    NEED(mprotect(memory, PAGES * page, PROT_NONE) == 0);
    everybody_finds(-1);
    NEED(mprotect(memory, PAGES * page, PROT_READ | PROT_WRITE) == 0);
    everybody_finds(round);
}

static void moved(int round) {
    fill(round);
    everybody_finds(round);
    void *away = mremap(memory, PAGES * page, PAGES * page, MREMAP_MAYMOVE | MREMAP_FIXED, memory + 64 * page);
    NEED(away == memory + 64 * page && *(volatile int *)away == round);
    everybody_finds(-1);
    NEED(mremap(away, PAGES * page, PAGES * page, MREMAP_MAYMOVE | MREMAP_FIXED, memory) == memory);
    everybody_finds(round);
}

// A private mapping of a file is the file's page until it is written to, and a copy afterwards.
static void copied(int round) {
    static int fd = -1;
    if (fd < 0) {
        NEED((fd = memfd_create("shared", 0)) >= 0 && ftruncate(fd, (off_t)(PAGES * page)) == 0);
    }
    map(MAP_PRIVATE, fd);
    everybody_finds(0);
    fill(round);
    everybody_finds(round);
}

static void truncated(int round) {
    int fd = memfd_create("shared", 0);
    NEED(fd >= 0 && ftruncate(fd, (off_t)(PAGES * page)) == 0);
    map(MAP_SHARED, fd);
    fill(round);
    everybody_finds(round);
    NEED(ftruncate(fd, 0) == 0);
    everybody_finds(-1);
    map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    close(fd);
}

int main(void) {
    page = (size_t)sysconf(_SC_PAGESIZE);
    memory = mmap(NULL, 128 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    NEED(munmap(memory + 64 * page, 64 * page) == 0);
    struct sigaction action = {.sa_handler = on_fault};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++) NEED(pthread_create(&readers[i], NULL, read_along, NULL) == 0);
    const struct {
        const char *name;
        void (*change)(int);
    } ways[] = {{"replaced", replaced},   {"unmapped", unmapped}, {"discarded", discarded}, {"protected", protected_},
                {"moved", moved},         {"copied", copied},     {"truncated", truncated}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        for (int round = 1; round <= ROUNDS; round++) ways[i].change(round);
        part(ways[i].name);
    }
    atomic_store(&round_number, -1);
    for (int i = 0; i < READERS; i++) NEED(pthread_join(readers[i], NULL) == 0);
    return done();
}
