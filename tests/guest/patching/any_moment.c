// Signals at any moment, in the middle of patched sites too: a handler never sees a program counter outside the
// program's own code, and no call is lost or made twice.
#include "sites.h"

#include <link.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <ucontext.h>

enum { RANGES = 64, VDSO_SIZE = 0x4000, ROUNDS = 150 };
static uintptr_t low[RANGES], high[RANGES];
static int ranges;
static volatile uintptr_t strange;
static volatile int handled;

static int collect(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum && ranges < RANGES; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
        low[ranges] = info->dlpi_addr + header->p_vaddr;
        high[ranges++] = info->dlpi_addr + header->p_vaddr + header->p_memsz;
    }
    return 0;
}

static void handler(int signal, siginfo_t *info, void *context) {
    uintptr_t rip = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    (void)signal, (void)info;
    handled++;
    for (int i = 0; i < ranges; i++)
        if (low[i] <= rip && rip < high[i]) return;
    strange = rip;
}

int main(void) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct itimerval often = {.it_value = {0, 1000}, .it_interval = {0, 1000}};
    dl_iterate_phdr(collect, NULL);
    if (getauxval(AT_SYSINFO_EHDR) && ranges < RANGES) {
        low[ranges] = getauxval(AT_SYSINFO_EHDR);
        high[ranges] = low[ranges] + VDSO_SIZE;
        ranges++;
    }
    NEED(ranges > 0 && sigaction(SIGALRM, &action, NULL) == 0);
    NEED(setitimer(ITIMER_REAL, &often, NULL) == 0);
    const long pid = getpid();
    while (handled < ROUNDS) {
        int before = t2_count;
        for (int i = 0; i < 1000; i++) {
            EXPECT(t1_getpid(1, 2, 3, 4) == pid);
            for (int site = 1; site < SITES; site++) EXPECT(sites[site].call(SYS_getpid, 1, 2, 3, 4) == pid);
        }
        EXPECT(t2_count == before + 3000);
        t2_count = 0;
    }
    EXPECT(strange == 0);
    return done();
}
