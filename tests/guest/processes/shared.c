// What processes use together: futexes and semaphores in shared memory, locks on files, sockets, System V's segments.
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct shared {
    sem_t ping, pong;
    pthread_mutex_t mutex, robust;
    pthread_cond_t changed;
    int turn, count;
};

static void finish(pid_t pid) {
    int status = -1;
    EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
}

static struct shared *make(void) {
    struct shared *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attr;
    pthread_condattr_t cond;
    NEED(shared != MAP_FAILED && sem_init(&shared->ping, 1, 0) == 0 && sem_init(&shared->pong, 1, 0) == 0);
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    NEED(pthread_mutex_init(&shared->mutex, &attr) == 0);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    NEED(pthread_mutex_init(&shared->robust, &attr) == 0);
    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    NEED(pthread_cond_init(&shared->changed, &cond) == 0);
    return shared;
}

static void waits(struct shared *shared) {
    enum { ROUNDS = 300 };
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < ROUNDS; i++) sem_wait(&shared->ping), shared->count++, sem_post(&shared->pong);
        _exit(0);
    }
    for (int i = 0; i < ROUNDS; i++) sem_post(&shared->ping), sem_wait(&shared->pong);
    finish(pid);
    EXPECT(shared->count == ROUNDS);
    part("semaphores");

    pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(&shared->mutex);
        while (shared->turn != 1) pthread_cond_wait(&shared->changed, &shared->mutex);
        shared->turn = 2;
        pthread_cond_broadcast(&shared->changed);
        pthread_mutex_unlock(&shared->mutex);
        _exit(0);
    }
    pthread_mutex_lock(&shared->mutex);
    shared->turn = 1;
    pthread_cond_broadcast(&shared->changed);
    while (shared->turn != 2) pthread_cond_wait(&shared->changed, &shared->mutex);
    pthread_mutex_unlock(&shared->mutex);
    finish(pid);
    part("conditions");

    pid = fork();
    if (pid == 0) {
        pthread_mutex_lock(&shared->robust);
        sem_post(&shared->pong);
        _exit(0);
    }
    sem_wait(&shared->pong);
    EXPECT(pthread_mutex_lock(&shared->robust) == EOWNERDEAD && pthread_mutex_consistent(&shared->robust) == 0);
    pthread_mutex_unlock(&shared->robust);
    finish(pid);
    part("robust");
}

static void locks(struct shared *shared) {
    int fd = open("locked", O_RDWR | O_CREAT, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    NEED(fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0);
    pid_t pid = fork(), parent = getppid();
    if (pid == 0) {
        (void)parent;
        struct flock seen = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 5};
        FAILS(fcntl(fd, F_SETLK, &seen), EAGAIN);
        EXPECT(fcntl(fd, F_GETLK, &seen) == 0 && seen.l_type == F_WRLCK && seen.l_pid == getppid());
        sem_post(&shared->ping);
        seen = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 5};
        EXPECT(fcntl(fd, F_SETLKW, &seen) == 0);
        // Held until it ends.
        _exit(check_failures != 0);
    }
    sem_wait(&shared->ping);
    lock.l_type = F_UNLCK;
    EXPECT(fcntl(fd, F_SETLK, &lock) == 0);
    lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    EXPECT(waitpid(pid, NULL, 0) == pid && fcntl(fd, F_SETLK, &lock) == 0);
    part("records");

    int ready[2];
    NEED(pipe(ready) == 0);
    pid = fork();
    if (pid == 0) {
        int own = open("locked", O_RDWR);
        EXPECT(flock(own, LOCK_EX) == 0 && write(ready[1], "x", 1) == 1);
        pause();
    }
    char byte;
    EXPECT(read(ready[0], &byte, 1) == 1);
    FAILS(flock(fd, LOCK_EX | LOCK_NB), EAGAIN);
    EXPECT(kill(pid, SIGKILL) == 0 && flock(fd, LOCK_EX) == 0 && waitpid(pid, NULL, 0) == pid);
    close(fd);
    part("whole files");
}

