// The least of io_uring by system call: one instance, its rings mapped.
#ifndef RING_H
#define RING_H

#include "check.h"

#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct ring {
    int fd;
    struct io_uring_params params;
    char *rings, *cq_rings;
    struct io_uring_sqe *sqes;
    unsigned unsubmitted;
};

static unsigned *ring_word(char *rings, unsigned offset) { return (unsigned *)(rings + offset); }

// Each ring is mapped by itself, which every kernel allows.
static void ring_open(struct ring *ring, unsigned entries, unsigned flags) {
    memset(ring, 0, sizeof *ring);
    ring->params.flags = flags;
    ring->fd = (int)syscall(SYS_io_uring_setup, entries, &ring->params);
    NEED(ring->fd >= 0);
    struct io_uring_params *p = &ring->params;
    size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned), cq = p->cq_off.cqes + p->cq_entries * 16;
    ring->rings = mmap(NULL, sq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
    ring->cq_rings = mmap(NULL, cq, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_CQ_RING);
    ring->sqes = mmap(NULL, p->sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
                      IORING_OFF_SQES);
    NEED(ring->rings != MAP_FAILED && ring->cq_rings != MAP_FAILED && ring->sqes != MAP_FAILED);
}

static struct io_uring_sqe *ring_next(struct ring *ring, int op, int fd, const void *addr, unsigned len, uint64_t off,
                                      uint64_t user_data) {
    unsigned *tail = ring_word(ring->rings, ring->params.sq_off.tail);
    unsigned at = *tail & (ring->params.sq_entries - 1);
    struct io_uring_sqe *sqe = &ring->sqes[at];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = op, sqe->fd = fd, sqe->addr = (uintptr_t)addr, sqe->len = len, sqe->off = off;
    sqe->user_data = user_data;
    ring_word(ring->rings, ring->params.sq_off.array)[at] = at;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    ring->unsubmitted++;
    return sqe;
}

static long ring_enter(struct ring *ring, unsigned wait) {
    unsigned submit = ring->unsubmitted;
    ring->unsubmitted = 0;
    return syscall(SYS_io_uring_enter, ring->fd, submit, wait, wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0);
}

static int ring_take(struct ring *ring, struct io_uring_cqe *into) {
    unsigned *head = ring_word(ring->cq_rings, ring->params.cq_off.head);
    unsigned tail = __atomic_load_n(ring_word(ring->cq_rings, ring->params.cq_off.tail), __ATOMIC_ACQUIRE);
    if (*head == tail) return 0;
    struct io_uring_cqe *cqes = (struct io_uring_cqe *)(ring->cq_rings + ring->params.cq_off.cqes);
    *into = cqes[*head & (ring->params.cq_entries - 1)];
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return 1;
}

// Submits what there is, waits for one completion, and answers its result.
static int ring_result(struct ring *ring, uint64_t user_data) {
    struct io_uring_cqe cqe;
    if (!ring_take(ring, &cqe)) {
        NEED(ring_enter(ring, 1) >= 0);
        NEED(ring_take(ring, &cqe));
    }
    if (cqe.user_data != user_data) {
        fprintf(stderr, "completion of %llu (%d), not %llu\n", cqe.user_data, cqe.res, (unsigned long long)user_data);
        atomic_fetch_add(&check_failures, 1);
    }
    return cqe.res;
}

#endif
