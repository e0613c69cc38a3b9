// POSIX message queues: priorities, limits, waiting with timeouts, attributes, poll and epoll, notification by signal
// and by thread, names that outlive and are outlived.
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/stat.h>

static char name[64];
static atomic_int notified;

static mqd_t make(int flags, long max, long size) {
    struct mq_attr attr = {.mq_maxmsg = max, .mq_msgsize = size};
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | flags, 0600, &attr);
    NEED(queue != (mqd_t)-1);
    return queue;
}

static void order(void) {
    mqd_t queue = make(O_EXCL | O_NONBLOCK, 4, 16);
    char text[16];
    unsigned prio = 0;
    struct mq_attr attr;
    EXPECT(mq_send(queue, "low", 3, 1) == 0 && mq_send(queue, "high", 4, 9) == 0 && mq_send(queue, "", 0, 1) == 0 &&
           mq_send(queue, "top", 3, 32767) == 0);
    FAILS(mq_send(queue, "more", 4, 0), EAGAIN);
    EXPECT(mq_getattr(queue, &attr) == 0 && attr.mq_flags == O_NONBLOCK && attr.mq_maxmsg == 4 &&
           attr.mq_msgsize == 16 && attr.mq_curmsgs == 4);
    for (int i = 0; i < 4; i++) {
        ssize_t count = mq_receive(queue, text, sizeof text, &prio);
        EXPECT(count >= 0);
        printf("%.*s %u\n", (int)count, text, prio);
    }
    FAILS(mq_receive(queue, text, sizeof text, &prio), EAGAIN);
    FAILS(mq_receive(queue, text, 15, &prio), EMSGSIZE);
    FAILS(mq_send(queue, "seventeen letters", 17, 0), EMSGSIZE);
    FAILS(mq_send(queue, "x", 1, 32768), EINVAL);
    FAILS(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
    struct mq_attr bad = {.mq_maxmsg = 0, .mq_msgsize = 1};
    FAILS(mq_open("/compat-other", O_RDWR | O_CREAT, 0600, &bad), EINVAL);
    FAILS(mq_open("/compat-other", O_RDWR), ENOENT);
    FAILS(mq_open("/compat/other", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    FAILS(mq_send(STDOUT_FILENO, "x", 1, 0), EBADF);
    mqd_t reader = mq_open(name, O_RDONLY);
    FAILS(mq_send(reader, "x", 1, 0), EBADF);
    FAILS(mq_getattr(STDOUT_FILENO, &attr), EBADF);
    mq_close(reader), mq_close(queue);
}

static void as_a_file(void) {
    mqd_t queue = make(0, 4, 16);
    struct stat st;
    char text[128] = "";
    EXPECT(fcntl(queue, F_GETFD) == FD_CLOEXEC && fcntl(queue, F_GETFL) == O_RDWR);
    EXPECT(fstat(queue, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0600 && st.st_size == 80);
    EXPECT(mq_send(queue, "hello", 5, 0) == 0 && read(queue, text, sizeof text) > 0);
    printf("%s", text);
    struct pollfd p = {queue, POLLIN | POLLOUT, 0};
    EXPECT(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
    int ep = epoll_create1(0);
    struct epoll_event event = {EPOLLIN, {.u32 = 1}};
    EXPECT(epoll_ctl(ep, EPOLL_CTL_ADD, queue, &event) == 0 && epoll_wait(ep, &event, 1, 0) == 1);
    EXPECT(mq_receive(queue, text, 16, NULL) == 5 && epoll_wait(ep, &event, 1, 0) == 0);
    for (int i = 0; i < 4; i++) EXPECT(mq_send(queue, "x", 1, 0) == 0);
    EXPECT(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
    for (int i = 0; i < 4; i++) EXPECT(mq_receive(queue, text, 16, NULL) == 1);
    close(ep);
    mq_close(queue);
}

static void *answer(void *unused) {
    mqd_t queue = mq_open(name, O_WRONLY);
    sleep_ms(10);
    EXPECT(mq_send(queue, "late", 4, 3) == 0);
    mq_close(queue);
    return unused;
}

static void *drain(void *unused) {
    mqd_t queue = mq_open(name, O_RDONLY);
    char text[16];
    sleep_ms(10);
    EXPECT(mq_receive(queue, text, 16, NULL) == 1);
    mq_close(queue);
    return unused;
}

static void waiting(void) {
    mqd_t queue = make(0, 1, 16);
    char text[16];
    unsigned prio = 0;
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, answer, NULL) == 0);
    EXPECT(mq_receive(queue, text, 16, &prio) == 4 && prio == 3);
    NEED(pthread_join(thread, NULL) == 0);
    struct timespec past = {1, 0}, soon;
    FAILS(mq_timedreceive(queue, text, 16, NULL, &past), ETIMEDOUT);
    clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_nsec += 20000000;
    if (soon.tv_nsec >= 1000000000) soon.tv_sec++, soon.tv_nsec -= 1000000000;
    FAILS(mq_timedreceive(queue, text, 16, NULL, &soon), ETIMEDOUT);
    EXPECT(mq_timedsend(queue, "1", 1, 0, &past) == 0);
    FAILS(mq_timedsend(queue, "2", 1, 0, &past), ETIMEDOUT);
    struct timespec bad = {0, -1};
    FAILS(mq_timedsend(queue, "2", 1, 0, &bad), EINVAL);
    NEED(pthread_create(&thread, NULL, drain, NULL) == 0);
    EXPECT(mq_send(queue, "2", 1, 0) == 0);
    NEED(pthread_join(thread, NULL) == 0);
    EXPECT(mq_receive(queue, text, 16, NULL) == 1 && text[0] == '2');
    mq_close(queue);
}

static void on_thread(union sigval value) { atomic_store(&notified, value.sival_int); }

static void notification(void) {
    mqd_t queue = make(O_NONBLOCK, 4, 16);
    char text[16];
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value = {.sival_int = 42}};
    EXPECT(mq_notify(queue, &event) == 0);
    FAILS(mq_notify(queue, &event), EBUSY);
    EXPECT(mq_notify(queue, NULL) == 0 && mq_notify(queue, &event) == 0);
    EXPECT(mq_send(queue, "1", 1, 0) == 0 && mq_send(queue, "2", 1, 0) == 0);
    siginfo_t info;
    EXPECT(sigwaitinfo(&set, &info) == SIGRTMIN + 1 && info.si_code == SI_MESGQ && info.si_value.sival_int == 42 &&
           info.si_pid == getpid());
    struct timespec none = {0, 0};
    FAILS(sigtimedwait(&set, NULL, &none), EAGAIN);
    // It was for one message; and one that is there already tells nothing.
    EXPECT(mq_notify(queue, &event) == 0 && mq_send(queue, "3", 1, 0) == 0);
    FAILS(sigtimedwait(&set, NULL, &none), EAGAIN);
    while (mq_receive(queue, text, 16, NULL) > 0) {}
    EXPECT(mq_send(queue, "4", 1, 0) == 0 && sigwaitinfo(&set, NULL) == SIGRTMIN + 1);
    EXPECT(mq_receive(queue, text, 16, NULL) == 1);
    struct sigevent thread = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread, .sigev_value = {.sival_int = 7}};
    EXPECT(mq_notify(queue, &thread) == 0 && mq_send(queue, "5", 1, 0) == 0);
    for (int i = 0; i < 30000 && atomic_load(&notified) == 0; i++) sleep_ms(1);
    EXPECT(atomic_load(&notified) == 7);
    mq_close(queue);
}

static void names(void) {
    mqd_t queue = make(0, 4, 16), other;
    char text[16];
    EXPECT(mq_send(queue, "kept", 4, 0) == 0);
    mq_close(queue);
    queue = mq_open(name, O_RDWR);
    EXPECT(mq_unlink(name) == 0);
    FAILS(mq_unlink(name), ENOENT);
    other = make(O_NONBLOCK, 4, 16);
    FAILS(mq_receive(other, text, 16, NULL), EAGAIN);
    EXPECT(mq_receive(queue, text, 16, NULL) == 4);
    mq_close(queue), mq_close(other);
    EXPECT(mq_unlink(name) == 0);
}

int main(void) {
    snprintf(name, sizeof name, "/compat-%d", getpid());
    order();
    part("order");
    mq_unlink(name);
    as_a_file();
    part("files");
    mq_unlink(name);
    waiting();
    part("waiting");
    mq_unlink(name);
    notification();
    part("notification");
    mq_unlink(name);
    names();
    return done();
}
