// Drives the socket device by polling: echoes what comes to port 7. A connection that sends `x` and a port of the host (u16) has it
// do one of everything with that port; one that sends `q` is answered `bye`, and the machine ends at once.
#include "guest.h"

enum { BASE = 0xfeb00400, SIZE = 16, SLOT = 72 * 1024, HEADER = 16, WRITE = 2 };
enum { CONNECT = 1, LISTEN, ACCEPTED, DATA, SHUTDOWN, CLOSE, CREDIT, OPTIONS, INFO, DATAGRAMS, SEND_TO, MEMBERSHIP };
enum { CONNECTED = 1, FAILED, INCOMING, GOT_DATA, END, DATAGRAM, DATAGRAM_ERROR, GOT_INFO };
enum { SERVER = 1, CLIENT, UDP, ECHO, OTHER };

struct descriptor { u64 addr; u32 len; u16 flags, next; };
struct avail { u16 flags, idx, ring[SIZE], used_event; };
struct used { u16 flags, idx; struct { u32 id, len; } ring[SIZE]; u16 avail_event; };
struct header { u16 kind, flags; u32 length; u64 socket; };
struct address { u16 family, port; u32 zero; u8 ip[16]; };

static struct queue {
    struct descriptor table[SIZE] __attribute__((aligned(16)));
    struct avail avail;
    struct used used __attribute__((aligned(4)));
    u16 seen;
    u8 buffers[SIZE][SLOT] __attribute__((aligned(16)));
} queues[2] __attribute__((aligned(4096)));

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

// The next request's buffer; what was sent before has come back, since each is waited for.
static void request(u16 kind, u16 flags, u64 socket, const void *fields, u32 len, const void *more, u32 more_len) {
    struct queue *queue = &queues[0];
    u16 index = queue->avail.idx % SIZE;
    struct header header = {kind, flags, len + more_len, socket};
    copy(queue->buffers[index], &header, HEADER);
    copy(queue->buffers[index] + HEADER, fields, len);
    copy(queue->buffers[index] + HEADER + len, more, more_len);
    offer(0, index, HEADER + len + more_len, 0);
}

static void settle(void) {
    while (*(volatile u16 *)&queues[0].used.idx != queues[0].avail.idx) asm volatile("pause");
}

static void ask(u16 kind, u16 flags, u64 socket, const void *fields, u32 len) {
    request(kind, flags, socket, fields, len, 0, 0);
    settle();
}

static struct address gateway(u16 port) { return (struct address){4, port, 0, {10, 0, 2, 2}}; }
static struct address any(u16 port) { return (struct address){4, port, 0, {0}}; }

static void listen(u64 name, u16 port) {
    struct { struct address at; u32 backlog; } fields = {any(port), 8};
    ask(LISTEN, 0, name, &fields, sizeof fields);
}

static void send_to(u64 name, u16 port, const void *bytes, u32 len) {
    struct { struct address to; u8 hops, zero[7]; } fields = {gateway(port), 9, {0}};
    request(SEND_TO, 0, name, &fields, sizeof fields, bytes, len);
    settle();
}

static void everything(u16 port) {
    struct { struct address to; struct { u16 number, zero; u32 value; } options[14]; } fields = {gateway(port), {{0}}};
    for (u16 i = 0; i < 14; i++) fields.options[i].number = i + 1, fields.options[i].value = 1;
    ask(CONNECT, 0, CLIENT, &fields, sizeof fields);
    struct address local = any(4660), group = {4, 0, 0, {239, 255, 77, 79}};
    ask(DATAGRAMS, 1, UDP, &local, sizeof local);
    ask(OPTIONS, 0, UDP, &fields.options[8], 48);
    ask(MEMBERSHIP, 1, UDP, &group, sizeof group);
    ask(DATAGRAMS, 2, ECHO, &local, sizeof local);
    send_to(ECHO, 0, "\10\0\0\0\0\0\0\1", 8);
    listen(OTHER, 8);
    ask(CLOSE, 0, OTHER, 0, 0);
    ask(INFO, 0, CLIENT, 0, 0);
    send_to(UDP, port, "datagram", 8);
}

static void event(const struct header *header, const u8 *payload) {
    u32 one = 1, len = header->length;
    switch (header->kind) {
    case INCOMING: ask(ACCEPTED, 0, SERVER, &one, 4); break;
    case CONNECTED:
        ask(DATA, 0, CLIENT, "hello", 5);
        ask(SHUTDOWN, 2, CLIENT, 0, 0);
        break;
    case END: ask(CLOSE, header->socket == CLIENT, header->socket, 0, 0); break;
    case GOT_DATA:
        if (payload[0] == 'q') {
            // Nobody waits until it is done.
            request(DATA, 0, header->socket, "bye", 3, 0, 0);
            request(CLOSE, 0, header->socket, 0, 0, 0, 0);
            quit(0);
        }
        if (payload[0] == 'x') everything(*(const u16 *)(payload + 1));
        ask(DATA, 0, header->socket, payload, len);
        ask(CREDIT, 0, header->socket, &len, 4);
        break;
    case FAILED: debug("failed\n"); break;
    case GOT_INFO: debug("info\n"); break;
    case DATAGRAM: debug("datagram\n"); break;
    case DATAGRAM_ERROR: debug("datagram error\n"); break;
    }
}

static void start(void) {
    if (*reg(0) != 0x74726976 || *reg(4) != 2 || *reg(8) != 0x80000001) quit(2);
    *reg(0x70) = 3;
    *reg(0x24) = 0, *reg(0x20) = 0;
    *reg(0x24) = 1, *reg(0x20) = 1;
    *reg(0x70) = 11;
    if (*reg(0x70) != 11) quit(3);
    for (u32 q = 0; q < 2; q++) {
        *reg(0x30) = q;
        *reg(0x38) = SIZE;
        *reg(0x80) = (u32)queues[q].table;
        *reg(0x90) = (u32)&queues[q].avail;
        *reg(0xa0) = (u32)&queues[q].used;
        *reg(0x44) = 1;
    }
    *reg(0x70) = 15;
}

void main(const struct start_info *info) {
    (void)info;
    start();
    for (u16 i = 0; i < 4; i++) offer(1, i, SLOT, WRITE);
    listen(SERVER, 7);
    debug("ready\n");
    struct queue *queue = &queues[1];
    for (;;) {
        if (*(volatile u16 *)&queue->used.idx == queue->seen) {
            asm volatile("pause");
            continue;
        }
        u32 slot = queue->seen++ % SIZE, index = queue->used.ring[slot].id, len = queue->used.ring[slot].len;
        for (u32 at = 0; at < len;) {
            const struct header *header = (const void *)(queue->buffers[index] + at);
            event(header, queue->buffers[index] + at + HEADER);
            at = (at + HEADER + header->length + 7) & ~7u;
        }
        offer(1, index, SLOT, WRITE);
    }
}
