/* Round-trip times as ping measures them, but down to any interval and with percentiles.
 *   rtt ADDRESS INTERVAL-US COUNT
 * Sends ICMP echo requests on a fixed schedule, whether answers come or not, and takes the kernel's receive time of
 * each answer. Prints `p50_us`, `p99_us`, `max_us` and `lost`, a line each. Needs CAP_NET_RAW. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
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

enum { PAYLOAD = 56, MAX_COUNT = 60000, LAST_WAIT_MS = 300 }; /* the sequence number is 16 bits */

static int64_t sent_ns[MAX_COUNT], rtt_ns[MAX_COUNT];
static uint16_t ident;

static int64_t now_ns(clockid_t clock)
{
        struct timespec ts;

        clock_gettime(clock, &ts);
        return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void die(const char *what)
{
        fprintf(stderr, "rtt: %s: %s\n", what, strerror(errno));
        exit(1);
}

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
        uint32_t sum = 0;

        for (size_t i = 0; i < len; i += 2)
                sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t)~sum);
}

static void send_echo(int fd, int seq)
{
        union {
                struct icmphdr hdr;
                uint8_t bytes[sizeof(struct icmphdr) + PAYLOAD];
        } packet = { .hdr = { .type = ICMP_ECHO } };

        packet.hdr.un.echo.id = ident;
        packet.hdr.un.echo.sequence = htons((uint16_t)seq);
        packet.hdr.checksum = checksum(packet.bytes, sizeof packet);
        sent_ns[seq] = now_ns(CLOCK_REALTIME);
        (void)!send(fd, &packet, sizeof packet, MSG_DONTWAIT); /* one not sent is one lost */
}

/* The time the kernel got it: CLOCK_REALTIME. */
static int64_t stamp_of(struct msghdr *msg)
{
        struct timespec ts;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
                memcpy(&ts, CMSG_DATA(c), sizeof ts);
                return ts.tv_sec * 1000000000LL + ts.tv_nsec;
        }
        return now_ns(CLOCK_REALTIME);
}

/* Takes what is there; the number of answers that were new. */
static int receive_all(int fd, int sent)
{
        uint8_t bytes[512], control[256];
        struct iovec iov = { bytes, sizeof bytes };
        struct icmphdr icmp;
        int fresh = 0;

        for (;;) {
                struct msghdr msg = {
                        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control
                };
                ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT);
                size_t at = (size_t)(bytes[0] & 15) * 4;

                if (got < 0) return fresh;
                if ((size_t)got < at + sizeof icmp) continue;
                memcpy(&icmp, bytes + at, sizeof icmp);
                int seq = ntohs(icmp.un.echo.sequence);
                if (icmp.type != ICMP_ECHOREPLY || icmp.un.echo.id != ident || seq >= sent || rtt_ns[seq] != 0)
                        continue;
                rtt_ns[seq] = stamp_of(&msg) - sent_ns[seq];
                fresh++;
        }
}

/* Receives until `until` (CLOCK_MONOTONIC), or until all `sent` are answered when `enough`. */
static int receive_until(int fd, int sent, int answered, int64_t until, bool enough)
{
        struct pollfd pfd = { .fd = fd, .events = POLLIN };

        while (!(enough && answered == sent)) {
                int64_t left = until - now_ns(CLOCK_MONOTONIC);
                struct timespec ts = { left / 1000000000, left % 1000000000 };

                if (left <= 0) break;
                if (ppoll(&pfd, 1, &ts, NULL) > 0) answered += receive_all(fd, sent);
        }
        return answered;
}

static int compare(const void *a, const void *b)
{
        const int64_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

static void report(int count, int answered)
{
        int n = 0;

        for (int i = 0; i < count; i++)
                if (rtt_ns[i] != 0) rtt_ns[n++] = rtt_ns[i];
        qsort(rtt_ns, (size_t)n, sizeof rtt_ns[0], compare);
        if (n > 0) {
                printf("p50_us %.1f\n", (double)rtt_ns[(n - 1) / 2] / 1e3);
                printf("p99_us %.1f\n", (double)rtt_ns[(n * 99 + 99) / 100 - 1] / 1e3);
                printf("max_us %.1f\n", (double)rtt_ns[n - 1] / 1e3);
        }
        printf("lost %d\n", count - answered);
}

static int echo_socket(const char *address)
{
        struct sockaddr_in to = { .sin_family = AF_INET };
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), on = 1, size = 4 << 20;

        if (inet_pton(AF_INET, address, &to.sin_addr) != 1) errno = EINVAL, die(address);
        if (fd < 0) die("raw socket");
        if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die(address);
        if (setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) < 0) die("SO_TIMESTAMPNS");
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        return fd;
}

int main(int argc, char **argv)
{
        int64_t interval = argc == 4 ? atoll(argv[2]) * 1000 : 0, start;
        int count = argc == 4 ? atoi(argv[3]) : 0, answered = 0, fd;

        if (interval <= 0 || count <= 0 || count > MAX_COUNT) {
                fprintf(stderr, "usage: rtt ADDRESS INTERVAL-US COUNT (at most %d)\n", MAX_COUNT);
                return 2;
        }
        prctl(PR_SET_TIMERSLACK, 1UL);
        ident = (uint16_t)getpid();
        fd = echo_socket(argv[1]);
        start = now_ns(CLOCK_MONOTONIC);
        for (int i = 0; i < count; i++) {
                send_echo(fd, i);
                answered = receive_until(fd, i + 1, answered, start + (i + 1) * interval, false);
        }
        answered = receive_until(fd, count, answered, now_ns(CLOCK_MONOTONIC) + LAST_WAIT_MS * 1000000LL, true);
        report(count, answered);
        return answered > 0 ? 0 : 1;
}
