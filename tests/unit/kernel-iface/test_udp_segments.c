/* Batches of datagrams over the loopback of a network namespace. sendmsg and setsockopt are defined here, in front of
 * libc's: they note what is sent, and fail where a test wants them to. */
#include "kernel-iface/udp.h"
#include "tests/unit/kernel-iface/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/udp.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

enum { BYTES_MAX = 1 << 20, UDP_GSO_BOTH = UDP_GSO4 | UDP_GSO6, UDP_GRO_BOTH = UDP_GRO4 | UDP_GRO6 };

/* Which sends fail. */
enum kind { ALL, BATCH, SINGLE, WITH_ECN, BATCH_OR_ECN };

struct fault {
        int error; /* errno; 0: none */
        enum kind kind;
        unsigned skip, times; /* of the sends of this kind: so many pass, then so many fail */
};

static struct {
        struct fault faults[2];                 /* the second sees what the first lets pass */
        int option;                             /* of IPPROTO_UDP that the kernel does not know; 0: none */
        unsigned calls, batches, largest_count; /* of what passed */
        size_t largest;
} kernel;

static bool usable;
static struct udp_sockets ours, theirs;
static uint8_t bytes[BYTES_MAX], got[BYTES_MAX + 65536];

static struct cmsghdr *find(const struct msghdr *msg, int level, int type)
{
        struct msghdr copy = *msg;

        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&copy); cmsg; cmsg = CMSG_NXTHDR(&copy, cmsg))
                if (cmsg->cmsg_level == level && cmsg->cmsg_type == type) return cmsg;
        return NULL;
}

static bool is_kind(enum kind kind, bool batch, bool ecn)
{
        switch (kind) {
        case ALL:
                return true;
        case BATCH:
                return batch;
        case SINGLE:
                return !batch;
        case WITH_ECN:
                return ecn;
        default:
                return batch || ecn;
        }
}

static int strike(struct fault *fault, bool batch, bool ecn)
{
        if (!fault->error || !is_kind(fault->kind, batch, ecn)) return 0;
        if (fault->skip) {
                fault->skip--;
                return 0;
        }
        if (!fault->times) return 0;
        fault->times--;
        return fault->error;
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
        struct cmsghdr *gso = find(msg, IPPROTO_UDP, UDP_SEGMENT);
        bool ecn = find(msg, IPPROTO_IP, IP_TOS) || find(msg, IPPROTO_IPV6, IPV6_TCLASS);
        size_t len = msg->msg_iov->iov_len;
        uint16_t segment = 0;

        if (gso) memcpy(&segment, CMSG_DATA(gso), sizeof segment);
        int error = strike(&kernel.faults[0], gso, ecn);
        if (!error) error = strike(&kernel.faults[1], gso, ecn);
        if (error) {
                errno = error;
                return -1;
        }
        kernel.calls++;
        if (gso) {
                unsigned count = (unsigned)((len + segment - 1) / segment);
                kernel.batches++;
                if (len > kernel.largest) kernel.largest = len;
                if (count > kernel.largest_count) kernel.largest_count = count;
        }
        return syscall(SYS_sendmsg, fd, msg, flags);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
        if (kernel.option && level == IPPROTO_UDP && name == kernel.option) {
                errno = ENOPROTOOPT;
                return -1;
        }
        return (int)syscall(SYS_setsockopt, fd, level, name, value, len);
}

static void kernel_is_sound(void)
{
        memset(&kernel, 0, sizeof kernel);
}

static int begin(void **state)
{
        (void)state;
        if (!usable) return 0;
        kernel_is_sound();
        shell("ip link set lo up mtu 65536; { ip addr add 192.0.2.1/32 dev lo; ip addr add 192.0.2.2/32 dev lo; "
              "ip addr add 2001:db8::1/128 dev lo nodad; ip addr add 2001:db8::2/128 dev lo nodad; } 2>/dev/null",
              NULL, 0);
        return udp_open(&ours, 0, 0) || udp_open(&theirs, 0, 0);
}

