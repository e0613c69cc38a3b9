// AF_PACKET: the frames of this program's own traffic over lo, as a socket, through a filter and in a mapped ring.
#include "inet.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/mman.h>

struct headers {
    struct ethhdr link;
    struct iphdr ip;
    union {
        struct udphdr udp;
        struct tcphdr tcp;
        struct icmphdr icmp;
    };
} __attribute__((packed));

static union address us;

static struct sockaddr_ll on_lo(int protocol) {
    return (struct sockaddr_ll){.sll_family = AF_PACKET,
                                .sll_protocol = htons((uint16_t)protocol),
                                .sll_ifindex = (int)if_nametoindex("lo")};
}

static int watch(int type, int protocol) {
    int fd = socket(AF_PACKET, type | SOCK_NONBLOCK, 0);
    struct sockaddr_ll a = on_lo(protocol);
    NEED(fd >= 0 && bind(fd, (void *)&a, sizeof a) == 0);
    return fd;
}

static void say(const char *text) {
    int fd = udp4();
    NEED(sendto(fd, text, strlen(text), 0, &us.any, size_of(&us)) == (ssize_t)strlen(text));
    close(fd);
}

static const char *direction(int type) { return type == PACKET_OUTGOING ? "out" : type == PACKET_HOST ? "in" : "?"; }

static void frames(void) {
    int fd = watch(SOCK_RAW, ETH_P_ALL), cooked = watch(SOCK_DGRAM, ETH_P_IP);
    say("hello");
    for (int i = 0; i < 2; i++) {
        char bytes[200];
        struct sockaddr_ll from;
        socklen_t length = sizeof from;
        ssize_t n = recvfrom(fd, bytes, sizeof bytes, 0, (void *)&from, &length);
        struct headers *h = (void *)bytes;
        NEED(n == 14 + 20 + 8 + 5 && length == sizeof from);
        EXPECT(h->link.h_proto == htons(ETH_P_IP) && h->ip.protocol == IPPROTO_UDP && h->ip.ihl == 5);
        EXPECT(h->udp.dest == us.v4.sin_port && h->udp.len == htons(13));
        EXPECT(from.sll_protocol == htons(ETH_P_IP) && from.sll_hatype == 772 && from.sll_halen == 6);
        printf("%s %.5s\n", direction(from.sll_pkttype), bytes + 42);
    }
    EXPECT(recv(fd, NULL, 0, 0) == -1 && errno == EAGAIN);

    char bytes[200];
    ssize_t n = recv(cooked, bytes, sizeof bytes, 0);
    EXPECT(n == 20 + 8 + 5 && memcmp(bytes + 28, "hello", 5) == 0);
    EXPECT(recv(cooked, NULL, 0, 0) == -1 && errno == EAGAIN);

    struct tpacket_stats stats;
    socklen_t length = sizeof stats;
    EXPECT(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0);
    printf("%u packets, %u drops\n", stats.tp_packets, stats.tp_drops);
    EXPECT(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0 && stats.tp_packets == 0);
    close(fd);
    close(cooked);
}

// Flags of each incoming segment of a connection, without bare acknowledgements: those depend on time.
static void connection(void) {
    int fd = watch(SOCK_RAW, ETH_P_IP), pair[2];
    make_pair(pair);
    NEED(write(pair[0], "question", 8) == 8);
    char bytes[300];
    NEED(read(pair[1], bytes, 100) == 8 && write(pair[1], "answer", 6) == 6 && read(pair[0], bytes, 100) == 6);
    close(pair[0]);
    NEED(read(pair[1], bytes, 100) == 0);
    close(pair[1]);
    ssize_t n;
    uint16_t first = 0;
    unsigned start[2] = {0}, sequence[2] = {0};
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        struct headers *h = (void *)bytes;
        int payload = ntohs(h->ip.tot_len) - 20 - h->tcp.doff * 4;
        if (h->ip.protocol != IPPROTO_TCP || (payload == 0 && !h->tcp.syn && !h->tcp.fin && !h->tcp.rst)) continue;
        if (!h->tcp.ack) first = h->tcp.source;
        printf("%s%s%s%s%s", h->tcp.source == first ? "client" : "server", h->tcp.syn ? " SYN" : "",
               h->tcp.fin ? " FIN" : "", h->tcp.rst ? " RST" : "", h->tcp.ack ? " ACK" : "");
        if (!h->tcp.syn) sequence[h->tcp.source == first] = ntohl(h->tcp.seq) - start[h->tcp.source == first];
        else start[h->tcp.source == first] = ntohl(h->tcp.seq);
        printf(" %u %.*s\n", sequence[h->tcp.source == first], payload, bytes + 14 + 20 + h->tcp.doff * 4);
    }
    close(fd);
}

static void refusals(void) {
    int fd = watch(SOCK_RAW, ETH_P_IP), client = udp4(), gone = udp4();
    NEED(bind_to(gone, at4("127.0.0.1", 0)) == 0);
    union address nobody = name_of(gone);
    close(gone);
    NEED(sendto(client, "x", 1, 0, &nobody.any, size_of(&nobody)) == 1);
    char bytes[300];
    ssize_t n;
    while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        struct headers *h = (void *)bytes;
        if (h->ip.protocol != IPPROTO_ICMP) continue;
        struct headers *quoted = (void *)(bytes + 14 + 20 + 8 - 14);
        printf("icmp %d %d about port %s\n", h->icmp.type, h->icmp.code,
               quoted->udp.dest == nobody.v4.sin_port ? "of nobody" : "?");
    }
    close(client);
    close(fd);
}

