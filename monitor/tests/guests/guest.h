// What every test guest needs: ports, text on the debug port, the PVH start information.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct start_info { u32 magic, version, flags, nr_modules; u64 modlist, cmdline, rsdp, memmap; u32 memmap_entries, reserved; };
struct module { u64 paddr, size, cmdline, reserved; };
struct memmap { u64 addr, size; u32 type, reserved; };

static inline void out32(u16 port, u32 value) { asm volatile("outl %0,%1" ::"a"(value), "Nd"(port)); }

static inline void out_bytes(u16 port, const void *bytes, u32 len) {
    asm volatile("rep outsb" : "+S"(bytes), "+c"(len) : "d"(port) : "memory");
}

static inline u32 length(const char *text) {
    u32 n = 0;
    while (text[n]) n++;
    return n;
}

static inline void debug(const char *text) { out_bytes(0xe9, text, length(text)); }

static inline _Noreturn void quit(u32 status) {
    out32(0xf4, 0x7c5a3e00 | status);
    for (;;) asm volatile("hlt");
}

static inline int same(const void *a, const void *b, u32 len) {
    const u8 *x = a, *y = b;
    for (u32 i = 0; i < len; i++)
        if (x[i] != y[i]) return 0;
    return 1;
}

static inline void copy(void *to, const void *from, u32 len) {
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len)::"memory");
}

void main(const struct start_info *info);