static int end(void **state)
{
        (void)state;
        if (!usable) return 0;
        udp_close(&ours);
        udp_close(&theirs);
        return 0;
}

static void need_namespace(void)
{
        if (!usable) skip();
}

static union socket_address address(const char *text, uint16_t port)
{
        union socket_address out = { 0 };

        out.family = strchr(text, ':') ? AF_INET6 : AF_INET;
        out.in.sin_port = htons(port);
        assert_int_equal(inet_pton(out.family, text,
                                   out.family == AF_INET ? (void *)&out.in.sin_addr : (void *)&out.in6.sin6_addr),
                         1);
        return out;
}

static void put_source(struct endpoint *to, const char *text)
{
        union socket_address source = address(text, 0);

        if (source.family == AF_INET) to->source.in = source.in.sin_addr;
        else
                to->source.in6 = source.in6.sin6_addr;
}

static const struct {
        const char *first, *second;
} families[] = { { "192.0.2.1", "192.0.2.2" }, { "2001:db8::1", "2001:db8::2" } };

static struct endpoint to_them(int family)
{
        return (struct endpoint){ .remote = address(families[family].first, theirs.port) };
}

/* Content that tells where in the stream it lies. */
static void fill(void)
{
        uint32_t word = 1;

        for (size_t i = 0; i < sizeof bytes; i++)
                bytes[i] = (uint8_t)((word = word * 1664525 + 1013904223) >> 24);
}

struct arrival {
        unsigned datagrams, reads, coalesced;
        size_t len;
        uint8_t ecn; /* of the last */
        struct endpoint from;
};

static bool readable(int fd)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };

        return poll(&ready, 1, 0) == 1; /* on loopback what was sent is there */
}

/* Reads all there is; every datagram must be `segment` long, but the last of each read may be shorter. */
static struct arrival arrive(int fd, size_t segment)
{
        struct arrival all = { 0 };
        uint32_t overflow = 0;

        while (readable(fd)) {
                uint16_t each;
                ssize_t len =
                        udp_receive_segments(fd, got + all.len, UDP_READ_MAX, &all.from, &each, &all.ecn, &overflow);
                assert_true(len >= 0);
                assert_true(all.len + (size_t)len <= BYTES_MAX);
                if (each) assert_int_equal(each, segment);
                if (each) assert_true(len > each);
                if (!each) assert_true((size_t)len <= segment);
                all.datagrams += each ? (unsigned)(((size_t)len + each - 1) / each) : 1;
                all.coalesced += each != 0;
                all.reads++;
                all.len += (size_t)len;
        }
        assert_int_equal(overflow, 0);
        return all;
}

static int fd_of(const struct udp_sockets *sockets, int family)
{
        return family ? sockets->v6 : sockets->v4;
}

static unsigned datagrams_in(size_t len, size_t segment)
{
        return (unsigned)((len + segment - 1) / segment);
}

/* Sends, and checks that all came, in order, cut where it should be. */
static struct arrival transfer(int family, size_t len, size_t segment, uint8_t ecn)
{
        struct endpoint to = to_them(family);
        unsigned sent = 0;
        bool gone = true;
        int error = udp_send_segments(&ours, &to, bytes, len, segment, ecn, &gone, &sent);

        if (error) fail_msg("%zu by %zu: %s", len, segment, strerror(-error));
        assert_false(gone);
        assert_int_equal(sent, datagrams_in(len, segment));
        struct arrival all = arrive(fd_of(&theirs, family), segment);
        assert_int_equal(all.len, len);
        assert_int_equal(all.datagrams, sent);
        assert_memory_equal(got, bytes, len);
        return all;
}

static void try_size(int family, unsigned count, size_t segment, size_t last)
{
        size_t len = (count - 1) * segment + last, most = UDP_BATCH_BYTES / segment;
        bool gso = ours.features & UDP_GSO_BOTH, gro = theirs.features & UDP_GRO_BOTH;

        if (most > UDP_BATCH_SEGMENTS) most = UDP_BATCH_SEGMENTS;
        if (most < 1 || !gso) most = 1;
        kernel_is_sound();
        struct arrival all = transfer(family, len, segment, 0);
        assert_int_equal(kernel.calls, (count + most - 1) / most);
        assert_true(kernel.largest <= 65000);
        assert_true(kernel.largest_count <= 64);
        if (count > 1 && most > 1) assert_true(kernel.batches > 0);
        assert_int_equal(all.coalesced, gro ? kernel.batches : 0);
        assert_int_equal(all.reads, gro ? kernel.calls : count);
}

