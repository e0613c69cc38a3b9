// A network card driven by polling: answers ARP for 10.9.0.2 and echoes pings, until the machine is killed.
enum { BASE = 0xfeb00400, QUEUES = 2, BUFFER = 2048, FEATURES = 1 << 5 };
#include "virtio.h"

enum { RX = 0, TX = 1, HEADER = 12 };
static const u8 own_ip[] = {10, 9, 0, 2};

static void swap(u8 *a, u8 *b, u32 len) {
    for (u32 i = 0; i < len; i++) {
        u8 byte = a[i];
        a[i] = b[i], b[i] = byte;
    }
}

// Turns a request into its answer. 0: it is none.
static int answer(u8 *frame, u32 len) {
    volatile u8 *mac = (volatile u8 *)(BASE + 0x100);
    u8 own[6];
    for (u32 i = 0; i < 6; i++) own[i] = mac[i];
    if (len >= 42 && frame[12] == 8 && frame[13] == 6 && frame[21] == 1 && same(frame + 38, own_ip, 4)) {
        frame[21] = 2;
        swap(frame + 22, frame + 32, 10);
        copy(frame + 22, own, 6);
    } else if (len >= 42 && frame[12] == 8 && frame[13] == 0 && frame[23] == 1 && frame[34] == 8) {
        swap(frame + 26, frame + 30, 4);
        frame[34] = 0;
        u32 sum = (frame[36] << 8 | frame[37]) + 0x800;
        sum += sum >> 16;
        frame[36] = sum >> 8, frame[37] = sum;
    } else {
        return 0;
    }
    copy(frame, frame + 6, 6);
    copy(frame + 6, own, 6);
    return 1;
}

void main(const struct start_info *info) {
    (void)info;
    start(1);
    for (u16 i = 0; i < SIZE; i++) offer(RX, i, BUFFER, 2);
    debug("ready\n");
    for (;;) {
        u32 len, ignored;
        u16 index = take(RX, &len);
        u8 *buffer = queues[RX].buffers[index];
        if (answer(buffer + HEADER, len - HEADER)) {
            copy(queues[TX].buffers[0], buffer, len);
            for (u32 i = 0; i < HEADER; i++) queues[TX].buffers[0][i] = 0;
            offer(TX, 0, len, 0);
            take(TX, &ignored);
        }
        offer(RX, index, BUFFER, 2);
    }
}
