// Asks the entropy device for bytes and waits until its interrupt, routed by the I/O APIC, is pending at the local APIC.
// (It is not taken: KVM on PVM delivers none in 32-bit mode.) Status 0: it came.
#include "guest.h"

enum { BASE = 0xfeb00200, LINE = 6, VECTOR = 0x40, SIZE = 4, IOAPIC = 0xfec00000, LAPIC = 0xfee00000 };

static struct { u64 addr; u32 len; u16 flags, next; } table[SIZE] __attribute__((aligned(16)));
static struct { u16 flags, idx, ring[SIZE]; } avail;
static struct { u16 flags, idx; struct { u32 id, len; } ring[SIZE]; } used __attribute__((aligned(4)));
static u8 bytes[32];

static volatile u32 *at(u32 address) { return (volatile u32 *)address; }

static void ioapic(u32 index, u32 value) {
    *at(IOAPIC) = index;
    *at(IOAPIC + 0x10) = value;
}

static void set_up_interrupts(void) {
    *at(LAPIC + 0xf0) = 0x1ff;
    ioapic(0x10 + 2 * LINE + 1, 0);
    ioapic(0x10 + 2 * LINE, VECTOR);
}

void main(const struct start_info *info) {
    (void)info;
    set_up_interrupts();
    if (*at(BASE + 8) != 4) quit(2);
    *at(BASE + 0x70) = 3;
    *at(BASE + 0x24) = 1, *at(BASE + 0x20) = 1;
    *at(BASE + 0x70) = 11;
    *at(BASE + 0x30) = 0, *at(BASE + 0x38) = SIZE;
    *at(BASE + 0x80) = (u32)table, *at(BASE + 0x90) = (u32)&avail, *at(BASE + 0xa0) = (u32)&used;
    *at(BASE + 0x44) = 1;
    *at(BASE + 0x70) = 15;
    table[0].addr = (u32)bytes, table[0].len = sizeof bytes, table[0].flags = 2;
    avail.idx = 1;
    asm volatile("lock orl $0,(%%esp)" ::: "memory");
    *at(BASE + 0x50) = 0;
    while (!(*at(LAPIC + 0x200 + VECTOR / 32 * 0x10) & 1 << VECTOR % 32)) asm volatile("pause");
    if (*at(BASE + 0x60) != 1) quit(3);
    *at(BASE + 0x64) = 1;
    if (*at(BASE + 0x60) != 0) quit(4);
    quit(*(volatile u16 *)&used.idx == 1 && used.ring[0].len == sizeof bytes ? 0 : 5);
}
