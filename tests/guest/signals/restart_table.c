// Every call that waits, interrupted by a handler with SA_RESTART and by one without: which go on, which fail with EINTR.
#include "check.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

static pthread_t main_thread;
static volatile sig_atomic_t handled;
static int out[2], in[2], other[2], pair[2], limited[2], listener, event, timer, signals, watch, lock_a, lock_b, epoll, queue_id, sem_id;
static mqd_t queue;
static uint32_t word;
static sem_t semaphore;
static char block[1 << 16], path[64];

static void on_signal(int signal) { (void)signal, handled++; }

static void set_word(uint32_t value) {
    __atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &word, FUTEX_WAKE, 9, NULL, NULL, 0);
}

static long futex_wait(const struct timespec *limit) { return syscall(SYS_futex, &word, FUTEX_WAIT, 0, limit, NULL, 0); }

// What the calls wait for.
static void give_byte(void) { EXPECT(write(in[1], "x", 1) == 1); }
static void take_block(void) { EXPECT(read(out[0], block, sizeof block) > 0); }
static void give_message(void) { EXPECT(send(pair[1], "x", 1, 0) == 1); }
static void give_limited(void) { EXPECT(send(limited[1], "x", 1, 0) == 1); }
static void connect_once(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, "socket");
    EXPECT(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    close(fd);
}
static void count_event(void) { EXPECT(write(event, &(uint64_t){1}, 8) == 8); }
static void wake_word(void) { set_word(1); }
static void post(void) { sem_post(&semaphore); }
static void free_lock(void) { flock(lock_a, LOCK_UN); }
static void free_record(void) {
    struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    fcntl(lock_a, F_OFD_SETLK, &l);
}
static void send_signal(void) { pthread_kill(main_thread, SIGUSR2); }
static void touch(void) { close(open("touched", O_CREAT | O_RDWR, 0600)), unlink("touched"); }
static void queue_message(void) { EXPECT(mq_send(queue, "x", 1, 0) == 0); }
static void send_sysv(void) { EXPECT(msgsnd(queue_id, &(struct { long type; char text; }){1, 'x'}, 1, 0) == 0); }
static void raise_sem(void) { EXPECT(semop(sem_id, &(struct sembuf){0, 1, 0}, 1) == 0); }
static void nothing(void) {}

// The calls. Each leaves things as they were when it has been let go on.
static long do_read(void) { return read(in[0], block, 1); }
static long do_readv(void) { return readv(in[0], &(struct iovec){block, 1}, 1); }
static long do_write(void) { return write(out[1], block, 4096); }
static long do_splice(void) { return splice(in[0], NULL, other[1], NULL, 1, 0); }
static long do_recv(void) { return recv(pair[0], block, 1, 0); }
static long do_recvmsg(void) {
    struct iovec piece = {block, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    return recvmsg(pair[0], &message, 0);
}
static long do_recv_limited(void) { return recv(limited[0], block, 1, 0); }
static long do_accept(void) {
    int fd = accept(listener, NULL, NULL);
    return fd < 0 ? fd : close(fd);
}
static long do_eventfd(void) { return read(event, block, 8); }
static long do_timerfd(void) {
    struct itimerspec spec = {.it_value = {0, 60000000}};
    timerfd_settime(timer, 0, &spec, NULL);
    return read(timer, block, 8);
}
static long do_signalfd(void) { return read(signals, block, 128); }
static long do_inotify(void) {
    long got = read(watch, block, sizeof block);
    sleep_ms(5);
    while (poll(&(struct pollfd){watch, POLLIN, 0}, 1, 0) == 1 && read(watch, block, sizeof block) > 0) {}
    return got;
}
static long do_flock(void) {
    flock(lock_a, LOCK_EX);
    long got = flock(lock_b, LOCK_EX);
    return flock(lock_b, LOCK_UN), flock(lock_a, LOCK_UN), got;
}
static long do_record(void) {
    struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, other = mine, none = {.l_type = F_UNLCK};
    fcntl(lock_a, F_OFD_SETLK, &mine);
    long got = fcntl(lock_b, F_OFD_SETLKW, &other);
    int error = errno;
    fcntl(lock_a, F_OFD_SETLK, &none), fcntl(lock_b, F_OFD_SETLK, &none);
    errno = error;
    return got;
}
static long do_futex(void) { return word = 0, futex_wait(NULL); }
static long do_futex_limit(void) { return word = 0, futex_wait(&(struct timespec){5, 0}); }
static long do_sem(void) { return sem_wait(&semaphore); }
static long do_mq(void) { return mq_receive(queue, block, sizeof block, NULL); }
static long do_msgrcv(void) { return msgrcv(queue_id, block, 1, 0, 0); }
static long do_semop(void) { return semop(sem_id, &(struct sembuf){0, -1, 0}, 1); }
static long do_poll(void) { return poll(&(struct pollfd){in[0], POLLIN, 0}, 1, 5000); }
static long do_select(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(in[0], &set);
    return select(in[0] + 1, &set, NULL, NULL, NULL);
}
static long do_epoll(void) { return epoll_wait(epoll, &(struct epoll_event){0}, 1, 5000); }
static long do_nanosleep(void) { return nanosleep(&(struct timespec){0, 60000000}, NULL); }
static long do_clock_nanosleep(void) {
    int error = clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, 60000000}, NULL);
    return errno = error, error ? -1 : 0;
}
static long do_sigtimedwait(void) {
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    return sigtimedwait(&set, NULL, &(struct timespec){5, 0});
}
static long do_open_fifo(void) {
    int fd = open("fifo", O_RDONLY);
    return fd < 0 ? fd : close(fd);
}
static void open_other_end(void) { close(open("fifo", O_WRONLY | O_NONBLOCK)); }

