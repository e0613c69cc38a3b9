// A virtio-mmio device driven by polling. Define BASE, QUEUES and BUFFER (bytes of a buffer) and FEATURES (the low half) first.
#pragma once
#include "guest.h"

enum { SIZE = 16 };

struct descriptor { u64 addr; u32 len; u16 flags, next; };
struct avail { u16 flags, idx, ring[SIZE], used_event; };
struct used { u16 flags, idx; struct { u32 id, len; } ring[SIZE]; u16 avail_event; };

static struct queue {
    struct descriptor table[SIZE] __attribute__((aligned(16)));
    struct avail avail;
    struct used used __attribute__((aligned(4)));
    u16 seen;
    u8 buffers[SIZE][BUFFER];
} queues[QUEUES] __attribute__((aligned(4096)));

static volatile u32 *reg(u32 offset) { return (volatile u32 *)(BASE + offset); }
static void fence(void) { asm volatile("lock orl $0,(%%esp)" ::: "memory"); }

static void offer(u32 q, u16 index, u32 len, u16 flags) {
    struct queue *queue = &queues[q];
    queue->table[index] = (struct descriptor){.addr = (u32)queue->buffers[index], .len = len, .flags = flags};
    queue->avail.ring[queue->avail.idx % SIZE] = index;
    fence();
    queue->avail.idx++;
    fence();
    *reg(0x50) = q;
}

static int returned(u32 q) { return *(volatile u16 *)&queues[q].used.idx != queues[q].seen; }

static u16 take(u32 q, u32 *len) {
    struct queue *queue = &queues[q];
    while (!returned(q)) asm volatile("pause");
    u32 slot = queue->seen++ % SIZE;
    *len = queue->used.ring[slot].len;
    return queue->used.ring[slot].id;
}

static void start(u32 id) {
    if (*reg(0) != 0x74726976 || *reg(4) != 2 || *reg(8) != id) quit(2);
    *reg(0x70) = 3;
    *reg(0x24) = 0, *reg(0x20) = FEATURES;
    *reg(0x24) = 1, *reg(0x20) = 1;
    *reg(0x70) = 11;
    if (*reg(0x70) != 11) quit(3);
    for (u32 q = 0; q < QUEUES; q++) {
        *reg(0x30) = q;
        *reg(0x38) = SIZE;
        *reg(0x80) = (u32)queues[q].table;
        *reg(0x90) = (u32)&queues[q].avail;
        *reg(0xa0) = (u32)&queues[q].used;
        *reg(0x44) = 1;
    }
    *reg(0x70) = 15;
}

