// /proc/self as programs read it: maps, exe, fd, stat, status, cmdline, environ, auxv, task.
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

static char text[1 << 16];

static size_t slurp(const char *path) {
    int fd = open(path, O_RDONLY);
    NEED(fd >= 0);
    size_t length = 0;
    // Small reads: the file must continue where the last one stopped.
    for (ssize_t n; length < sizeof text - 1 && (n = read(fd, text + length, 100)) > 0;) length += (size_t)n;
    text[length] = 0;
    close(fd);
    return length;
}

struct found { int stack, heap, code, mapping, lines; };

static struct found maps(const void *mapping) {
    struct found found = {0};
    uintptr_t here = (uintptr_t)&found, last = 0;
    slurp("/proc/self/maps");
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        unsigned long from, to, offset, inode;
        char flags[5], device[16], name[256] = "";
        EXPECT(sscanf(line, "%lx-%lx %4s %lx %15s %lu %255s", &from, &to, flags, &offset, device, &inode, name) >= 6);
        EXPECT(from < to && from >= last && strchr(device, ':') != NULL);
        last = to;
        found.lines++;
        if (here >= from && here < to) found.stack += strcmp(name, "[stack]") == 0 && strcmp(flags, "rw-p") == 0;
        found.heap += strcmp(name, "[heap]") == 0;
        if ((uintptr_t)slurp >= from && (uintptr_t)slurp < to) found.code += flags[2] == 'x' && name[0] == '/';
        if ((uintptr_t)mapping == from) found.mapping += strcmp(flags, "r--s") == 0 && to - from == 8192;
    }
    return found;
}

static void links(void) {
    char path[PATH_MAX] = "";
    EXPECT(readlink("/proc/self/exe", path, sizeof path - 1) > 0 && path[0] == '/');
    EXPECT(access("/proc/self/exe", R_OK) == 0);
    int fd = open("/proc/self/exe", O_RDONLY);
    char magic[4] = "";
    EXPECT(fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "\177ELF", 4) == 0);
    close(fd);
    char here[PATH_MAX] = "";
    memset(path, 0, sizeof path);
    EXPECT(readlink("/proc/self/cwd", path, sizeof path - 1) > 0 && strcmp(path, getcwd(here, sizeof here)) == 0);
    fd = open("file", O_CREAT | O_RDWR, 0600);
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    memset(path, 0, sizeof path);
    EXPECT(readlink(name, path, sizeof path - 1) > 0 && strcmp(strrchr(path, '/'), "/file") == 0);
    int again = open(name, O_WRONLY);
    EXPECT(again >= 0 && write(again, "xyz", 3) == 3 && lseek(fd, 0, SEEK_END) == 3);
    DIR *dir = opendir("/proc/self/fd");
    int seen = 0;
    NEED(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) seen += atoi(entry->d_name) == fd || atoi(entry->d_name) == again;
    EXPECT(seen == 2);
    closedir(dir), close(fd), close(again);
}

static void *wait_a_little(void *unused) {
    sleep_ms(100);
    return unused;
}

static void texts(int argc, char **argv) {
    size_t length = slurp("/proc/self/cmdline");
    EXPECT(length > 0 && strcmp(text, argv[0]) == 0 && text[length - 1] == 0);
    EXPECT(argc == 3 && length == strlen(argv[0]) + 1 + strlen(argv[1]) + 1 + strlen(argv[2]) + 1);
    int pid = 0;
    char name[64], state = 0;
    slurp("/proc/self/stat");
    EXPECT(sscanf(text, "%d (%63[^)]) %c", &pid, name, &state) == 3 && pid == getpid() && state == 'R');
    int fields = 0;
    for (char *c = text; *c != 0; c++) fields += *c == ' ';
    EXPECT(fields >= 51 && strlen(name) <= 15);
    slurp("/proc/self/status");
    EXPECT(strstr(text, "\nVmRSS:") != NULL && strstr(text, "\nThreads:\t1\n") != NULL && strstr(text, "\nUid:") != NULL);
    EXPECT(slurp("/proc/self/environ") > 0 && strchr(text, '=') != NULL);
    EXPECT(slurp("/proc/self/auxv") % 16 == 0);
    EXPECT(slurp("/proc/self/limits") > 0 && strstr(text, "Max open files") != NULL);
    slurp("/proc/self/statm");
    long total = 0, resident = 0;
    EXPECT(sscanf(text, "%ld %ld", &total, &resident) == 2 && total >= resident && resident > 0);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, wait_a_little, NULL) == 0);
    DIR *dir = opendir("/proc/self/task");
    int threads = 0;
    NEED(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) threads += atoi(entry->d_name) > 0;
    EXPECT(threads == 2);
    closedir(dir);
    NEED(pthread_join(thread, NULL) == 0);
}

static void machine(void) {
    EXPECT(slurp("/proc/cpuinfo") > 0 && strstr(text, "processor\t: 0") != NULL && strstr(text, "flags\t\t:") != NULL);
    slurp("/proc/uptime");
    double up = -1;
    EXPECT(sscanf(text, "%lf", &up) == 1 && up >= 0);
    EXPECT(slurp("/proc/stat") > 0 && strncmp(text, "cpu ", 4) == 0);
    EXPECT(slurp("/proc/version") > 0 && strncmp(text, "Linux version ", 14) == 0);
    EXPECT(slurp("/proc/mounts") > 0 && strstr(text, " / ") != NULL);
    EXPECT(slurp("/proc/filesystems") > 0 && strstr(text, "tmpfs") != NULL);
    EXPECT(slurp("/proc/sys/kernel/osrelease") > 0 && slurp("/proc/sys/vm/overcommit_memory") == 2);
    EXPECT(slurp("/proc/sys/kernel/random/uuid") == 37 && slurp("/proc/loadavg") > 10);
    EXPECT(slurp("/sys/devices/system/cpu/online") > 1);
}

int main(int argc, char **argv) {
    texts(argc, argv);
    part("texts");
    enter_scratch();
    links();
    part("links");
    int fd = open("mapped", O_CREAT | O_RDWR, 0600);
    EXPECT(ftruncate(fd, 8192) == 0);
    void *mapping = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
    free(malloc(100));
    struct found found = maps(mapping);
    EXPECT(found.stack == 1 && found.heap == 1 && found.code == 1 && found.mapping == 1 && found.lines > 5);
    part("maps");
    machine();
    FAILS(open("/proc/self/no-such-file", O_RDONLY), ENOENT);
    FAILS(open("/proc/999999", O_RDONLY), ENOENT);
    return done();
}
