// SO_PEERCRED, SO_PASSCRED, SCM_CREDENTIALS.
#include "unix_sockets.h"

static int s[2];

static struct ucred own(void) { return (struct ucred){getpid(), getuid(), getgid()}; }

static int is_own(struct ucred who) { return who.pid == getpid() && who.uid == getuid() && who.gid == getgid(); }

static struct ucred peer(int fd) {
    struct ucred who = {-1, 0, 0};
    socklen_t length = sizeof who;
    EXPECT(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 && length == sizeof who);
    return who;
}

static ssize_t send_claim(struct ucred who) {
    char control[CMSG_SPACE(sizeof who)] = {0};
    struct iovec part = {"x", 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_CREDENTIALS, header->cmsg_len = CMSG_LEN(sizeof who);
    memcpy(CMSG_DATA(header), &who, sizeof who);
    return sendmsg(s[0], &message, 0);
}

// Whether a message came; `*who` has pid 0 if it did not say from whom.
static ssize_t receive(struct ucred *who) {
    char control[CMSG_SPACE(sizeof *who)], byte;
    struct iovec into = {&byte, 1};
    struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(s[1], &message, 0);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    who->pid = 0;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS)
        memcpy(who, CMSG_DATA(header), sizeof *who);
    return n;
}

static void passing(int type) {
    struct ucred who;
    NEED(socketpair(AF_UNIX, type, 0, s) == 0);
    EXPECT(is_own(peer(s[0])) && is_own(peer(s[1])));
    EXPECT(write(s[0], "x", 1) == 1 && receive(&who) == 1 && who.pid == 0);
    EXPECT(int_option(s[1], SO_PASSCRED) == 0 && set_int_option(s[1], SO_PASSCRED, 1) == 0);
    EXPECT(int_option(s[1], SO_PASSCRED) == 1);
    EXPECT(write(s[0], "x", 1) == 1 && receive(&who) == 1 && is_own(who));
    EXPECT(send_claim(own()) == 1 && receive(&who) == 1 && is_own(who));
    struct ucred claim = own();
    claim.uid++;
    if (geteuid() == 0) {
        EXPECT(send_claim(claim) == 1 && receive(&who) == 1 && who.uid == claim.uid && who.pid == getpid());
    } else {
        FAILS(send_claim(claim), EPERM);
    }
    claim = own(), claim.gid = 54321;
    if (geteuid() != 0) FAILS(send_claim(claim), EPERM);
    close(s[0]), close(s[1]);
}

static void connections(void) {
    int listener = unix_listener(SOCK_STREAM, "@credentials", 1), client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct ucred nobody = peer(client);
    EXPECT(nobody.pid == 0 && nobody.uid == (uid_t)-1 && nobody.gid == (gid_t)-1);
    EXPECT(set_int_option(listener, SO_PASSCRED, 1) == 0 && unix_connect(client, "@credentials") == 0);
    int server = accept(listener, NULL, NULL);
    EXPECT(is_own(peer(client)) && is_own(peer(server)) && int_option(server, SO_PASSCRED) == 1);
    close(client), close(server), close(listener);
}

static void names(void) {
    // Who wants credentials gets a name when it sends.
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
    EXPECT(set_int_option(s[0], SO_PASSCRED, 1) == 0 && write(s[0], "x", 1) == 1);
    struct unix_name name = {.length = sizeof name.address};
    EXPECT(getsockname(s[0], (struct sockaddr *)&name.address, &name.length) == 0);
    EXPECT(name.length == sizeof(sa_family_t) + 6 && name.address.sun_path[0] == 0);
    close(s[0]), close(s[1]);
}

int main(void) {
    for (int unprivileged = 0; unprivileged < 2; unprivileged++) {
        if (unprivileged && geteuid() == 0) NEED(setresgid(1234, 1234, 1234) == 0 && setresuid(1234, 1234, 1234) == 0);
        passing(SOCK_STREAM);
        passing(SOCK_DGRAM);
        passing(SOCK_SEQPACKET);
        part("passing");
        connections();
        names();
    }
    return done();
}
