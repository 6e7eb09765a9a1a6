/* UDP datagrams with numbers: what became of each.
 *   numbers receive ADDRESS PORT FLOWS [IDLE-MS]
 *   numbers send ADDRESS PORT FLOWS COUNT SIZE[-SIZE] RATE BURST [segment]
 * The sender sends COUNT datagrams of each of FLOWS flows (sockets), in turns, RATE a second in all and BURST at once.
 * A flow's datagrams come in runs of 1 to RUN_MAX of one size within SIZE-SIZE (UDP payload), of which the last may be
 * shorter; `segment`: each run is one send with UDP_SEGMENT, a super-packet for the interface. Size and content follow
 * from flow and number. Prints "sent N".
 * The receiver ends when all came, or when nothing came for IDLE-MS (2000) after the first. Prints for each flow and
 * for all
 *   flow F|all: received N lost N reordered N duplicated N corrupted N
 * (reordered: after one with a higher number; corrupted: size or content is not that of its number, and it counts as
 * nothing else), and then "overflow N": what its own socket had no room for, which is among the lost. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/udp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        RUN_MAX = 44,
        SMALLEST = 16,
        LARGEST = 1472, /* RUN_MAX of them fit a super-packet */
        FLOWS_MAX = 64,
        BATCH = 64,
        BUFFER = 32 << 20,
        DEFAULT_IDLE_MS = 2000,
        START_MS = 15000, /* until the first comes */
        LATE_MS = 100,    /* after all came: a duplicate may follow */
};

/* What each datagram begins with, in the machine's own order; the rest is noise that follows from it. */
struct mark {
        uint32_t flow, number, count;
        uint16_t low, high; /* sizes */
};

static_assert(sizeof(struct mark) == SMALLEST, "the smallest datagram is a mark");

static _Noreturn void die(const char *what)
{
        fprintf(stderr, "numbers: %s: %s\n", what, strerror(errno));
        exit(1);
}

static uint64_t mix(uint64_t x) /* splitmix64 */
{
        x += 0x9e3779b97f4a7c15;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
        x = (x ^ x >> 27) * 0x94d049bb133111eb;
        return x ^ x >> 31;
}

static uint64_t now_ns(void)
{
        struct timespec at;

        clock_gettime(CLOCK_MONOTONIC, &at);
        return (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec;
}

/* ---- What a datagram is ------------------------------------------------------------------------------------------ */

/* Runs are cut where a multiple of RUN_MAX is passed, and once in between. */
static uint32_t run_end(const struct mark *mark)
{
        uint32_t base = mark->number - mark->number % RUN_MAX;
        uint32_t cut = base + 1 + (uint32_t)(mix((uint64_t)mark->flow << 32 | base) % (RUN_MAX - 1));
        uint32_t end = mark->number < cut ? cut : base + RUN_MAX;

        return end < mark->count ? end : mark->count;
}

static size_t size_of(const struct mark *mark)
{
        uint32_t end = run_end(mark);
        uint64_t chance = mix((uint64_t)mark->flow << 32 | end);
        size_t size = mark->low + chance % (mark->high - mark->low + 1u);

        if (mark->number + 1 == end && chance >> 63) size = mark->low + (size - mark->low) / 3;
        return size;
}

static void fill(uint8_t *bytes, const struct mark *mark, size_t size)
{
        uint64_t word = mix((uint64_t)mark->flow << 32 | mark->number);

        memcpy(bytes, mark, sizeof *mark);
        for (size_t at = sizeof *mark; at < size;
             at += sizeof word, word = word * 6364136223846793005 + 1442695040888963407)
                memcpy(bytes + at, &word, size - at < sizeof word ? size - at : sizeof word);
}

static bool is_right(const uint8_t *bytes, size_t len, const struct mark *mark)
{
        uint8_t right[LARGEST];

        if (mark->number >= mark->count || mark->low < SMALLEST || mark->low > mark->high || mark->high > LARGEST)
                return false;
        size_t size = size_of(mark);
        if (size != len) return false;
        fill(right, mark, size);
        return memcmp(bytes, right, size) == 0;
}

/* ---- Receiver ---------------------------------------------------------------------------------------------------- */

struct flow {
        uint32_t count, highest; /* highest: number and one */
        uint64_t received, reordered, duplicated;
        uint8_t *seen; /* a bit each */
};

struct receiver {
        struct flow flows[FLOWS_MAX];
        uint32_t flow_count;
        uint64_t received, corrupted;
        uint32_t overflow;
};

static void take(struct receiver *receiver, const uint8_t *bytes, size_t len)
{
        struct mark mark = { .count = 0 };

        if (len >= sizeof mark) memcpy(&mark, bytes, sizeof mark);
        struct flow *flow = &receiver->flows[mark.flow % FLOWS_MAX];
        if (mark.flow >= receiver->flow_count || (flow->count && flow->count != mark.count) ||
            !is_right(bytes, len, &mark)) {
                receiver->corrupted++;
                return;
        }
        if (!flow->seen) {
                flow->count = mark.count;
                flow->seen = calloc(mark.count / 8 + 1, 1);
                if (!flow->seen) die("memory");
        }
        uint8_t bit = (uint8_t)(1 << mark.number % 8);
        if (flow->seen[mark.number / 8] & bit) {
                flow->duplicated++;
                return;
        }
        flow->seen[mark.number / 8] |= bit;
        flow->received++;
        receiver->received++;
        if (mark.number < flow->highest) flow->reordered++;
        else flow->highest = mark.number + 1;
}

static bool all_came(const struct receiver *receiver)
{
        for (uint32_t i = 0; i < receiver->flow_count; i++)
                if (!receiver->flows[i].count || receiver->flows[i].received < receiver->flows[i].count) return false;
        return true;
}

/* One call; false when nothing came for `wait_ms`. */
static bool receive_some(struct receiver *receiver, int fd, int wait_ms)
{
        static uint8_t bytes[BATCH][LARGEST + 1];
        struct pollfd ready = { .fd = fd, .events = POLLIN };
        char control[BATCH][CMSG_SPACE(sizeof(uint32_t))];
        struct mmsghdr msgs[BATCH];
        struct iovec iov[BATCH];

        for (int i = 0; i < BATCH; i++) {
                iov[i] = (struct iovec){ bytes[i], sizeof bytes[i] };
                msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
                                                         .msg_iovlen = 1,
                                                         .msg_control = control[i],
                                                         .msg_controllen = sizeof control[i] } };
        }
        if (poll(&ready, 1, wait_ms) < 1) return false;
        int got = recvmmsg(fd, msgs, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < got; i++) {
                struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msgs[i].msg_hdr);
                if (cmsg) memcpy(&receiver->overflow, CMSG_DATA(cmsg), sizeof receiver->overflow);
                take(receiver, bytes[i], msgs[i].msg_len);
        }
        return true;
}

