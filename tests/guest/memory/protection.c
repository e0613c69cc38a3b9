// mprotect, and a SIGSEGV handler that repairs the access, as garbage collectors do.
#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 64 };
static char *region;
static volatile int faults;
static sigjmp_buf back;

static void repair(int signal, siginfo_t *info, void *context) {
    (void)context;
    char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));
    if (signal != SIGSEGV || info->si_code != SEGV_ACCERR || page < region || page >= region + PAGES * PAGE) _exit(3);
    faults++;
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0) _exit(4);
}

static void jump(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    siglongjmp(back, info->si_code);
}

static void install(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    NEED(sigaction(SIGSEGV, &action, NULL) == 0);
}

static void write_barrier(void) {
    install(repair);
    for (int i = 0; i < PAGES; i++) region[i * PAGE] = (char)i;
    EXPECT(mprotect(region, PAGES * PAGE, PROT_READ) == 0);
    int sum = 0;
    for (int i = 0; i < PAGES; i++) sum += region[i * PAGE];
    EXPECT(faults == 0 && sum == PAGES * (PAGES - 1) / 2);
    for (int i = 0; i < PAGES; i += 2) region[i * PAGE + 8] = 1;
    EXPECT(faults == PAGES / 2);
    EXPECT(mprotect(region, PAGES * PAGE, PROT_NONE) == 0);
    volatile char *p = region;
    for (int i = 0; i < PAGES; i++) EXPECT(p[i * PAGE] == (char)i);
    EXPECT(faults == PAGES / 2 + PAGES);
    printf("%d faults\n", faults);
}

static int code_of_write(volatile char *p) {
    int code = sigsetjmp(back, 1);
    if (code == 0) *p = 1;
    return code;
}

static void codes(void) {
    install(jump);
    EXPECT(mprotect(region, PAGE, PROT_READ) == 0);
    EXPECT(code_of_write(region) == SEGV_ACCERR);
    EXPECT(munmap(region, PAGE) == 0);
    EXPECT(code_of_write(region) == SEGV_MAPERR);
    EXPECT(code_of_write(NULL) == SEGV_MAPERR);
    EXPECT(code_of_write((char *)code_of_write) == SEGV_ACCERR);
    EXPECT(code_of_write(region + PAGE) == 0);
    // Data is not executable.
    int code = sigsetjmp(back, 1);
    if (code == 0) {
        region[PAGE] = (char)0xc3;
        ((void (*)(void))(region + PAGE))();
        EXPECT(!"reached");
    }
    EXPECT(code == SEGV_ACCERR);
    FAILS(mprotect(region + 1, PAGE, PROT_READ), EINVAL);
    FAILS(mprotect(region + PAGE, PAGE, 0x100), EINVAL);
}

int main(void) {
    region = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(region != MAP_FAILED);
    write_barrier();
    codes();
    return done();
}
