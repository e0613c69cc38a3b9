// prctl and arch_prctl: names, dumpable, no-new-privs, death signal, FS base.
#include "check.h"

#include <asm/prctl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static void names(void) {
    char name[17] = "";
    EXPECT(prctl(PR_GET_NAME, name) == 0 && name[0] != 0);
    EXPECT(prctl(PR_SET_NAME, "a-name-that-is-too-long") == 0 && prctl(PR_GET_NAME, name) == 0);
    printf("%s\n", name);
    char line[64] = "";
    FILE *file = fopen("/proc/self/comm", "r");
    EXPECT(file != NULL && fgets(line, sizeof line, file) != NULL && strcmp(line, "a-name-that-is-\n") == 0);
    if (file != NULL) fclose(file);
    EXPECT(pthread_setname_np(pthread_self(), "other") == 0 && prctl(PR_GET_NAME, name) == 0 && strcmp(name, "other") == 0);
}

int main(void) {
    names();
    part("names");
    int signal = 99;
    EXPECT(prctl(PR_GET_DUMPABLE) == 1 && prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
    EXPECT(prctl(PR_SET_PDEATHSIG, 15) == 0 && prctl(PR_GET_PDEATHSIG, &signal) == 0 && signal == 15);
    EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    EXPECT(prctl(PR_SET_TIMERSLACK, 100000) == 0 && prctl(PR_GET_TIMERSLACK) == 100000);
    FAILS(prctl(12345, 0, 0, 0, 0), EINVAL);
    part("prctl");

    unsigned long fs = 0, fs_register;
    EXPECT(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0);
    __asm__("mov %%fs:0, %0" : "=r"(fs_register));
    EXPECT(fs == fs_register && fs == (unsigned long)pthread_self());
    EXPECT(syscall(SYS_arch_prctl, ARCH_SET_FS, fs) == 0);
    FAILS(syscall(SYS_arch_prctl, ARCH_SET_FS, 1ul << 63), EPERM);
    FAILS(syscall(SYS_arch_prctl, 0x1234, 0), EINVAL);
    EXPECT(syscall(SYS_set_tid_address, &signal) == gettid());
    return done();
}