static void try_sizes(int family)
{
        static const unsigned counts[] = { 1, 2, 3, 44, 45, 46, 63, 64, 65, 127, 128, 129, 200 };
        static const size_t segments[] = { 1,    2,    31,    32,    100,   1015,  1016,  1452,
                                           1500, 9000, 32499, 32500, 32501, 40000, 65000, 65487 };

        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
                for (size_t j = 0; j < sizeof segments / sizeof segments[0]; j++) {
                        if (counts[i] * segments[j] > BYTES_MAX) continue;
                        try_size(family, counts[i], segments[j], segments[j]);
                        try_size(family, counts[i], segments[j], 1);
                        try_size(family, counts[i], segments[j], (segments[j] + 1) / 2);
                }
}

static void test_batches_arrive(void **state)
{
        (void)state;
        need_namespace();
        assert_int_equal(ours.features, UDP_GSO_BOTH | UDP_ECN4 | UDP_ECN6);
        for (int gro = 0; gro < 2; gro++) {
                if (gro) udp_enable_gro(&theirs);
                assert_int_equal(theirs.features & UDP_GRO_BOTH, gro ? UDP_GRO_BOTH : 0);
                for (int family = 0; family < 2; family++) {
                        ours.features |= UDP_GSO_BOTH;
                        try_sizes(family);
                        ours.features &= ~(uint32_t)UDP_GSO_BOTH;
                        try_sizes(family);
                }
        }
}

static void test_one_or_none(void **state)
{
        struct endpoint to = to_them(0), nowhere = { 0 };
        unsigned sent = 7;
        bool gone = true;

        (void)state;
        need_namespace();
        assert_int_equal(udp_send_segments(&ours, &to, bytes, 0, 0, 0, &gone, &sent), 0);
        assert_int_equal(sent, 0);
        assert_false(readable(theirs.v4));
        assert_int_equal(udp_send_segments(&ours, &to, bytes, 3000, 0, 0, &gone, &sent), 0);
        assert_int_equal(sent, 1);
        assert_int_equal(arrive(theirs.v4, 3000).datagrams, 1);
        assert_int_equal(udp_send_segments(&ours, &nowhere, bytes, 100, 10, 0, &gone, &sent), -EAFNOSUPPORT);
        assert_int_equal(sent, 0);
        /* too large for any datagram: each fails by itself, and the short one at the end goes */
        assert_int_equal(udp_send_segments(&ours, &to, bytes, 2 * 65508 + 5, 65508, 0, &gone, &sent), -EMSGSIZE);
        assert_int_equal(sent, 1);
        assert_int_equal(arrive(theirs.v4, 5).len, 5);
        assert_int_equal(ours.features & UDP_GSO_BOTH, UDP_GSO_BOTH);
}

/* Nothing may be lost of any of these, and the right feature goes. 200 datagrams of 1000 bytes: batches of 64, 64,
 * 64, 8. */
