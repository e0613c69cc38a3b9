// Arguments, environment and the auxiliary vector as the C library sees them.
#include "check.h"

#include <elf.h>
#include <sys/auxv.h>

extern char **environ;

static void environment(void) {
    EXPECT(getenv("COMPAT_TEST") != NULL && strcmp(getenv("COMPAT_TEST"), "a b=c") == 0);
    EXPECT(getenv("COMPAT_EMPTY") != NULL && *getenv("COMPAT_EMPTY") == 0);
    EXPECT(getenv("COMPAT_ABSENT") == NULL);
    for (char **entry = environ; *entry; entry++) EXPECT(strchr(*entry, '=') != NULL);
}

static void auxiliary_vector(char **argv) {
    EXPECT(getauxval(AT_PAGESZ) == 4096);
    EXPECT(getauxval(AT_CLKTCK) == 100);
    EXPECT(getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
    EXPECT(getauxval(AT_PHNUM) > 0 && getauxval(AT_PHNUM) < 64);
    EXPECT(getauxval(AT_SECURE) == 0);
    EXPECT(getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid());
    EXPECT(getauxval(AT_GID) == getgid() && getauxval(AT_EGID) == getegid());
    EXPECT(getauxval(AT_RANDOM) != 0);
    EXPECT(getauxval(AT_HWCAP) != 0);
    const char *platform = (const char *)getauxval(AT_PLATFORM);
    EXPECT(platform != NULL && strcmp(platform, "x86_64") == 0);
    const char *name = (const char *)getauxval(AT_EXECFN);
    EXPECT(name != NULL && access(name, R_OK) == 0);
    const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
    int loads = 0;
    for (unsigned long i = 0; i < getauxval(AT_PHNUM); i++) loads += headers[i].p_type == PT_LOAD;
    EXPECT(loads > 0);
    // The strings lie above the pointers, at the top of the stack.
    EXPECT((char *)argv < argv[0]);
    EXPECT(((uintptr_t)(argv - 1) & 15) == 0);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) printf("%d [%s]\n", i, argv[i]);
    EXPECT(argv[argc] == NULL);
    environment();
    auxiliary_vector(argv);
    return done();
}
