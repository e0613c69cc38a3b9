// Who am I: process and thread ids, users, groups, sessions, capabilities as programs read them.
#include "check.h"

#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>

static void *thread_id(void *pid) {
    EXPECT(getpid() == *(pid_t *)pid && gettid() != getpid());
    return (void *)(intptr_t)gettid();
}

int main(void) {
    pid_t pid = getpid();
    EXPECT(pid > 0 && gettid() == pid && getppid() >= 0 && syscall(SYS_getpid) == pid);
    void *tid;
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, thread_id, &pid) == 0 && pthread_join(thread, &tid) == 0);
    EXPECT((intptr_t)tid > 0);
    uid_t real, effective, saved;
    EXPECT(getresuid(&real, &effective, &saved) == 0 && real == getuid() && effective == geteuid());
    gid_t group, effective_group, saved_group;
    EXPECT(getresgid(&group, &effective_group, &saved_group) == 0 && group == getgid() && effective_group == getegid());
    int count = getgroups(0, NULL);
    EXPECT(count >= 0 && count <= 65536);
    EXPECT(setuid(getuid()) == 0 && setgid(getgid()) == 0 && setreuid(-1, -1) == 0 && setresgid(-1, -1, -1) == 0);
    EXPECT(getpgrp() >= 0 && getpgid(0) == getpgrp() && getsid(0) >= 0);
    FAILS(getpgid(0x3fffffff), ESRCH);
    FAILS(kill(0x3fffffff, 0), ESRCH);
    return done();
}
