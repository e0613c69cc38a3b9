// Code that appears at run time cannot be planned: its `syscall` instructions work by the trap, and as often as wanted.
#include "check.h"

#include <sys/mman.h>

int main(void) {
    static const unsigned char code[] = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3};
    const long page = sysconf(_SC_PAGESIZE);
    part("written, then made executable");
    unsigned char *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(memory != MAP_FAILED);
    memcpy(memory, code, sizeof code);
    NEED(mprotect(memory, page, PROT_READ | PROT_EXEC) == 0);
    long (*call)(void) = (long (*)(void))memory;
    for (int i = 0; i < 20; i++) EXPECT(call() == getpid());
    part("rewritten");
    NEED(mprotect(memory, page, PROT_READ | PROT_WRITE) == 0);
    memory[1] = 0x6e;  // getppid
    NEED(mprotect(memory, page, PROT_READ | PROT_EXEC) == 0);
    for (int i = 0; i < 20; i++) EXPECT(call() == getppid());
    EXPECT(memory[0] == 0xb8 && memory[5] == 0x0f && memory[6] == 0x05);
    return done();
}