static void files(void) {
    int ends[2], event = eventfd(0, 0), epoll = epoll_create1(0);
    struct epoll_event wanted = {.events = EPOLLIN};
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t one = 1;
        char text[8] = "";
        struct ucred peer;
        socklen_t len = sizeof peer;
        EXPECT(read(ends[1], text, sizeof text) == 2 && write(event, &one, 8) == 8);
        EXPECT(getsockopt(ends[1], SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.pid == getppid());
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGUSR1);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        int signals = signalfd(-1, &mask, 0);
        struct signalfd_siginfo info;
        EXPECT(write(ends[1], "s", 1) == 1 && read(signals, &info, sizeof info) == sizeof info);
        EXPECT(info.ssi_signo == SIGUSR1 && (pid_t)info.ssi_pid == getppid());
        _exit(check_failures != 0);
    }
    char byte;
    EXPECT(write(ends[0], "hi", 2) == 2 && epoll_wait(epoll, &wanted, 1, -1) == 1);
    EXPECT(read(ends[0], &byte, 1) == 1 && kill(pid, SIGUSR1) == 0);
    finish(pid);
    part("descriptors");
}

static void segments(void) {
    int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
    NEED(id >= 0);
    int *word = shmat(id, NULL, 0);
    struct shmid_ds info;
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 2);
        *word = 5;
        _exit(check_failures != 0);
    }
    finish(pid);
    EXPECT(*word == 5 && shmctl(id, IPC_STAT, &info) == 0 && info.shm_nattch == 1);
    EXPECT(shmctl(id, IPC_RMID, NULL) == 0 && *word == 5 && shmdt(word) == 0);
    FAILS(shmctl(id, IPC_STAT, &info), EINVAL);
    part("segments");
}

static void undone(void) {
    int id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
    struct sembuf up = {0, 1, 0}, take = {0, -1, SEM_UNDO}, zero = {1, 3, SEM_UNDO};
    NEED(id >= 0 && semop(id, &up, 1) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        EXPECT(semop(id, &take, 1) == 0 && semop(id, &zero, 1) == 0 && semctl(id, 0, GETVAL) == 0);
        EXPECT(semctl(id, 1, GETVAL) == 3);
        _exit(check_failures != 0);
    }
    // The child has it, or has had it: either way it comes back.
    finish(pid);
    EXPECT(semctl(id, 0, GETVAL) == 1 && semctl(id, 1, GETVAL) == 0 && semctl(id, 0, IPC_RMID) == 0);
    part("undone");
}

// SIGIO goes to the process that was named.
static void signalled(void) {
    int ends[2];
    sigset_t mask;
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    sigemptyset(&mask);
    sigaddset(&mask, SIGIO);
    NEED(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    EXPECT(fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_GETOWN) == getpid());
    EXPECT(fcntl(ends[0], F_SETFL, O_ASYNC) == 0 && fcntl(ends[0], F_GETFL) & O_ASYNC);
    struct f_owner_ex owner = {F_OWNER_PID, 1 << 21};
    FAILS(fcntl(ends[0], F_SETOWN, 1 << 21), ESRCH);
    FAILS(fcntl(ends[0], F_SETOWN_EX, &owner), ESRCH);
    EXPECT(fcntl(ends[0], F_GETOWN_EX, &owner) == 0 && owner.type == F_OWNER_PID && owner.pid == getpid());
    pid_t pid = fork();
    if (pid == 0) _exit(write(ends[1], "x", 1) != 1);
    siginfo_t info;
    EXPECT(sigwaitinfo(&mask, &info) == SIGIO);
    finish(pid);
    int off = 0;
    EXPECT(ioctl(ends[0], FIOASYNC, &off) == 0 && !(fcntl(ends[0], F_GETFL) & O_ASYNC));
    EXPECT(write(ends[1], "y", 1) == 1 && sigpending(&mask) == 0 && !sigismember(&mask, SIGIO));
    part("signalled");
}

// A reader's end of a pipe is opened anew once the writer has gone: what it wrote is there.
static void reopened(void) {
    int ends[2];
    char path[64], text[8] = "";
    NEED(pipe(ends) == 0 && write(ends[1], "left", 4) == 4 && close(ends[1]) == 0);
    sprintf(path, "/proc/self/fd/%d", ends[0]);
    int again = open(path, O_RDONLY);
    struct pollfd one = {.fd = again, .events = POLLIN};
    EXPECT(again >= 0 && read(again, text, sizeof text) == 4 && strcmp(text, "left") == 0);
    EXPECT(poll(&one, 1, 0) == 1 && one.revents == POLLHUP && read(again, text, 1) == 0);
    part("reopened");
}

int main(void) {
    enter_scratch();
    struct shared *shared = make();
    waits(shared);
    locks(shared);
    files();
    segments();
    undone();
    signalled();
    reopened();
    return done();
}