static void test_faults_lose_nothing(void **state)
{
        enum { EVER = 1000, GSO = 1, ECN = 2 };
        static const struct {
                struct fault fault;
                uint8_t ecn, lost;
                unsigned calls; /* that passed */
        } rows[] = {
                { { EIO, BATCH, 0, EVER }, 0, GSO, 200 },
                { { EIO, BATCH, 1, EVER }, 0, GSO, 1 + 136 },
                { { EIO, BATCH, 3, 1 }, 0, GSO, 3 + 8 },
                { { EINVAL, BATCH, 0, EVER }, 0, GSO, 200 },
                { { EINVAL, BATCH, 2, 1 }, 0, GSO, 2 + 72 },
                { { ENOPROTOOPT, BATCH, 0, EVER }, 0, GSO, 200 },
                { { EMSGSIZE, BATCH, 0, EVER }, 0, 0, 200 },
                { { EMSGSIZE, BATCH, 1, 1 }, 0, 0, 1 + 64 + 2 },
                { { ENOBUFS, BATCH, 1, 1 }, 0, 0, 1 + 64 + 2 },
                { { ENOMEM, BATCH, 3, 1 }, 0, 0, 3 + 8 },
                { { ECONNREFUSED, ALL, 2, 1 }, 0, 0, 4 },
                { { ECONNREFUSED, BATCH, 2, 2 }, 0, 0, 2 + 64 + 1 },
                { { EINTR, ALL, 1, 3 }, 0, 0, 4 },
                { { EIO, WITH_ECN, 0, EVER }, 1, ECN, 4 },
                { { EIO, WITH_ECN, 2, EVER }, 3, ECN, 4 },
                { { EIO, BATCH, 0, EVER }, 2, GSO, 200 },
                { { EIO, BATCH_OR_ECN, 0, EVER }, 2, GSO | ECN, 200 },
        };

        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
                int family = i & 1;
                uint32_t gso = family ? UDP_GSO6 : UDP_GSO4, ecn = family ? UDP_ECN6 : UDP_ECN4;
                uint32_t all = UDP_GSO_BOTH | UDP_ECN4 | UDP_ECN6;
                uint8_t lost = rows[i / 2].lost;
                ours.features = all;
                kernel_is_sound();
                kernel.faults[0] = rows[i / 2].fault;
                struct arrival came = transfer(family, 199 * 1000 + 1, 1000, rows[i / 2].ecn);
                assert_int_equal(came.ecn, lost & ECN ? 0 : rows[i / 2].ecn);
                if (kernel.calls != rows[i / 2].calls) fail_msg("row %zu: %u calls", i / 2, kernel.calls);
                uint32_t left = all & ~(lost & GSO ? gso : 0) & ~(lost & ECN ? ecn : 0);
                if (ours.features != left) fail_msg("row %zu: features %x", i / 2, ours.features);
                /* and what was lost is not tried again */
                kernel_is_sound();
                assert_int_equal(transfer(family, 200 * 1000, 1000, rows[i / 2].ecn).ecn, came.ecn);
                assert_int_equal(kernel.calls, lost & GSO ? 200 : 4);
        }
}

