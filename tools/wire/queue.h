// Frames by the time at which they are due: a binary heap; those of the same time stay in order.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct frame {
    uint64_t due, number;
    size_t size;
    unsigned char data[];
};

struct queue {
    struct frame **heap;
    size_t count, room;
    uint64_t numbers;
};

static inline bool frame_before(const struct frame *a, const struct frame *b) {
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static inline struct frame *queue_first(const struct queue *queue) { return queue->count ? queue->heap[0] : NULL; }

// Puts a copy in. False: no memory.
static inline bool queue_push(struct queue *queue, uint64_t due, const void *data, size_t size) {
    if (queue->count == queue->room) {
        size_t room = queue->room ? queue->room * 2 : 64;
        struct frame **heap = realloc(queue->heap, room * sizeof *heap);
        if (!heap) return false;
        queue->heap = heap;
        queue->room = room;
    }
    struct frame *frame = malloc(sizeof *frame + size);
    if (!frame) return false;
    frame->due = due;
    frame->number = queue->numbers++;
    frame->size = size;
    memcpy(frame->data, data, size);
    size_t at = queue->count++;
    for (; at > 0 && frame_before(frame, queue->heap[(at - 1) / 2]); at = (at - 1) / 2) queue->heap[at] = queue->heap[(at - 1) / 2];
    queue->heap[at] = frame;
    return true;
}

// Frees the first one.
static inline void queue_pop(struct queue *queue) {
    free(queue->heap[0]);
    struct frame *last = queue->heap[--queue->count];
    size_t at = 0;
    for (size_t child; (child = at * 2 + 1) < queue->count; at = child) {
        if (child + 1 < queue->count && frame_before(queue->heap[child + 1], queue->heap[child])) child++;
        if (!frame_before(queue->heap[child], last)) break;
        queue->heap[at] = queue->heap[child];
    }
    if (queue->count) queue->heap[at] = last;
}
