// Floating-point control (MXCSR, x87 control word) belongs to the thread and survives calls and signals.
#include "check.h"

#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <xmmintrin.h>

static double third(void) {
    volatile double one = 1, three = 3;
    return one / three;
}

static unsigned short x87_control(void) {
    unsigned short control;
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return control;
}

static void *in_thread(void *mode) {
    // Inherited from the creator, then its own.
    EXPECT(fegetround() == FE_UPWARD);
    EXPECT(fesetround((int)(intptr_t)mode) == 0);
    double value = third();
    for (int i = 0; i < 200; i++) {
        if (i % 20 == 0) sleep_ms(1);
        syscall(SYS_getppid);
        NEED(third() == value && fegetround() == (int)(intptr_t)mode);
    }
    return NULL;
}

static volatile sig_atomic_t mode_inside, control_inside;
static void on_signal(int signal) {
    (void)signal;
    mode_inside = (int)_mm_getcsr();
    control_inside = x87_control();
    fesetround(FE_TOWARDZERO);
}

int main(void) {
    EXPECT(_mm_getcsr() == 0x1f80 && x87_control() == 0x37f);
    const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; i++) {
        NEED(fesetround(modes[i]) == 0);
        double before = third();
        syscall(SYS_getppid);
        write(1, "", 0);
        sleep_ms(2);
        EXPECT(third() == before && fegetround() == modes[i]);
        printf("%.20f\n", third());
    }
    part("calls");

    fesetround(FE_UPWARD);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, in_thread, (void *)(intptr_t)modes[i]) == 0);
    for (int i = 0; i < 4; i++) NEED(pthread_join(threads[i], NULL) == 0);
    EXPECT(fegetround() == FE_UPWARD);
    part("threads");

    // A handler's change does not outlive it.
    signal(SIGUSR1, on_signal);
    double before = third();
    EXPECT(raise(SIGUSR1) == 0 && third() == before && fegetround() == FE_UPWARD);
    printf("inside the handler: %#x %#x\n", mode_inside & 0xffc0, control_inside);
    // Exception flags are kept as well.
    feclearexcept(FE_ALL_EXCEPT);
    volatile double zero = 0, infinite = 1 / zero;
    syscall(SYS_getppid);
    EXPECT(infinite > 1 && fetestexcept(FE_DIVBYZERO) != 0 && fetestexcept(FE_INVALID) == 0);
    volatile long double x87 = 1;
    x87 /= 3;
    syscall(SYS_getppid);
    printf("%.25Lf\n", x87);
    return done();
}