/* What cannot be sent is told and counted, and the rest still goes, in order. */
static void test_losses_are_told(void **state)
{
        enum { N = 200, EVER = 1000 };
        static const struct {
                struct fault fault, then;
                bool gso, gso_after;
                int told;
                unsigned sent;
        } rows[] = {
                { { ENOBUFS, SINGLE, 5, 1 }, { 0 }, false, false, ENOBUFS, N - 1 },
                { { EMSGSIZE, ALL, 0, EVER }, { 0 }, true, true, EMSGSIZE, 0 },
                /* datagrams fail by themselves too: that is not UDP_SEGMENT's fault */
                { { EIO, ALL, 0, EVER }, { 0 }, true, true, EIO, 0 },
                { { EINVAL, ALL, 1, EVER }, { 0 }, true, true, EINVAL, 64 },
                /* but this is, and one of them fails for another reason */
                { { EIO, BATCH, 0, EVER }, { ENOBUFS, SINGLE, 0, 1 }, true, false, ENOBUFS, N - 1 },
                { { EPERM, ALL, 1, 1 }, { 0 }, true, true, EPERM, N - 64 },
                { { EPERM, ALL, 0, 4 }, { 0 }, true, true, EPERM, 0 }, /* by four calls: nothing goes one by one */
                { { ENETUNREACH, ALL, 3, 1 }, { 0 }, true, true, ENETUNREACH, N - 8 },
                { { EHOSTUNREACH, ALL, 3, 1 }, { 0 }, true, true, EHOSTUNREACH, N - 8 },
                { { EAGAIN, ALL, 1, 1 }, { 0 }, true, true, EAGAIN, 64 },
                { { EAGAIN, ALL, 0, 1 }, { 0 }, true, true, EAGAIN, 0 },
                { { EAGAIN, SINGLE, 77, 1 }, { 0 }, false, false, EAGAIN, 77 },
                { { EIO, BATCH, 1, EVER }, { EAGAIN, SINGLE, 10, 1 }, true, false, EAGAIN, 74 },
                /* the first error is told, and all ends where the socket is full */
                { { EPERM, ALL, 1, 1 }, { EAGAIN, ALL, 1, 1 }, true, true, EPERM, 64 },
                { { ENOBUFS, SINGLE, 5, 1 }, { EAGAIN, SINGLE, 5, 1 }, false, false, ENOBUFS, 5 },
                { { ENOBUFS, ALL, 0, 2 }, { EAGAIN, ALL, 0, 1 }, true, true, ENOBUFS, 0 },
        };

        (void)state;
        need_namespace();
        for (size_t i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
                int family = i & 1;
                struct endpoint to = to_them(family);
                unsigned sent;
                bool gone;
                ours.features = rows[i / 2].gso ? UDP_GSO_BOTH : 0;
                kernel_is_sound();
                kernel.faults[0] = rows[i / 2].fault;
                kernel.faults[1] = rows[i / 2].then;
                int error = udp_send_segments(&ours, &to, bytes, N * 1000, 1000, 0, &gone, &sent);
                if (error != -rows[i / 2].told || sent != rows[i / 2].sent)
                        fail_msg("row %zu: %d, %u sent", i / 2, error, sent);
                if (rows[i / 2].gso != rows[i / 2].gso_after)
                        assert_int_equal(ours.features, family ? UDP_GSO4 : UDP_GSO6);
                else
                        assert_int_equal(ours.features, rows[i / 2].gso ? UDP_GSO_BOTH : 0);
                struct arrival all = arrive(fd_of(&theirs, family), 1000);
                assert_int_equal(all.datagrams, sent);
                assert_false(gone);
                for (size_t at = 0, k = 0; at < all.len; at += 1000, k++) {
                        while (k < N && memcmp(got + at, bytes + k * 1000, 1000) != 0)
                                k++;
                        assert_true(k < N); /* each is one of those sent, later than the one before */
                }
                if (error != -EAGAIN) continue;
                /* full: what is left goes on from there */
                kernel_is_sound();
                assert_int_equal(
                        udp_send_segments(&ours, &to, bytes + sent * 1000, (N - sent) * 1000, 1000, 0, &gone, &sent),
                        0);
                struct arrival rest = arrive(fd_of(&theirs, family), 1000);
                assert_int_equal(all.datagrams + rest.datagrams, N);
                assert_memory_equal(got, bytes + all.len, rest.len);
        }
}

static void test_kernel_without(void **state)
{
        (void)state;
        need_namespace();
        for (int gro = 0; gro < 2; gro++) {
                uint32_t expected = UDP_ECN4 | UDP_ECN6 | (gro ? UDP_GSO_BOTH : 0);
                kernel_is_sound();
                udp_close(&ours);
                udp_close(&theirs);
                kernel.option = gro ? UDP_GRO : UDP_SEGMENT;
                assert_int_equal(udp_open(&ours, 0, 0), 0);
                assert_int_equal(udp_open(&theirs, 0, 0), 0);
                udp_enable_gro(&theirs);
                assert_int_equal(ours.features, expected);
                assert_int_equal(theirs.features, gro ? expected : expected | UDP_GRO_BOTH);
                for (int family = 0; family < 2; family++) {
                        kernel.calls = kernel.batches = 0;
                        struct arrival all = transfer(family, 130 * 1452 + 7, 1452, 1);
                        assert_int_equal(kernel.calls, gro ? 3 : 131);
                        assert_int_equal(kernel.batches, gro ? 3 : 0);
                        assert_int_equal(all.coalesced, 0);
                        assert_int_equal(all.ecn, 1);
                }
        }
}

