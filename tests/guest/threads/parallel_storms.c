// Many threads at the kernel's tables at once: threads that come and go, memory, descriptors, pipes, epoll, files.
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

enum { THREADS = 4 };

static void *add_one(void *counter) {
    atomic_fetch_add((atomic_int *)counter, 1);
    return counter;
}

static void *create_and_join(void *unused) {
    (void)unused;
    atomic_int counter = 0;
    for (int i = 0; i < 30; i++) {
        pthread_t threads[3];
        for (int k = 0; k < 3; k++) NEED(pthread_create(&threads[k], NULL, add_one, &counter) == 0);
        for (int k = 0; k < 3; k++) {
            void *result;
            NEED(pthread_join(threads[k], &result) == 0);
            EXPECT(result == &counter);
        }
    }
    EXPECT(counter == 90);
    return NULL;
}

static void *allocate(void *number) {
    enum { BLOCKS = 64 };
    unsigned char *blocks[BLOCKS] = {0};
    size_t sizes[BLOCKS] = {0};
    unsigned state = 17 + (unsigned)(intptr_t)number;
    for (int i = 0; i < 3000; i++) {
        state = state * 1664525 + 1013904223;
        int at = state >> 26;
        if (blocks[at]) {
            EXPECT(blocks[at][0] == (unsigned char)at && blocks[at][sizes[at] - 1] == (unsigned char)at);
            free(blocks[at]);
        }
        // Now and then one that is mapped and unmapped.
        sizes[at] = (state >> 8) % (i % 50 == 0 ? 400000 : 3000) + 1;
        NEED((blocks[at] = malloc(sizes[at])) != NULL);
        memset(blocks[at], at, sizes[at]);
    }
    for (int at = 0; at < BLOCKS; at++) free(blocks[at]);
    return NULL;
}

static void *map_and_unmap(void *number) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 40; i++) {
        size_t len = (size_t)(1 + i % 9) * page;
        int *memory = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        NEED(memory != MAP_FAILED);
        EXPECT(memory[0] == 0 && memory[len / sizeof(int) - 1] == 0);
        memory[0] = memory[len / sizeof(int) - 1] = (int)(intptr_t)number;
        EXPECT(mprotect(memory, len, PROT_READ) == 0 && memory[0] == (int)(intptr_t)number);
        EXPECT(munmap(memory, len) == 0);
    }
    return NULL;
}

static void *open_and_close(void *number) {
    char name[64], text[16];
    snprintf(name, sizeof name, "/tmp/storm-%d-%d", (int)getpid(), (int)(intptr_t)number);
    for (int i = 0; i < 200; i++) {
        int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
        NEED(fd >= 0);
        int copy = dup(fd);
        NEED(copy >= 0 && copy != fd);
        EXPECT(write(fd, name, 10) == 10 && pread(copy, text, sizeof text, 0) == 10 && memcmp(name, text, 10) == 0);
        EXPECT(close(fd) == 0 && close(copy) == 0);
    }
    EXPECT(unlink(name) == 0);
    return NULL;
}

static int ends[2];

static void *write_numbers(void *unused) {
    (void)unused;
    for (int i = 0; i < 2000; i++) NEED(write(ends[1], &i, sizeof i) == sizeof i);
    return NULL;
}

static void *read_numbers(void *sum) {
    for (int i = 0, number; i < 2000; i++) {
        NEED(read(ends[0], &number, sizeof number) == sizeof number);
        atomic_fetch_add((atomic_long *)sum, number);
    }
    return NULL;
}

static void pipes(void) {
    pthread_t threads[THREADS];
    atomic_long sum = 0;
    NEED(pipe(ends) == 0);
    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, i % 2 ? read_numbers : write_numbers, &sum) == 0);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
    EXPECT(sum == 2l * 1999 * 2000 / 2);
    close(ends[0]), close(ends[1]);
}

static int events, counters[2];

static void *count_up(void *number) {
    uint64_t one = 1;
    for (int i = 0; i < 1000; i++) NEED(write(counters[(intptr_t)number], &one, sizeof one) == sizeof one);
    return NULL;
}

static void epolling(void) {
    pthread_t threads[2];
    uint64_t total = 0;
    NEED((events = epoll_create1(0)) >= 0);
    for (intptr_t i = 0; i < 2; i++) {
        NEED((counters[i] = eventfd(0, EFD_NONBLOCK)) >= 0);
        struct epoll_event event = {.events = EPOLLIN | (i ? EPOLLET : 0), .data.fd = counters[i]};
        NEED(epoll_ctl(events, EPOLL_CTL_ADD, counters[i], &event) == 0);
        NEED(pthread_create(&threads[i], NULL, count_up, (void *)i) == 0);
    }
    while (total < 2000) {
        struct epoll_event ready[2];
        int count = epoll_wait(events, ready, 2, -1);
        NEED(count > 0);
        for (int i = 0; i < count; i++) {
            uint64_t more;
            if (read(ready[i].data.fd, &more, sizeof more) == sizeof more) total += more;
        }
    }
    EXPECT(total == 2000);
    for (int i = 0; i < 2; i++) NEED(pthread_join(threads[i], NULL) == 0);
}

static void all(const char *name, void *(*body)(void *)) {
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++) NEED(pthread_create(&threads[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) NEED(pthread_join(threads[i], NULL) == 0);
    part(name);
}

int main(void) {
    all("threads", create_and_join);
    all("allocation", allocate);
    all("mappings", map_and_unmap);
    all("files", open_and_close);
    pipes();
    part("pipes");
    epolling();
    part("epoll");
    return done();
}
