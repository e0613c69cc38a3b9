// What a trace shows: several kinds of arguments, failures, a signal, a thread, then an end by a signal.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void handler(int signal) { (void)signal; }

static void *thread(void *unused) {
    (void)unused;
    getppid();
    return NULL;
}

int main(void) {
    struct stat st;
    struct timespec moment = {0, 1000};
    int fds[2];
    char text[8];
    (void)!stat("/nowhere/at all\n", &st);
    (void)!open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)!pipe2(fds, O_CLOEXEC);
    struct iovec parts[2] = {{"ab", 2}, {"cde", 3}};
    (void)!writev(fds[1], parts, 2);
    struct pollfd ready = {fds[0], POLLIN, 0};
    (void)!poll(&ready, 1, -1);
    (void)!read(fds[0], text, sizeof text);
    (void)!fcntl(fds[0], F_GETFL);
    struct sockaddr_un address = {AF_UNIX, "/nowhere/socket"};
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)!connect(sock, (struct sockaddr *)&address, sizeof address);
    int on = 1;
    (void)!setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    nanosleep(&moment, NULL);
    (void)!umask(027);
    signal(SIGUSR1, handler);
    raise(SIGUSR1);
    pthread_t other;
    pthread_create(&other, NULL, thread, NULL);
    pthread_join(other, NULL);
    printf("%d\n", fcntl(0, F_GETFL) & O_ACCMODE);
    fflush(stdout);
    kill(getpid(), SIGKILL);
    for (;;) pause();
}
