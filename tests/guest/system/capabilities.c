// capabilities(7): what the sets allow, and what becomes of them when ids change and a program is executed.
#include "check.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct sets {
    uint64_t effective, permitted, inheritable;
};

static uint64_t bit(int capability) { return 1ull << capability; }

static struct sets get(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    NEED(syscall(SYS_capget, &header, data) == 0);
    return (struct sets){data[0].effective | (uint64_t)data[1].effective << 32,
                         data[0].permitted | (uint64_t)data[1].permitted << 32,
                         data[0].inheritable | (uint64_t)data[1].inheritable << 32};
}

static int set(struct sets s) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{s.effective, s.permitted, s.inheritable},
                                             {s.effective >> 32, s.permitted >> 32, s.inheritable >> 32}};
    return syscall(SYS_capset, &header, data);
}

// Takes some out of effect, or brings them back.
static void without(uint64_t some) {
    struct sets s = get();
    s.effective = s.permitted & ~some;
    EXPECT(set(s) == 0 && get().effective == s.effective);
}

static int ambient(int operation, int capability) { return prctl(PR_CAP_AMBIENT, operation, capability, 0, 0); }

static uint64_t shown(const char *name) {
    char line[256];
    uint64_t value = -1;
    FILE *status = fopen("/proc/self/status", "r");
    NEED(status);
    while (fgets(line, sizeof line, status))
        if (strncmp(line, name, strlen(name)) == 0) value = strtoull(line + strlen(name) + 1, NULL, 16);
    fclose(status);
    return value;
}

static void execute(const char *stage) {
    // The next program does not know of failures.
    if (atomic_load(&check_failures) > 0) exit(1);
    execl("/proc/self/exe", "capabilities", stage, NULL);
    NEED(0);
}

static void checks(void) {
    char name[] = "/tmp/capabilities-XXXXXX";
    int fd = mkstemp(name);
    NEED(fd >= 0);
    without(bit(CAP_CHOWN));
    FAILS(fchown(fd, 1234, 1234), EPERM);
    without(0);
    EXPECT(fchown(fd, 1234, 1234) == 0 && fchmod(fd, 0) == 0);
    without(bit(CAP_FOWNER));
    FAILS(fchmod(fd, 0600), EPERM);
    without(bit(CAP_DAC_OVERRIDE) | bit(CAP_DAC_READ_SEARCH));
    FAILS(open(name, O_RDONLY), EACCES);
    without(bit(CAP_DAC_OVERRIDE));
    int reader = open(name, O_RDONLY);
    EXPECT(reader >= 0);
    close(reader);
    FAILS(open(name, O_WRONLY), EACCES);
    // It goes by what the real user could do.
    EXPECT(access(name, W_OK) == 0);
    without(bit(CAP_SETUID));
    FAILS(setresuid(1, 1, 1), EPERM);
    without(bit(CAP_SETGID));
    FAILS(setresgid(1, 1, 1), EPERM);
    without(bit(CAP_SYS_CHROOT));
    FAILS(chroot("/"), EPERM);
    without(bit(CAP_NET_RAW));
    FAILS(socket(AF_INET, SOCK_RAW, 1), EPERM);
    without(0);
    unlink(name), close(fd);
}

static void rules(void) {
    struct sets now = get(), more = now;
    more.permitted = now.effective = now.permitted & ~bit(CAP_SYS_BOOT);
    FAILS(set((struct sets){more.permitted | bit(CAP_SYS_BOOT), more.permitted, 0}), EPERM);
    EXPECT(set((struct sets){more.permitted, more.permitted, bit(CAP_NET_RAW)}) == 0);
    FAILS(set((struct sets){0, more.permitted | bit(CAP_SYS_BOOT), 0}), EPERM);
    EXPECT(prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0) == 1 && prctl(PR_CAPBSET_DROP, CAP_KILL, 0, 0, 0) == 0);
    EXPECT(prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0) == 0 && (shown("CapBnd") & bit(CAP_KILL)) == 0);
    FAILS(prctl(PR_CAPBSET_DROP, 64, 0, 0, 0), EINVAL);
    FAILS(ambient(PR_CAP_AMBIENT_RAISE, CAP_CHOWN), EPERM);
    EXPECT(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW) == 0 && ambient(PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW) == 1);
    EXPECT(ambient(PR_CAP_AMBIENT_LOWER, CAP_NET_RAW) == 0 && shown("CapAmb") == 0);
    EXPECT(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW) == 0 && shown("CapAmb") == bit(CAP_NET_RAW));
    FAILS(ambient(PR_CAP_AMBIENT_CLEAR_ALL, 1), EINVAL);
    FAILS(prctl(PR_SET_SECUREBITS, 1 << 20, 0, 0, 0), EPERM);
}

static void file_user(void) {
    uint64_t of_files = bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER), before = get().effective;
    EXPECT(setfsuid(1234) == 0 && (get().effective & of_files) == 0 && (get().effective & bit(CAP_SETUID)) != 0);
    EXPECT(setfsuid(0) == 1234 && get().effective == before);
}

// Another user, who keeps what it may do.
static void change_user(void) {
    EXPECT(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && prctl(PR_GET_SECUREBITS) == 1 << SECURE_KEEP_CAPS);
    struct sets before = get();
    EXPECT(setresuid(1234, 1234, 1234) == 0);
    struct sets after = get();
    EXPECT(after.permitted == before.permitted && after.effective == 0 && shown("CapAmb") == 0);
    FAILS(setresuid(0, 0, 0), EPERM);
    after.effective = bit(CAP_SETUID) | bit(CAP_SETPCAP);
    after.inheritable = bit(CAP_NET_RAW);
    EXPECT(set(after) == 0 && get().effective == after.effective);
}

int main(int argc, char **argv) {
    const char *stage = argc > 1 ? argv[1] : "";
    if (geteuid() != 0 && *stage == 0) {
        struct sets none = get();
        none.permitted |= bit(CAP_SYS_BOOT);
        FAILS(set(none), EPERM);
        FAILS(prctl(PR_CAPBSET_DROP, CAP_KILL, 0, 0, 0), EPERM);
    } else if (*stage == 0) {
        checks();
        rules();
        file_user();
        change_user();
        // As root again, with all that is permitted.
        EXPECT(setresuid(0, 0, 0) == 0 && get().effective == get().permitted);
        execute("root");
    } else if (strcmp(stage, "root") == 0) {
        // What was dropped from the permitted set is back, what was dropped from the bounding set is not.
        EXPECT((get().effective & (bit(CAP_SYS_BOOT) | bit(CAP_KILL))) == bit(CAP_SYS_BOOT));
        EXPECT(get().effective == get().permitted && prctl(PR_GET_KEEPCAPS) == 0);
        change_user();
        EXPECT(ambient(PR_CAP_AMBIENT_RAISE, CAP_NET_RAW) == 0);
        execute("ambient");
    } else if (strcmp(stage, "ambient") == 0) {
        struct sets now = get();
        EXPECT(now.effective == bit(CAP_NET_RAW) && now.permitted == bit(CAP_NET_RAW));
        int raw = socket(AF_INET, SOCK_RAW, 1);
        EXPECT(raw >= 0 && ambient(PR_CAP_AMBIENT_CLEAR_ALL, 0) == 0);
        execute("nothing");
    } else {
        struct sets now = get();
        EXPECT(now.effective == 0 && now.permitted == 0 && now.inheritable == bit(CAP_NET_RAW));
        FAILS(socket(AF_INET, SOCK_RAW, 1), EPERM);
    }
    return done();
}
