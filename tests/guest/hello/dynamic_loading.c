// dlopen, dlsym, dl_iterate_phdr and dladdr: the program's own ld.so maps a library at run time.
#include "check.h"

#include <dlfcn.h>
#include <link.h>

static int count(struct dl_phdr_info *info, size_t size, void *total) {
    (void)size;
    EXPECT(info->dlpi_phnum > 0);
    ++*(int *)total;
    return 0;
}

int main(void) {
    int before = 0, after = 0;
    dl_iterate_phdr(count, &before);
    void *libm = dlopen("libm.so.6", RTLD_NOW);
    if (libm == NULL) fprintf(stderr, "%s\n", dlerror());
    NEED(libm != NULL);
    double (*root)(double) = (double (*)(double))dlsym(libm, "cbrt");
    NEED(root != NULL);
    printf("cbrt(27) = %.3f\n", root(27.0));
    EXPECT(dlsym(libm, "no_such_symbol") == NULL);
    dl_iterate_phdr(count, &after);
    EXPECT(after == before + 1);
    Dl_info where;
    EXPECT(dladdr((void *)root, &where) != 0 && strstr(where.dli_fname, "libm.so.6") != NULL);
    EXPECT(dlclose(libm) == 0);
    EXPECT(dlopen("/no/such/library.so", RTLD_NOW) == NULL);
    return done();
}
