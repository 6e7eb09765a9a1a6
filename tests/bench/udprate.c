/* The highest rate of UDP packets that arrive without loss, and what arrives of a flood.
 *   udprate FROM-NETNS TO-NETNS TO-ADDRESS PACKET-SIZE TRIAL-MS LOSS
 * One process with a socket in each of two network namespaces (names under /run/netns): a thread sends at a given rate
 * and one counts. PACKET-SIZE is the whole IPv4 packet; LOSS the part that may be lost for a trial to pass (0.001
 * forgives one wake-up that came late, 0 nothing). The first trial is a flood; then a bisection between what passed and
 * what did not, each failed trial tried twice. Every packet has a number: nothing is counted twice, and what overtakes
 * another is counted as reordered. Prints `noloss_pps`, `flood_pps`, `flood_offered_pps`, `reordered`, a line each. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, HEADERS = 28, MAX_PACKET = 1500, PORT = 5300 };
enum { STEPS = 7, TICK_NS = 100000, MAX_BURST = 256, SETTLE_MS = 20, MAX_DRAIN_MS = 500 };
#define SEEN_MAX (1u << 24) /* packets of one trial that can be told apart: a bit each */

struct mark { /* what each packet begins with */
        uint32_t trial, seq;
};

/* Written by the receiver, read by the sender once `arrived` stands still. */
struct tally {
        _Atomic uint32_t trial;
        _Atomic uint64_t arrived, reordered;
        _Atomic int64_t first_ns, last_ns;
};

struct result {
        double offered, delivered, loss; /* packets a second, and a part of 1 */
};

static struct tally tally;
static uint8_t seen[SEEN_MAX / 8];
static int tx, rx, payload;

static int64_t now_ns(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void sleep_ns(int64_t ns)
{
        struct timespec ts = { ns / 1000000000, ns % 1000000000 };

        nanosleep(&ts, NULL);
}

static void die(const char *what)
{
        fprintf(stderr, "udprate: %s: %s\n", what, strerror(errno));
        exit(1);
}

/* A UDP socket made in the network namespace `name`. */
static int socket_in(const char *name)
{
        char path[256];
        int fd, ns, size = 16 << 20;

        snprintf(path, sizeof path, "/run/netns/%s", name);
        ns = open(path, O_RDONLY | O_CLOEXEC);
        if (ns < 0 || setns(ns, CLONE_NEWNET) < 0) die(path);
        close(ns);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) die("socket");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        return fd;
}

static void count_one(const uint8_t *bytes, int64_t now, uint32_t *highest)
{
        struct mark mark;

        memcpy(&mark, bytes, sizeof mark);
        if (mark.trial != tally.trial || mark.seq >= SEEN_MAX || (seen[mark.seq / 8] >> mark.seq % 8 & 1)) return;
        seen[mark.seq / 8] |= (uint8_t)(1 << mark.seq % 8);
        if (tally.arrived == 0) {
                *highest = 0;
                tally.first_ns = now;
        }
        tally.last_ns = now;
        tally.reordered += mark.seq < *highest;
        *highest = mark.seq > *highest ? mark.seq : *highest;
        tally.arrived++;
}

static void *receiver(void *arg)
{
        static uint8_t bytes[BATCH][MAX_PACKET];
        struct mmsghdr msgs[BATCH];
        struct iovec iov[BATCH];
        uint32_t highest = 0;

        for (int i = 0; i < BATCH; i++) {
                iov[i] = (struct iovec){ bytes[i], MAX_PACKET };
                msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
        }
        for (;;) {
                int got = recvmmsg(rx, msgs, BATCH, MSG_WAITFORONE, NULL);
                int64_t now = now_ns();

                for (int i = 0; i < got; i++)
                        if (msgs[i].msg_len >= sizeof(struct mark)) count_one(bytes[i], now, &highest);
        }
        return arg;
}

