// Constructors, destructors and atexit handlers run in the documented order.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor(200))) static void second(int argc) { printf("constructor 200, argc %d\n", argc); }
__attribute__((constructor(101))) static void first(void) { printf("constructor 101\n"); }
__attribute__((destructor)) static void last(void) { printf("destructor\n"); }
static void registered_first(void) { printf("atexit 1\n"); }
static void registered_second(void) { printf("atexit 2\n"); }
static void with_status(int status, void *text) { printf("on_exit %d %s\n", status, (const char *)text); }

int main(void) {
    atexit(registered_first);
    atexit(registered_second);
    on_exit(with_status, "text");
    printf("main\n");
    exit(7);
}
