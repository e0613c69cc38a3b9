// Drives the multiport console by polling: copies stdio to itself, and control lines to the stderr port. `eof` ends it
// with status 0 when all input was copied, `signal 15` with status 15, `hangup stdio` with status 13. The first `stats` is answered.
enum { BASE = 0xfeb00000, QUEUES = 10, BUFFER = 4096, FEATURES = 2 };
#include "virtio.h"

enum { STDIN = 4, STDOUT = 5, STDERR = 7, LINES = 8, ANSWERS = 9, FROM_HOST = 2, TO_HOST = 3 };

static void send(u32 q, const void *bytes, u32 len) {
    u32 ignored;
    copy(queues[q].buffers[0], bytes, len);
    offer(q, 0, len, 0);
    take(q, &ignored);
}

static void control(u32 port, u16 event, u16 value) {
    struct { u32 port; u16 event, value; } message = {port, event, value};
    send(TO_HOST, &message, sizeof message);
}

// Waits for a control message from the host and checks its event.
static void expect(u16 event, const char *name) {
    u32 len;
    u16 index = take(FROM_HOST, &len);
    const u8 *bytes = queues[FROM_HOST].buffers[index];
    if (*(u16 *)(bytes + 4) != event) quit(4);
    if (name && (len != 8 + length(name) || !same(bytes + 8, name, length(name)))) quit(5);
    offer(FROM_HOST, index, BUFFER, 2);
}

static int ended, told;

static void line(const char *text, u32 len) {
    send(STDERR, text, len);
    if (len >= 4 && same(text, "eof\n", 4)) ended = 1;
    static const char report[] = "stats {\"uptime_ns\":5,\"threads\":1}\n";
    if (len >= 6 && same(text, "stats\n", 6) && !told++) send(ANSWERS, report, sizeof report - 1);
    if (len >= 10 && same(text, "signal 15\n", 10)) quit(15);
    if (len >= 13 && same(text, "hangup stdio\n", 13)) quit(13);
}

void main(const struct start_info *info) {
    (void)info;
    start(3);
    for (u16 i = 0; i < 8; i++) offer(FROM_HOST, i, BUFFER, 2);
    control(0, 0, 1);
    for (u32 port = 1; port < 4; port++) expect(1, 0);
    static const char *const names[] = {"", "compat.stdio", "compat.stderr", "compat.control"};
    for (u32 port = 1; port < 4; port++) {
        control(port, 3, 1);
        expect(7, names[port]);
        expect(6, 0);
        control(port, 6, 1);
    }
    for (u16 i = 0; i < 4; i++) offer(LINES, i, 64, 2), offer(STDIN, i, BUFFER, 2);
    send(STDERR, "ready\n", 6);
    for (;;) {
        u32 len;
        if (returned(STDIN)) {
            u16 index = take(STDIN, &len);
            send(STDOUT, queues[STDIN].buffers[index], len);
            offer(STDIN, index, BUFFER, 2);
        } else if (ended) {
            // The last words are queued only: the monitor must see them out.
            copy(queues[STDOUT].buffers[0], "bye\n", 4);
            offer(STDOUT, 0, 4, 0);
            quit(0);
        }
        if (returned(LINES)) {
            u16 index = take(LINES, &len);
            line((const char *)queues[LINES].buffers[index], len);
            offer(LINES, index, 64, 2);
        }
        asm volatile("pause");
    }
}
