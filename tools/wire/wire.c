// An Ethernet cable with faults, between two tap interfaces in network namespaces. See usage() for what it can do.
//
// The host's kernel cuts segments and makes checksums before a frame reaches a tap without offloads, so what passes here is what
// would pass on a cable. What becomes of the Nth frame of a direction depends on the seed and N alone.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "queue.h"

enum { BATCH = 64 };

static const char USAGE[] =
    "Usage: wire [OPTION...] [NAMESPACE/]TAP [NAMESPACE/]TAP\n"
    "\n"
    "Makes both tap interfaces, each in its network namespace (of `ip netns`; default: the own one), and moves Ethernet\n"
    "frames between them. Prints `ready`, and after SIGTERM or SIGINT a line for each direction that counts what was done.\n"
    "All options hold for both directions.\n"
    "\n"
    "  --loss PERCENT       lose frames at random\n"
    "  --duplicate PERCENT  deliver frames twice\n"
    "  --delay MS           deliver later\n"
    "  --jitter MS          deliver up to so much later still, at random, by which frames overtake one another\n"
    "  --rate MBIT          pass on at most so many megabits a second\n"
    "  --limit FRAMES       lose frames when so many are under way (default 10000)\n"
    "  --seed NUMBER        other random numbers (default 1)\n";

struct options {
    double loss, duplicate, delay, jitter, rate;
    size_t limit;
    uint64_t seed;
};

struct direction {
    const char *name;
    int from, to;
    uint64_t random, free_at, newest;
    struct queue queue;
    unsigned long frames, lost, duplicated, overtaken, overflowed, refused;
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// splitmix64, as a number from 0 up to 1.
static double chance(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (double)((z ^ z >> 31) >> 11) / (double)(1ull << 53);
}

// Makes a tap; a thread's namespace counts when the interface is made, and when the device is opened.
static int open_tap(const char *where, int home) {
    const char *slash = strchr(where, '/'), *name = slash ? slash + 1 : where;
    if (slash) {
        char path[256];
        snprintf(path, sizeof path, "/run/netns/%.*s", (int)(slash - where), where);
        int namespace = open(path, O_RDONLY | O_CLOEXEC);
        if (namespace < 0 || setns(namespace, CLONE_NEWNET) < 0) fail(path);
        close(namespace);
    }
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) fail("/dev/net/tun");
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    if (strlen(name) >= sizeof request.ifr_name) errno = ENAMETOOLONG, fail(name);
    strcpy(request.ifr_name, name);
    if (ioctl(fd, TUNSETIFF, &request) < 0) fail(name);
    if (setns(home, CLONE_NEWNET) < 0) fail("/proc/self/ns/net");
    return fd;
}

static void enqueue(struct direction *way, const struct options *options, uint64_t due, const void *data, size_t size) {
    if (way->queue.count >= options->limit) {
        way->overflowed++;
        return;
    }
    if (due < way->newest) way->overtaken++;
    if (due > way->newest) way->newest = due;
    if (!queue_push(&way->queue, due, data, size)) fail("malloc");
}

static void take_one(struct direction *way, const struct options *options, const void *data, size_t size) {
    // Always the same numbers for a frame, whatever becomes of it.
    double loss = chance(&way->random), twice = chance(&way->random), late = chance(&way->random);
    way->frames++;
    if (loss * 100 < options->loss) {
        way->lost++;
        return;
    }
    uint64_t due = now();
    if (options->rate > 0) {
        if (way->free_at < due) way->free_at = due;
        way->free_at += (uint64_t)((double)size * 8000 / options->rate);
        due = way->free_at;
    }
    due += (uint64_t)((options->delay + options->jitter * late) * 1e6);
    enqueue(way, options, due, data, size);
    if (twice * 100 < options->duplicate) {
        way->duplicated++;
        enqueue(way, options, due, data, size);
    }
}

static int take(struct direction *way, const struct options *options) {
    static unsigned char frame[65536 + 32];
    for (int i = 0; i < BATCH; i++) {
        ssize_t size = read(way->from, frame, sizeof frame);
        if (size < 0) return 0;
        take_one(way, options, frame, (size_t)size);
    }
    return 1;
}

static void give(struct direction *way) {
    for (struct frame *frame; (frame = queue_first(&way->queue)) && frame->due <= now();) {
        // An interface that is not up, or has no room, loses the frame as a cable's end does.
        if (write(way->to, frame->data, frame->size) < 0) way->refused++;
        queue_pop(&way->queue);
    }
}

static void run(struct direction ways[2], const struct options *options, int signals) {
    struct pollfd polled[] = {{ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}, {signals, POLLIN, 0}};
    for (;;) {
        int more = 0;
        uint64_t due = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            more |= take(&ways[i], options);
            give(&ways[i]);
            struct frame *first = queue_first(&ways[i].queue);
            if (first && first->due < due) due = first->due;
        }
        uint64_t at = now(), rest = more || due <= at ? 0 : due - at;
        struct timespec wait = {(time_t)(rest / 1000000000), (long)(rest % 1000000000)};
        if (ppoll(polled, 3, due == UINT64_MAX && !more ? NULL : &wait, NULL) < 0 && errno != EINTR) fail("ppoll");
        if (polled[2].revents) return;
    }
}

static double number(const char *text, double most) {
    char *end;
    double value = strtod(text, &end);
    if (*text == 0 || *end != 0 || !(value >= 0 && value <= most)) {
        fprintf(stderr, "wire: %s: not a number from 0 to %g\n", text, most);
        exit(2);
    }
    return value;
}

static struct options parse(int argc, char **argv) {
    static const struct option names[] = {
        {"loss", 1, 0, 'l'}, {"duplicate", 1, 0, 'd'}, {"delay", 1, 0, 't'}, {"jitter", 1, 0, 'j'}, {"rate", 1, 0, 'r'},
        {"limit", 1, 0, 'n'}, {"seed", 1, 0, 's'}, {"help", 0, 0, 'h'}, {0, 0, 0, 0},
    };
    struct options options = {.limit = 10000, .seed = 1};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
            case 'l': options.loss = number(optarg, 100); break;
            case 'd': options.duplicate = number(optarg, 100); break;
            case 't': options.delay = number(optarg, 60000); break;
            case 'j': options.jitter = number(optarg, 60000); break;
            case 'r': options.rate = number(optarg, 1e6); break;
            case 'n': options.limit = (size_t)number(optarg, 1e9); break;
            case 's': options.seed = (uint64_t)number(optarg, 1e15); break;
            case 'h': fputs(USAGE, stdout); exit(0);
            default: exit(2);
        }
    }
    if (argc - optind != 2) {
        fputs(USAGE, stderr);
        exit(2);
    }
    return options;
}

int main(int argc, char **argv) {
    struct options options = parse(argc, argv);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    int signals = signalfd(-1, &ends, SFD_CLOEXEC), home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (signals < 0 || home < 0) fail("start");
    int a = open_tap(argv[optind], home), b = open_tap(argv[optind + 1], home);
    struct direction ways[2] = {
        {.name = argv[optind], .from = a, .to = b, .random = options.seed * 2},
        {.name = argv[optind + 1], .from = b, .to = a, .random = options.seed * 2 + 1},
    };
    puts("ready");
    fflush(stdout);
    run(ways, &options, signals);
    for (int i = 0; i < 2; i++) {
        struct direction *way = &ways[i];
        printf("from %s: frames %lu lost %lu duplicated %lu overtaken %lu overflowed %lu refused %lu\n", way->name, way->frames,
               way->lost, way->duplicated, way->overtaken, way->overflowed, way->refused);
    }
    return 0;
}
