// Writes its argument to a port, which no program may.
#include <stdlib.h>

int main(int argc, char **argv) {
    __asm__ volatile("out %%al, $0xf4" ::"a"(argc > 1 ? atoi(argv[1]) : 0));
    return 0;
}