static void report(const struct receiver *receiver)
{
        uint64_t lost = 0, reordered = 0, duplicated = 0;

        for (uint32_t i = 0; i < receiver->flow_count; i++) {
                const struct flow *flow = &receiver->flows[i];
                printf("flow %u: received %ju lost %ju reordered %ju duplicated %ju\n", i, (uintmax_t)flow->received,
                       (uintmax_t)(flow->count - flow->received), (uintmax_t)flow->reordered,
                       (uintmax_t)flow->duplicated);
                lost += flow->count - flow->received;
                reordered += flow->reordered;
                duplicated += flow->duplicated;
        }
        printf("all: received %ju lost %ju reordered %ju duplicated %ju corrupted %ju\noverflow %u\n",
               (uintmax_t)receiver->received, (uintmax_t)lost, (uintmax_t)reordered, (uintmax_t)duplicated,
               (uintmax_t)receiver->corrupted, receiver->overflow);
}

/* ---- Sender ------------------------------------------------------------------------------------------------------ */

struct sender {
        int fds[FLOWS_MAX];
        struct mark marks[FLOWS_MAX]; /* of the next datagram of each flow */
        uint32_t flow_count;
        bool segment;
};

static void send_bytes(int fd, uint8_t *bytes, size_t len, size_t segment)
{
        union {
                char bytes[CMSG_SPACE(sizeof(uint16_t))];
                struct cmsghdr header;
        } control = { .header = { .cmsg_level = IPPROTO_UDP,
                                  .cmsg_type = UDP_SEGMENT,
                                  .cmsg_len = CMSG_LEN(sizeof(uint16_t)) } };
        struct iovec iov = { bytes, len };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        uint16_t size = (uint16_t)segment;

        if (segment < len) {
                memcpy(CMSG_DATA(&control.header), &size, sizeof size);
                msg.msg_control = control.bytes;
                msg.msg_controllen = sizeof control.bytes;
        }
        while (sendmsg(fd, &msg, 0) < 0)
                if (errno != EINTR && errno != ECONNREFUSED) die("send");
}

/* The next datagram of the flow, or what is left of its run; how many datagrams that was. */
static uint32_t send_next(struct sender *sender, uint32_t flow)
{
        static uint8_t bytes[RUN_MAX * LARGEST];
        struct mark *mark = &sender->marks[flow];
        uint32_t first = mark->number, end = sender->segment ? run_end(mark) : first + 1;
        size_t len = 0, segment = size_of(mark);

        for (; mark->number < end; mark->number++) {
                size_t size = size_of(mark);
                fill(bytes + len, mark, size);
                len += size;
        }
        send_bytes(sender->fds[flow], bytes, len, segment);
        return end - first;
}

