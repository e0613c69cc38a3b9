// Code written at run time: W^X by mprotect, writable and executable at once, from a file.
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>

typedef int (*function)(int);

// lea VALUE(%rdi),%eax; ret
static void emit(unsigned char *at, unsigned char value) {
    const unsigned char code[] = {0x8d, 0x47, value, 0xc3};
    memcpy(at, code, sizeof code);
}

int main(void) {
    enter_scratch();
    unsigned char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(p != MAP_FAILED);
    int total = 0;
    for (int i = 0; i < 100; i++) {
        NEED(mprotect(p, 8192, PROT_READ | PROT_WRITE) == 0);
        emit(p + i * 8, (unsigned char)i);
        NEED(mprotect(p, 8192, PROT_READ | PROT_EXEC) == 0);
        total += ((function)(void *)(p + i * 8))(1000);
    }
    printf("%d\n", total);
    part("write, then execute");

    unsigned char *both = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (both != MAP_FAILED) {
        for (int i = 0; i < 100; i++) {
            emit(both, (unsigned char)i);
            total += ((function)(void *)both)(-50);
        }
        printf("%d\n", total);
    }

    int fd = open("code", O_CREAT | O_RDWR, 0755);
    NEED(fd >= 0 && write(fd, p, 800) == 800);
    unsigned char *mapped = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    NEED(mapped != MAP_FAILED);
    printf("%d\n", ((function)(void *)(mapped + 42 * 8))(0));

    // getppid through a syscall instruction that no plan knows: mov $110,%eax; syscall; ret
    const unsigned char call[] = {0xb8, 110, 0, 0, 0, 0x0f, 0x05, 0xc3};
    NEED(mprotect(p, 4096, PROT_READ | PROT_WRITE) == 0);
    memcpy(p, call, sizeof call);
    NEED(mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0);
    for (int i = 0; i < 10; i++) EXPECT(((function)(void *)p)(0) == getppid());
    return done();
}