// A filter for UDP to our port, which keeps 30 bytes.
static void filtered(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 7),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 5),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohs(us.v4.sin_port), 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_PKTTYPE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_HOST, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 30),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    int fd = watch(SOCK_RAW, ETH_P_ALL), other[2];
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
    make_pair(other);
    say("something");
    char bytes[200];
    EXPECT(recv(fd, bytes, sizeof bytes, MSG_TRUNC) == 30);
    EXPECT(recv(fd, bytes, sizeof bytes, 0) == -1 && errno == EAGAIN);

    code[1].jt = 50;
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == -1 && errno == EINVAL);
    program.len = 0;
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == -1 && errno == EINVAL);
    program.len = 2;
    program.filter = (void *)8;
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == -1 && errno == EFAULT);
    EXPECT(setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, NULL, 0) == -1 && errno == EINVAL);
    EXPECT(set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0) == 0);
    EXPECT(set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0) == -1 && errno == ENOENT);
    EXPECT(set(fd, SOL_SOCKET, SO_LOCK_FILTER, 1) == 0);
    EXPECT(set(fd, SOL_SOCKET, SO_DETACH_FILTER, 0) == -1 && errno == EPERM);
    close(other[0]);
    close(other[1]);
    close(fd);
}

static void ring(void) {
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    NEED(fd >= 0 && set(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2) == 0);
    struct tpacket_req request = {.tp_block_size = 8192, .tp_block_nr = 2, .tp_frame_size = 4096, .tp_frame_nr = 5};
    EXPECT(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == -1 && errno == EINVAL);
    request.tp_frame_nr = 4;
    NEED(setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0);
    char *memory = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(memory != MAP_FAILED);
    struct sockaddr_ll a = on_lo(ETH_P_ALL);
    NEED(bind(fd, (void *)&a, sizeof a) == 0);
    EXPECT(events_of(fd, POLLOUT) == POLLOUT);
    for (int i = 0; i < 3; i++) say("in the ring");
    EXPECT(events_of(fd, POLLIN | POLLOUT) == (POLLIN | POLLOUT));
    for (int i = 0; i < 4; i++) {
        struct tpacket2_hdr *h = (void *)(memory + i * 4096);
        struct sockaddr_ll *from = (void *)((char *)h + TPACKET_ALIGN(sizeof *h));
        NEED(h->tp_status & TP_STATUS_USER);
        EXPECT(h->tp_len == 53 && h->tp_snaplen == 53 && h->tp_net - h->tp_mac == 14 && h->tp_sec > 1000000000);
        printf("%d %s %.11s\n", h->tp_mac, direction(from->sll_pkttype), (char *)h + h->tp_mac + 42);
    }
    struct tpacket_stats stats;
    socklen_t length = sizeof stats;
    EXPECT(getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &length) == 0);
    printf("%u packets, %u drops\n", stats.tp_packets, stats.tp_drops);
    for (int i = 0; i < 4; i++) ((struct tpacket2_hdr *)(memory + i * 4096))->tp_status = TP_STATUS_KERNEL;
    EXPECT(events_of(fd, POLLOUT) == POLLOUT);
    say("once more..");
    struct tpacket2_hdr *h = (void *)memory;
    EXPECT(h->tp_status & TP_STATUS_USER);
    EXPECT(munmap(memory, 16384) == 0);
    close(fd);
}

static void errors(void) {
    int fd = watch(SOCK_RAW, ETH_P_ALL);
    struct sockaddr_ll a = on_lo(ETH_P_ALL);
    a.sll_ifindex = 4711;
    EXPECT(bind(fd, (void *)&a, sizeof a) == -1 && errno == ENODEV);
    EXPECT(bind(fd, &us.any, sizeof us.v4) == -1 && errno == EINVAL);
    EXPECT(socket(AF_PACKET, SOCK_STREAM, 0) == -1 && errno == ESOCKTNOSUPPORT);
    EXPECT(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
    struct packet_mreq all = {.mr_ifindex = (int)if_nametoindex("lo"), .mr_type = PACKET_MR_PROMISC};
    EXPECT(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) == 0);
    EXPECT(setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &all, sizeof all) == 0);
    EXPECT(listen(fd, 1) == -1 && errno == EOPNOTSUPP);
    close(fd);
    NEED(setuid(65534) == 0);
    EXPECT(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM);
}

int main(void) {
    // A lo of its own, so that nobody else's traffic is seen. The guest's is, where this is process 1.
    if (getpid() != 1) {
        NEED(unshare(CLONE_NEWNET) == 0);
        int fd = udp4();
        struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        NEED(ioctl(fd, SIOCSIFFLAGS, &lo) == 0);
        close(fd);
    }
    int receiver = udp4();
    NEED(bind_to(receiver, at4("127.0.0.1", 0)) == 0);
    us = name_of(receiver);
    frames();
    connection();
    refusals();
    filtered();
    ring();
    errors();
    return 0;
}
