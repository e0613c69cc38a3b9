// The sites of sites.S, one for each patching technique.
#ifndef SITES_H
#define SITES_H

#include <sys/syscall.h>

#include "check.h"

long t1_read(long fd, void *buffer, long size, long unused);
long t1_getpid(long a, long b, long c, long d);
long t1_clock_gettime(long clock, void *time, long unused, long unused2);
long t0_call(long number, long a, long b, long c, long d);
long t2_call(long number, long a, long b, long c, long d);
long t2_rip_call(long number, long a, long b, long c, long d);
long t2_short_call(long number, long a, long b, long c, long d);
long t3_call(long number, long a, long b, long c, long d);
long t4_call(long number, long a, long b, long c, long d);

extern char site_t0[], site_t1_read[], site_t2[], site_t2_rip[], site_t3[], site_t4[];
extern char behind_t2_short[];
extern int t2_count;
extern long t4_result;

struct site {
    const char *name;
    long (*call)(long number, long a, long b, long c, long d);
    char *address;
    // How far before that. A pointer to a site in data would be a way to it.
    int before;
};

static inline char *address_of(const struct site *site) { return site->address - site->before; }

static inline long t1_read_call(long number, long a, long b, long c, long d) {
    NEED(number == SYS_read);
    return t1_read(a, (void *)b, c, d);
}

// Every site can read; all but the first can do any call.
static const struct site sites[] = {
    {"mov before", t1_read_call, site_t1_read, 0},
    {"instructions before", t2_call, site_t2, 0},
    {"rip-relative before", t2_rip_call, site_t2_rip, 0},
    {"few before", t2_short_call, behind_t2_short, 2},
    {"hop", t3_call, site_t3, 0},
    {"instructions after", t4_call, site_t4, 0},
    {"left alone", t0_call, site_t0, 0},
};
#define SITES ((int)(sizeof sites / sizeof sites[0]))

#endif