static const struct {
    const char *name;
    long (*run)(void);
    void (*release)(void);
} rows[] = {
    {"read", do_read, give_byte}, {"readv", do_readv, give_byte}, {"write", do_write, take_block},
    {"splice", do_splice, give_byte}, {"recv", do_recv, give_message}, {"recvmsg", do_recvmsg, give_message},
    {"recv with SO_RCVTIMEO", do_recv_limited, give_limited}, {"accept", do_accept, connect_once},
    {"eventfd", do_eventfd, count_event}, {"timerfd", do_timerfd, nothing}, {"signalfd", do_signalfd, send_signal},
    {"inotify", do_inotify, touch}, {"flock", do_flock, free_lock}, {"F_OFD_SETLKW", do_record, free_record},
    {"futex", do_futex, wake_word}, {"futex with a limit", do_futex_limit, wake_word}, {"sem_wait", do_sem, post},
    {"mq_receive", do_mq, queue_message}, {"msgrcv", do_msgrcv, send_sysv}, {"semop", do_semop, raise_sem},
    {"poll", do_poll, give_byte}, {"select", do_select, give_byte}, {"epoll_wait", do_epoll, give_byte},
    {"nanosleep", do_nanosleep, nothing}, {"clock_nanosleep", do_clock_nanosleep, nothing},
    {"sigtimedwait", do_sigtimedwait, send_signal}, {"open of a FIFO", do_open_fifo, open_other_end},
};

static void (*release)(void);
static atomic_int done_waiting;

static void *interrupt(void *unused) {
    sleep_ms(25);
    pthread_kill(main_thread, SIGUSR1);
    sleep_ms(25);
    // What would let go on a call that has ended is for the next one.
    if (!atomic_load(&done_waiting)) release();
    return unused;
}

static void row(int i, int flags) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    sigaction(SIGUSR1, &action, NULL);
    pthread_t helper;
    handled = 0, release = rows[i].release;
    atomic_store(&done_waiting, 0);
    NEED(pthread_create(&helper, NULL, interrupt, NULL) == 0);
    errno = 0;
    long result = rows[i].run();
    int error = errno;
    atomic_store(&done_waiting, 1);
    pthread_join(helper, NULL);
    printf("%s%s: %s\n", rows[i].name, flags ? ", SA_RESTART" : "", result >= 0 ? "went on" : strerror(error));
    fflush(stdout);
    EXPECT(handled == 1);
    // poll and its kin leave the byte where it is.
    while (poll(&(struct pollfd){in[0], POLLIN, 0}, 1, 0) == 1) EXPECT(read(in[0], block, 1) == 1);
    while (poll(&(struct pollfd){out[1], POLLOUT, 0}, 1, 0) == 1) EXPECT(write(out[1], block, 4096) > 0);
}

static void set_up(void) {
    main_thread = pthread_self();
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    NEED(pipe(in) == 0 && pipe(out) == 0 && pipe(other) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, limited) == 0);
    NEED(setsockopt(limited[0], SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){5, 0}, sizeof(struct timeval)) == 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, "socket");
    NEED(bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 5) == 0);
    event = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0), signals = signalfd(-1, &set, 0);
    NEED((watch = inotify_init1(0)) >= 0 && inotify_add_watch(watch, ".", IN_CREATE) >= 0);
    lock_a = open("lock", O_CREAT | O_RDWR, 0600), lock_b = open("lock", O_RDWR);
    NEED((epoll = epoll_create1(0)) >= 0);
    struct epoll_event wanted = {.events = EPOLLIN};
    NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, in[0], &wanted) == 0);
    snprintf(path, sizeof path, "/compat-restart-%d", getpid());
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
    NEED((queue = mq_open(path, O_CREAT | O_RDWR, 0600, &attributes)) >= 0);
    mq_unlink(path);
    NEED((queue_id = msgget(IPC_PRIVATE, 0600)) >= 0 && (sem_id = semget(IPC_PRIVATE, 1, 0600)) >= 0);
    sem_init(&semaphore, 0, 0);
    NEED(mkfifo("fifo", 0600) == 0);
}

int main(void) {
    enter_scratch();
    set_up();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) row(i, SA_RESTART), row(i, 0);
    msgctl(queue_id, IPC_RMID, NULL), semctl(sem_id, 0, IPC_RMID);
    return done();
}