static void sleep_until(uint64_t at)
{
        struct timespec until = { .tv_sec = (time_t)(at / 1000000000), .tv_nsec = (long)(at % 1000000000) };

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
                continue;
}

/* A burst that is late is followed by the next at the pace of the rate: what a stalled machine missed is not made up
 * for by a flood. */
static uint64_t send_all(struct sender *sender, double rate, uint32_t burst)
{
        uint64_t sent = 0, total = (uint64_t)sender->flow_count * sender->marks[0].count, due = now_ns();
        uint32_t flow = 0, in_burst = 0;

        while (sent < total) {
                if (sender->marks[flow].number < sender->marks[flow].count) {
                        uint32_t number = send_next(sender, flow);
                        sent += number;
                        in_burst += number;
                }
                flow = (flow + 1) % sender->flow_count;
                if (in_burst < burst) continue;
                uint64_t now = now_ns();
                due = (due > now ? due : now) + (uint64_t)(in_burst * 1e9 / rate);
                sleep_until(due);
                in_burst = 0;
        }
        return sent;
}

/* ---- Start ------------------------------------------------------------------------------------------------------- */

static uint64_t number(const char *text, uint64_t low, uint64_t high)
{
        char *end;
        unsigned long long value = strtoull(text, &end, 10);

        if (*end || end == text || value < low || value > high) {
                errno = ERANGE;
                die(text);
        }
        return value;
}

static int open_socket(const char *address, const char *port, bool receives)
{
        struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)number(port, 1, 65535)) };
        struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };
        bool four = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
        const struct sockaddr *where = four ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
        socklen_t len = four ? sizeof v4 : sizeof v6;
        int buffer = BUFFER, on = 1;

        if (!four && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1) die(address);
        int fd = socket(where->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) die("socket");
        setsockopt(fd, SOL_SOCKET, receives ? SO_RCVBUFFORCE : SO_SNDBUFFORCE, &buffer, sizeof buffer);
        if (receives) setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
        if (receives ? bind(fd, where, len) : connect(fd, where, len)) die(address);
        return fd;
}

static int receive_main(int argc, char **argv)
{
        static struct receiver receiver;
        int idle = argc > 5 ? (int)number(argv[5], 1, 60000) : DEFAULT_IDLE_MS, fd;

        receiver.flow_count = (uint32_t)number(argv[4], 1, FLOWS_MAX);
        fd = open_socket(argv[2], argv[3], true);
        fputs("listening\n", stderr);
        if (receive_some(&receiver, fd, START_MS))
                while (receive_some(&receiver, fd, all_came(&receiver) ? LATE_MS : idle))
                        continue;
        report(&receiver);
        return 0;
}

static int send_main(char **argv, bool segment)
{
        struct sender sender = { .flow_count = (uint32_t)number(argv[4], 1, FLOWS_MAX), .segment = segment };
        char *dash = strchr(argv[6], '-');
        struct mark mark = { .count = (uint32_t)number(argv[5], 1, UINT32_MAX / 2) };

        if (dash) *dash = 0;
        mark.low = (uint16_t)number(argv[6], SMALLEST, LARGEST);
        mark.high = dash ? (uint16_t)number(dash + 1, mark.low, LARGEST) : mark.low;
        for (uint32_t i = 0; i < sender.flow_count; i++) {
                sender.fds[i] = open_socket(argv[2], argv[3], false);
                sender.marks[i] = mark;
                sender.marks[i].flow = i;
        }
        prctl(PR_SET_TIMERSLACK, 1UL);
        uint64_t sent =
                send_all(&sender, (double)number(argv[7], 1, 1000000000), (uint32_t)number(argv[8], 1, 1 << 20));
        printf("sent %ju\n", (uintmax_t)sent);
        return 0;
}

int main(int argc, char **argv)
{
        bool segment = argc == 10 && !strcmp(argv[9], "segment");

        if ((argc == 5 || argc == 6) && !strcmp(argv[1], "receive")) return receive_main(argc, argv);
        if ((argc == 9 || segment) && !strcmp(argv[1], "send")) return send_main(argv, segment);
        fputs("usage: numbers receive ADDRESS PORT FLOWS [IDLE-MS]\n"
              "       numbers send ADDRESS PORT FLOWS COUNT SIZE[-SIZE] RATE BURST [segment]\n",
              stderr);
        return 2;
}
