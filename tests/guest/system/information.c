// uname, sysinfo, getrusage, getcpu, hostname: consistent with each other and with /proc.
#include "check.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

static void names(void) {
    struct utsname u;
    int major = 0, minor = 0;
    EXPECT(uname(&u) == 0);
    printf("%s %s\n", u.sysname, u.machine);
    EXPECT(sscanf(u.release, "%d.%d", &major, &minor) == 2 && major >= 4);
    EXPECT(u.version[0] != 0);
    char host[65];
    EXPECT(gethostname(host, sizeof host) == 0 && strcmp(host, u.nodename) == 0 && host[0] != 0);
}

static void memory(void) {
    struct sysinfo info;
    EXPECT(sysinfo(&info) == 0 && info.mem_unit >= 1 && info.uptime >= 0 && info.procs >= 1);
    unsigned long total = info.totalram * info.mem_unit;
    EXPECT(total >= 8ul << 20 && info.freeram <= info.totalram);
    EXPECT(total / 4096 == (unsigned long)sysconf(_SC_PHYS_PAGES));
    unsigned long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    NEED(file != NULL);
    char line[128];
    while (fgets(line, sizeof line, file) != NULL) sscanf(line, "MemTotal: %lu kB", &kib);
    fclose(file);
    EXPECT(kib == total / 1024);
}

static void usage(void) {
    struct rusage before, after;
    EXPECT(getrusage(RUSAGE_SELF, &before) == 0 && before.ru_maxrss > 0);
    char *block = malloc(32 << 20);
    memset(block, 1, 32 << 20);
    volatile unsigned long work = 0;
    int64_t start = now_ns(CLOCK_MONOTONIC);
    while (now_ns(CLOCK_MONOTONIC) - start < 60000000) work++;
    EXPECT(getrusage(RUSAGE_SELF, &after) == 0);
    free(block);
    long used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec - before.ru_utime.tv_usec +
                (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    EXPECT(used > 5000);
    EXPECT(after.ru_maxrss >= before.ru_maxrss && after.ru_maxrss >= 32 << 10);
    EXPECT(after.ru_minflt >= before.ru_minflt);
    EXPECT(getrusage(RUSAGE_THREAD, &after) == 0 && getrusage(RUSAGE_CHILDREN, &after) == 0);
    EXPECT(after.ru_utime.tv_sec == 0);
    FAILS(getrusage(99, &after), EINVAL);
}

int main(void) {
    names();
    part("names");
    memory();
    part("memory");
    usage();
    unsigned cpu = 99999, node = 99999;
    EXPECT(getcpu(&cpu, &node) == 0 && cpu < 4096 && node < 1024);
    return done();
}
