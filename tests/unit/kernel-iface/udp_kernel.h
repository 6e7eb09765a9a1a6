/* What the tests of batches share: a loopback, two pairs of sockets on it, and a kernel that fails where a test wants
 * it to. sendmsg and setsockopt are defined here, in front of libc's: they note what is sent. */
#ifndef TESTS_KERNEL_IFACE_UDP_KERNEL_H
#define TESTS_KERNEL_IFACE_UDP_KERNEL_H

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

/* Which sends a fault strikes. */
enum kind { ALL, BATCH, SINGLE, WITH_ECN, BATCH_OR_ECN };

struct fault {
        int error; /* errno; 0: none */
        enum kind kind;
        unsigned skip, times; /* of the sends of this kind: so many pass, then so many fail */
};

static struct {
        struct fault faults[2];                 /* the second sees what the first lets pass */
        int option;                             /* of IPPROTO_UDP that the kernel does not know; 0: none */
        int traffic_class;                      /* the last one's, 0: none told */
        unsigned calls, batches, largest_count; /* of what passed */
        size_t largest;
} kernel;

static bool usable;
static struct udp_sockets ours, theirs;
static uint8_t bytes[BYTES_MAX], got[BYTES_MAX + 65536];

static inline struct cmsghdr *find(const struct msghdr *msg, int level, int type)
{
        struct msghdr copy = *msg;

        for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&copy); cmsg; cmsg = CMSG_NXTHDR(&copy, cmsg))
                if (cmsg->cmsg_level == level && cmsg->cmsg_type == type) return cmsg;
        return NULL;
}

static inline bool is_kind(enum kind kind, bool batch, bool ecn)
{
        switch (kind) {
        case ALL: return true;
        case BATCH: return batch;
        case SINGLE: return !batch;
        case WITH_ECN: return ecn;
        default: return batch || ecn;
        }
}

static inline int strike(struct fault *fault, bool batch, bool ecn)
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
        struct cmsghdr *v4 = find(msg, IPPROTO_IP, IP_TOS), *ecn = v4 ? v4 : find(msg, IPPROTO_IPV6, IPV6_TCLASS);
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
        kernel.traffic_class = 0;
        if (ecn) memcpy(&kernel.traffic_class, CMSG_DATA(ecn), sizeof kernel.traffic_class);
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

static inline void kernel_is_sound(void)
{
        memset(&kernel, 0, sizeof kernel);
}

static inline int begin(void **state)
{
        (void)state;
        if (!usable) return 0;
        kernel_is_sound();
        shell("ip link set lo up mtu 65536; { ip addr add 192.0.2.1/32 dev lo; ip addr add 192.0.2.2/32 dev lo; "
              "ip addr add 2001:db8::1/128 dev lo nodad; ip addr add 2001:db8::2/128 dev lo nodad; } 2>/dev/null",
              NULL, 0);
        await_ipv6(2);
        return udp_open(&ours, 0, 0) || udp_open(&theirs, 0, 0);
}

static inline int end(void **state)
{
        (void)state;
        if (!usable) return 0;
        udp_close(&ours);
        udp_close(&theirs);
        return 0;
}

static inline void need_namespace(void)
{
        if (!usable) skip();
}

static inline union socket_address address(const char *text, uint16_t port)
{
        union socket_address out = { 0 };

        out.family = strchr(text, ':') ? AF_INET6 : AF_INET;
        out.in.sin_port = htons(port);
        assert_int_equal(inet_pton(out.family, text,
                                   out.family == AF_INET ? (void *)&out.in.sin_addr : (void *)&out.in6.sin6_addr),
                         1);
        return out;
}

static inline void put_source(struct endpoint *to, const char *text)
{
        union socket_address source = address(text, 0);

        if (source.family == AF_INET) to->source.in = source.in.sin_addr;
        else to->source.in6 = source.in6.sin6_addr;
}

static const struct {
        const char *first, *second;
} families[] = { { "192.0.2.1", "192.0.2.2" }, { "2001:db8::1", "2001:db8::2" } };

static inline struct endpoint to_them(int family)
{
        return (struct endpoint){ .remote = address(families[family].first, theirs.port) };
}

/* Content that tells where in the stream it lies. */
static inline void fill(void)
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

static inline bool readable(int fd)
{
        struct pollfd ready = { .fd = fd, .events = POLLIN };

        return poll(&ready, 1, 0) == 1; /* on loopback what was sent is there */
}

/* Reads all there is; every datagram must be `segment` long, but the last of each read may be shorter. */
static inline struct arrival arrive(int fd, size_t segment)
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

static inline int fd_of(const struct udp_sockets *sockets, int family)
{
        return family ? sockets->v6 : sockets->v4;
}

static inline unsigned datagrams_in(size_t len, size_t segment)
{
        return (unsigned)((len + segment - 1) / segment);
}

/* Sends, and checks that all came, in order, cut where it should be. */
static inline struct arrival transfer(int family, size_t len, size_t segment, uint8_t ecn)
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

static inline bool came_from(const struct endpoint *from, const char *text)
{
        union socket_address should = address(text, 0);

        return from->remote.family == AF_INET
                       ? from->remote.in.sin_addr.s_addr == should.in.sin_addr.s_addr
                       : memcmp(&from->remote.in6.sin6_addr, &should.in6.sin6_addr, sizeof(struct in6_addr)) == 0;
}

#endif