/* Sends the next `count` packets; the number the kernel took. */
static int send_some(uint32_t trial, uint32_t seq, int count)
{
        static uint8_t bytes[BATCH][MAX_PACKET];
        struct mmsghdr msgs[BATCH];
        struct iovec iov[BATCH];
        int sent;

        for (int i = 0; i < count; i++) {
                struct mark mark = { trial, seq + (uint32_t)i };

                memcpy(bytes[i], &mark, sizeof mark);
                iov[i] = (struct iovec){ bytes[i], (size_t)payload };
                msgs[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
        }
        sent = sendmmsg(tx, msgs, (unsigned)count, 0);
        if (sent < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR) die("send");
        return sent > 0 ? sent : 0;
}

/* Sends at `rate` for `ns`, and no more than MAX_BURST at once: what a late wake-up missed is not made up for, but
 * offered less. The number sent. */
static uint32_t send_at(uint32_t trial, double rate, int64_t ns)
{
        int64_t start = now_ns(), last = start;
        uint32_t sent = 0;
        double due = 0;

        for (int64_t now = start; now < start + ns && sent < SEEN_MAX - BATCH; now = now_ns()) {
                due = fmin(due + rate * (double)(now - last) / 1e9, MAX_BURST);
                last = now;
                if (due < 1) {
                        sleep_ns(TICK_NS);
                        continue;
                }
                int took = send_some(trial, sent, (int)fmin(due, BATCH));
                sent += (uint32_t)took;
                due -= took;
        }
        return sent;
}

/* Waits until all `sent` arrived or nothing more does. */
static void drain(uint32_t sent)
{
        uint64_t before = UINT64_MAX;

        for (int waited = 0; waited < MAX_DRAIN_MS; waited += SETTLE_MS) {
                if (tally.arrived == sent || tally.arrived == before) return;
                before = tally.arrived;
                sleep_ns(SETTLE_MS * 1000000LL);
        }
}

static struct result try_rate(double rate, int64_t ns)
{
        static uint32_t trials;
        struct result result = { 0 };
        int64_t began;
        uint32_t sent;

        tally.trial = 0; /* what is late now belongs to no trial */
        memset(seen, 0, sizeof seen);
        tally.arrived = 0;
        tally.trial = ++trials;
        began = now_ns();
        sent = send_at(trials, rate, ns);
        result.offered = sent * 1e9 / (double)(now_ns() - began);
        drain(sent);
        double span = (double)(tally.last_ns - tally.first_ns);
        result.loss = sent ? 1 - (double)tally.arrived / sent : 1;
        result.delivered = tally.arrived > 1 && span > 0 ? (double)(tally.arrived - 1) * 1e9 / span : 0;
        return result;
}

/* The best rate that passed: bisected on a logarithmic scale, the first step at what the flood delivered. */
static double search(struct result flood, int64_t ns, double loss)
{
        double low = flood.delivered / 32, high = flood.offered, best = 0, rate = flood.delivered;

        if (flood.loss <= loss) return flood.delivered; /* the sender is the limit */
        for (int step = 0; step < STEPS && rate > 1; step++) {
                struct result result = try_rate(rate, ns);

                if (result.loss > loss) result = try_rate(rate, ns);
                if (result.loss <= loss) {
                        best = fmax(best, result.delivered);
                        low = rate;
                } else {
                        high = rate;
                }
                rate = sqrt(low * high);
        }
        return best;
}

int main(int argc, char **argv)
{
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(PORT) };
        struct result flood;
        pthread_t thread;
        double best;

        if (argc != 7 || inet_pton(AF_INET, argv[3], &to.sin_addr) != 1 ||
            atoi(argv[4]) < HEADERS + (int)sizeof(struct mark) || atoi(argv[4]) > MAX_PACKET || atoi(argv[5]) <= 0) {
                fprintf(stderr, "usage: udprate FROM-NETNS TO-NETNS TO-ADDRESS PACKET-SIZE TRIAL-MS LOSS\n");
                return 2;
        }
        payload = atoi(argv[4]) - HEADERS;
        prctl(PR_SET_TIMERSLACK, 1UL);
        rx = socket_in(argv[2]);
        if (bind(rx, (struct sockaddr *)&to, sizeof to) < 0) die(argv[3]);
        tx = socket_in(argv[1]);
        if (connect(tx, (struct sockaddr *)&to, sizeof to) < 0) die(argv[3]);
        if ((errno = pthread_create(&thread, NULL, receiver, NULL)) != 0) die("thread");
        int64_t ns = atoll(argv[5]) * 1000000;
        flood = try_rate(1e9, ns);
        best = search(flood, ns, atof(argv[6]));
        printf("noloss_pps %.0f\nflood_pps %.0f\nflood_offered_pps %.0f\n", best, flood.delivered, flood.offered);
        printf("sender_limited %d\nreordered %llu\n", flood.loss <= atof(argv[6]), (unsigned long long)tally.reordered);
        return 0;
}