/* By the kernel itself: EMSGSIZE (EINVAL before) for a segment above the MTU, EINVAL for UDP without a checksum. */
static void test_real_refusals(void **state)
{
        int on = 1;

        (void)state;
        need_namespace();
        shell("ip link set lo mtu 1500", NULL, 0);
        for (int family = 0; family < 2; family++) {
                kernel_is_sound();
                transfer(family, 20 * 4000 + 17, 4000, 0);
                assert_int_equal(kernel.calls - kernel.batches, 21);
                ours.features |= UDP_GSO_BOTH;
                kernel_is_sound();
                transfer(family, 100 * 1452, 1452, 0);
                assert_int_equal(kernel.calls, 3);
        }
        assert_return_code(setsockopt(ours.v4, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), errno);
        transfer(0, 100 * 1400, 1400, 0);
        assert_int_equal(ours.features & UDP_GSO_BOTH, UDP_GSO6);
}

/* One that reads a datagram at a time is never given several as one. */
static void test_plain_receive(void **state)
{
        struct endpoint to = to_them(0), from;
        unsigned sent;
        bool gone;

        (void)state;
        need_namespace();
        for (int gro = 0; gro < 2; gro++) {
                if (gro) udp_enable_gro(&theirs);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 300, 100, 3, &gone, &sent), 0);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 100, 100, 3, &gone, &sent), 0);
                for (int i = 0; i < 3 && !gro; i++)
                        assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), 100);
                if (gro) assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), -EMSGSIZE);
                assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), 100);
                assert_int_equal(udp_receive(theirs.v4, got, sizeof got, &from, NULL), -EAGAIN);
        }
}

/* A read larger than the buffer is lost, whole, and the next is fine. */
static void test_cut_short(void **state)
{
        struct endpoint from;
        uint16_t segment;
        uint8_t ecn;

        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (int family = 0; family < 2; family++) {
                struct endpoint to = to_them(family);
                int fd = fd_of(&theirs, family);
                unsigned sent;
                bool gone;
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 3000, 1000, 0, &gone, &sent), 0);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 2000, 0, 0, &gone, &sent), 0);
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 1500, 1000, 0, &gone, &sent), 0);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), -EMSGSIZE);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), -EMSGSIZE);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), 1500);
                assert_int_equal(segment, 1000);
                assert_int_equal(udp_receive_segments(fd, got, 1999, &from, &segment, &ecn, NULL), -EAGAIN);
        }
}

static void test_ecn(void **state)
{
        (void)state;
        need_namespace();
        for (int gro = 0; gro < 2; gro++) {
                if (gro) udp_enable_gro(&theirs);
                for (int family = 0; family < 2; family++)
                        for (uint8_t ecn = 0; ecn < 4; ecn++) {
                                assert_int_equal(transfer(family, 1000, 1000, ecn).ecn, ecn);
                                assert_int_equal(transfer(family, 64 * 1000, 1000, ecn).ecn, ecn);
                                assert_int_equal(transfer(family, 64 * 1000, 1000, ecn | 0xfc).ecn, ecn);
                        }
        }
}

static bool came_from(const struct endpoint *from, const char *text)
{
        union socket_address should = address(text, 0);

        return from->remote.family == AF_INET
                       ? from->remote.in.sin_addr.s_addr == should.in.sin_addr.s_addr
                       : memcmp(&from->remote.in6.sin6_addr, &should.in6.sin6_addr, sizeof(struct in6_addr)) == 0;
}

/* A batch goes out from the source that it is told, with ECN bits beside it; the reader is told which address of its it
 * came to. */
static void test_source_sticks(void **state)
{
        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (int family = 0; family < 2; family++) {
                struct endpoint to = to_them(family), seen = { 0 };
                unsigned sent;
                bool gone;
                put_source(&to, families[family].second);
                to.source_ifindex = if_nametoindex("lo");
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 100000, 1000, 1, &gone, &sent), 0);
                assert_false(gone);
                struct arrival all = arrive(fd_of(&theirs, family), 1000);
                assert_int_equal(all.len, 100000);
                assert_int_equal(all.ecn, 1);
                assert_true(came_from(&all.from, families[family].second));
                put_source(&seen, families[family].first);
                assert_memory_equal(&all.from.source, &seen.source, sizeof seen.source);
                assert_int_equal(all.from.source_ifindex, to.source_ifindex);
                /* without a source it is the other: the check above can fail */
                all = transfer(family, 100000, 1000, 1);
                assert_false(came_from(&all.from, families[family].second));
        }
}

