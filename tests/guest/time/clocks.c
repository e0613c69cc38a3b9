// Clocks: their order, resolution, agreement, and errors.
#include "check.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>

static void monotone(clockid_t clock) {
    int64_t last = now_ns(clock);
    for (int i = 0; i < 20000; i++) {
        int64_t now = now_ns(clock);
        NEED(now >= last);
        last = now;
    }
}

static void agreement(void) {
    EXPECT(now_ns(CLOCK_REALTIME) > 1700000000ll * 1000000000);
    struct timeval tv;
    EXPECT(gettimeofday(&tv, NULL) == 0);
    EXPECT(llabs(now_ns(CLOCK_REALTIME) / 1000 - (tv.tv_sec * 1000000ll + tv.tv_usec)) < 1000000);
    EXPECT(llabs(now_ns(CLOCK_REALTIME) / 1000000000 - time(NULL)) <= 1);
    EXPECT(now_ns(CLOCK_BOOTTIME) >= now_ns(CLOCK_MONOTONIC) - 1000000000);
    EXPECT(llabs(now_ns(CLOCK_MONOTONIC_COARSE) - now_ns(CLOCK_MONOTONIC)) < 1000000000);
    EXPECT(llabs(now_ns(CLOCK_MONOTONIC_RAW) - now_ns(CLOCK_MONOTONIC)) < 1000000000ll * 3600 * 24 * 30);
    // The system call and the vDSO tell the same time.
    struct timespec a;
    int64_t before = now_ns(CLOCK_MONOTONIC);
    EXPECT(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &a) == 0);
    int64_t called = a.tv_sec * 1000000000ll + a.tv_nsec;
    EXPECT(called >= before && called <= now_ns(CLOCK_MONOTONIC));
}

static void processor_time(void) {
    int64_t process = now_ns(CLOCK_PROCESS_CPUTIME_ID), thread = now_ns(CLOCK_THREAD_CPUTIME_ID);
    volatile unsigned long work = 0;
    int64_t start = now_ns(CLOCK_MONOTONIC);
    while (now_ns(CLOCK_MONOTONIC) - start < 50000000) work++;
    int64_t used = now_ns(CLOCK_THREAD_CPUTIME_ID) - thread;
    EXPECT(used > 1000000 && used < 60000000000ll);
    EXPECT(now_ns(CLOCK_PROCESS_CPUTIME_ID) - process >= used / 2);
    int64_t before_sleep = now_ns(CLOCK_THREAD_CPUTIME_ID);
    sleep_ms(100);
    EXPECT(now_ns(CLOCK_THREAD_CPUTIME_ID) - before_sleep < 50000000);
    EXPECT(clock() > 0);
    struct tms tms;
    EXPECT(times(&tms) != (clock_t)-1 && tms.tms_utime + tms.tms_stime >= 0);
}

int main(void) {
    const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
                                CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_PROCESS_CPUTIME_ID,
                                CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI};
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec resolution = {9, 9};
        EXPECT(clock_getres(clocks[i], &resolution) == 0 && resolution.tv_sec == 0 && resolution.tv_nsec >= 1);
        monotone(clocks[i]);
    }
    part("monotone");
    agreement();
    part("agreement");
    processor_time();
    struct timespec t;
    FAILS(clock_gettime(999, &t), EINVAL);
    FAILS(clock_getres(999, &t), EINVAL);
    return done();
}
