// Prints what PVH passed, then the configuration module byte by byte, and ends with status 42.
#include "guest.h"

static void hex(u64 value) {
    char text[19] = "0x0000000000000000";
    for (int i = 17; i > 1; i--, value >>= 4) text[i] = "0123456789abcdef"[value & 15];
    debug(text);
}

void main(const struct start_info *info) {
    if (info->magic != 0x336ec578 || info->nr_modules != 1) quit(1);
    debug((const char *)(u32)info->cmdline);
    debug("\n");
    const struct memmap *map = (const void *)(u32)info->memmap;
    for (u32 i = 0; i < info->memmap_entries; i++) {
        debug("ram ");
        hex(map[i].addr);
        debug(" ");
        hex(map[i].size);
        debug("\n");
    }
    const struct module *module = (const void *)(u32)info->modlist;
    debug("config\n");
    out_bytes(0xe9, (const void *)(u32)module->paddr, (u32)module->size);
    quit(42);
}