/* By the kernel itself: ENETUNREACH, EINVAL, ENODEV. The batch goes out all the same, and UDP_SEGMENT is not blamed. */
static void test_source_is_let_go(void **state)
{
        static const struct {
                int family;
                const char *source;
                uint32_t ifindex;
        } rows[] = {
                { 0, "192.0.2.77", 0 },   { 0, "192.0.2.77", 1 },   { 0, "192.0.2.1", 4444 },   { 0, "0.0.0.0", 4444 },
                { 1, "2001:db8::77", 0 }, { 1, "2001:db8::77", 1 }, { 1, "2001:db8::1", 4444 }, { 1, "::", 4444 },
        };
        static const struct endpoint none;

        (void)state;
        need_namespace();
        udp_enable_gro(&theirs);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
                struct endpoint to = to_them(rows[i].family);
                unsigned sent;
                bool gone = false;
                put_source(&to, rows[i].source);
                to.source_ifindex = rows[i].ifindex;
                kernel_is_sound();
                int error = udp_send_segments(&ours, &to, bytes, 200000, 1000, 2, &gone, &sent);
                if (error || !gone || sent != 200) fail_msg("row %zu: %d, %u, %d", i, error, sent, gone);
                assert_memory_equal(&to.source, &none.source, sizeof to.source);
                assert_int_equal(to.source_ifindex, 0);
                struct arrival all = arrive(fd_of(&theirs, rows[i].family), 1000);
                assert_int_equal(all.len, 200000);
                assert_memory_equal(got, bytes, all.len);
                assert_int_equal(ours.features, UDP_GSO_BOTH | UDP_ECN4 | UDP_ECN6);
                assert_true(kernel.batches >= 4);
                assert_true(kernel.calls <= 7); /* not one by one */
        }
}

/* The source is gone and UDP_SEGMENT is refused, both as EINVAL: both are found out, in one call. */
static void test_source_and_batch(void **state)
{
        (void)state;
        need_namespace();
        for (int family = 0; family < 2; family++) {
                struct endpoint to = to_them(family);
                unsigned sent;
                bool gone;
                put_source(&to, family ? "2001:db8::77" : "192.0.2.77");
                kernel.faults[0] = (struct fault){ EINVAL, BATCH, 0, 1000 };
                assert_int_equal(udp_send_segments(&ours, &to, bytes, 200000, 1000, 0, &gone, &sent), 0);
                assert_true(gone);
                assert_int_equal(sent, 200);
                struct arrival all = arrive(fd_of(&theirs, family), 1000);
                assert_int_equal(all.len, 200000);
                assert_memory_equal(got, bytes, all.len);
                assert_int_equal(ours.features & UDP_GSO_BOTH, family ? 0 : UDP_GSO6);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_batches_arrive, begin, end),
                cmocka_unit_test_setup_teardown(test_one_or_none, begin, end),
                cmocka_unit_test_setup_teardown(test_faults_lose_nothing, begin, end),
                cmocka_unit_test_setup_teardown(test_losses_are_told, begin, end),
                cmocka_unit_test_setup_teardown(test_kernel_without, begin, end),
                cmocka_unit_test_setup_teardown(test_real_refusals, begin, end),
                cmocka_unit_test_setup_teardown(test_plain_receive, begin, end),
                cmocka_unit_test_setup_teardown(test_cut_short, begin, end),
                cmocka_unit_test_setup_teardown(test_ecn, begin, end),
                cmocka_unit_test_setup_teardown(test_source_sticks, begin, end),
                cmocka_unit_test_setup_teardown(test_source_is_let_go, begin, end),
                cmocka_unit_test_setup_teardown(test_source_and_batch, begin, end),
        };

        usable = netns_enter();
        fill();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
