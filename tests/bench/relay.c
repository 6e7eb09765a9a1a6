/* Stands in the way between two WireGuard ends, delays each datagram, and tells when a session was upgraded.
 *   relay ADDRESS NEAR-PORT FAR-PORT PEER-ADDRESS PEER-PORT DELAY-US
 * The near end sends to ADDRESS:NEAR-PORT; the peer gets it from ADDRESS:FAR-PORT, after DELAY-US, and the other way
 * round. The near end calls: what it is handed as response N, the Nth handshake, is when its session begins. An
 * upgraded session is known by its receiver index, which is in clear. Prints `ready`, then, a line each, in
 * microseconds since response N was handed over, first N US   the near end sent on a receiver index that neither the
 * handshake nor anything before it had both N US    the near end was handed such a datagram as well Ends when it is
 * told to. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
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

enum { QUEUE = 256, DATAGRAM = 2048, INDICES = 256, RESPONSE = 2, DATA = 4, TO_PEER = 0, TO_NEAR = 1 };

struct waiting {
        int64_t due;
        size_t len;
        uint8_t bytes[DATAGRAM];
};

/* One delay for all: what came first leaves first. */
struct way {
        struct waiting queue[QUEUE];
        unsigned head, count;
        uint32_t seen[INDICES]; /* receiver indices, and those that a handshake gave */
        unsigned seen_count;
        bool upgraded; /* since the last response */
};

static struct way ways[2];
static int sockets[2]; /* the one that sends to the peer, and to the near end */
static struct sockaddr_in to[2];
static int64_t delay, response_at;
static unsigned responses;

static void die(const char *what)
{
        fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
        exit(1);
}

static int64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static uint32_t word(const uint8_t *bytes)
{
        uint32_t value;

        memcpy(&value, bytes, sizeof value);
        return value;
}

/* True the first time. */
static bool note_index(struct way *way, uint32_t index)
{
        for (unsigned i = 0; i < way->seen_count; i++)
                if (way->seen[i] == index) return false;
        if (way->seen_count == INDICES) {
                errno = ENOBUFS;
                die("receiver indices");
        }
        way->seen[way->seen_count++] = index;
        return true;
}

/* What the near end sent just now (TO_PEER), or was handed just now (TO_NEAR). */
static void look(int which, const struct waiting *datagram, int64_t now)
{
        struct way *way = &ways[which];

        if (datagram->len < 16) return;
        if (which == TO_NEAR && datagram->bytes[0] == RESPONSE) {
                note_index(&ways[TO_PEER], word(datagram->bytes + 4)); /* its sender, and its receiver */
                note_index(&ways[TO_NEAR], word(datagram->bytes + 8));
                ways[TO_PEER].upgraded = ways[TO_NEAR].upgraded = false;
                responses++;
                response_at = now;
        }
        if (datagram->bytes[0] != DATA || !note_index(way, word(datagram->bytes + 4)) || way->upgraded || !responses)
                return;
        way->upgraded = true;
        printf("%s %u %.1f\n", which == TO_PEER ? "first" : "both", responses, (double)(now - response_at) / 1000);
}

static void take(int which)
{
        struct way *way = &ways[which];
        static struct waiting lost; /* there is no room, as on any full line */
        struct waiting *slot = way->count < QUEUE ? &way->queue[(way->head + way->count) % QUEUE] : &lost;
        struct sockaddr_in from;
        socklen_t len = sizeof from;
        ssize_t got = recvfrom(sockets[!which], slot->bytes, sizeof slot->bytes, MSG_DONTWAIT, (struct sockaddr *)&from,
                               &len);

        if (got < 0) return; /* an ICMP error of before */
        if (which == TO_PEER) to[TO_NEAR] = from;
        slot->len = (size_t)got;
        slot->due = now_ns() + delay;
        if (which == TO_PEER) look(which, slot, slot->due - delay);
        if (slot != &lost) way->count++;
}

static void hand_over(int which)
{
        struct way *way = &ways[which];

        for (; way->count && way->queue[way->head].due <= now_ns(); way->count--) {
                struct waiting *first = &way->queue[way->head];
                if (to[which].sin_port)
                        (void)!sendto(sockets[which], first->bytes, first->len, 0, (struct sockaddr *)&to[which],
                                      sizeof to[which]);
                if (which == TO_NEAR) look(which, first, now_ns());
                way->head = (way->head + 1) % QUEUE;
        }
}

static int64_t next_due(void)
{
        int64_t due = INT64_MAX;

        for (int i = 0; i < 2; i++)
                if (ways[i].count && ways[i].queue[ways[i].head].due < due) due = ways[i].queue[ways[i].head].due;
        return due;
}

static void serve(void)
{
        for (;;) {
                struct pollfd in[2] = { { .fd = sockets[TO_NEAR], .events = POLLIN },
                                        { .fd = sockets[TO_PEER], .events = POLLIN } };
                int64_t due = next_due(), wait = due == INT64_MAX ? 0 : due - now_ns();
                struct timespec limit = { .tv_sec = wait > 0 ? wait / 1000000000 : 0,
                                          .tv_nsec = wait > 0 ? wait % 1000000000 : 0 };

                if (ppoll(in, 2, due == INT64_MAX ? NULL : &limit, NULL) < 0 && errno != EINTR) die("ppoll");
                if (in[0].revents) take(TO_PEER);
                if (in[1].revents) take(TO_NEAR);
                hand_over(TO_PEER);
                hand_over(TO_NEAR);
        }
}

static struct sockaddr_in address(const char *ip, const char *port)
{
        struct sockaddr_in out = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };

        if (inet_pton(AF_INET, ip, &out.sin_addr) != 1) {
                errno = EINVAL;
                die(ip);
        }
        return out;
}

static int open_at(const char *ip, const char *port)
{
        struct sockaddr_in at = address(ip, port);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at)) die("socket");
        return fd;
}

int main(int argc, char **argv)
{
        if (argc != 7 || (delay = atoll(argv[6]) * 1000) <= 0) {
                fprintf(stderr, "usage: relay ADDRESS NEAR-PORT FAR-PORT PEER-ADDRESS PEER-PORT DELAY-US\n");
                return 2;
        }
        sockets[TO_NEAR] = open_at(argv[1], argv[2]);
        sockets[TO_PEER] = open_at(argv[1], argv[3]);
        to[TO_PEER] = address(argv[4], argv[5]);
        setvbuf(stdout, NULL, _IOLBF, 0);
        prctl(PR_SET_TIMERSLACK, 1UL); /* else a delay may be 50 us longer */
        prctl(PR_SET_PDEATHSIG, 15);
        puts("ready");
        serve();
}
