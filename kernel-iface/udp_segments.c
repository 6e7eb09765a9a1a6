/* Many datagrams in one call, each way. */
#include "kernel-iface/udp_message.h"

#include <errno.h>

/* What is left to send. */
struct batch {
        const uint8_t *bytes;
        size_t len, segment;
};

static bool has_feature(const struct udp_sockets *sockets, uint32_t feature)
{
        return __atomic_load_n(&sockets->features, __ATOMIC_RELAXED) & feature;
}

static void lose_feature(struct udp_sockets *sockets, uint32_t feature)
{
        __atomic_fetch_and(&sockets->features, ~feature, __ATOMIC_RELAXED);
}

/* The next bytes that one UDP_SEGMENT call takes: whole datagrams, one at least. */
static size_t batch_next(const struct batch *left)
{
        size_t count = UDP_BATCH_BYTES / left->segment;

        if (count > UDP_BATCH_SEGMENTS) count = UDP_BATCH_SEGMENTS;
        if (count < 1) count = 1;
        return count * left->segment < left->len ? count * left->segment : left->len;
}

static size_t single_next(const struct batch *left)
{
        return left->segment < left->len ? left->segment : left->len;
}

static unsigned datagrams(const struct batch *batch, size_t len)
{
        return (unsigned)((len + batch->segment - 1) / batch->segment);
}

static void advance(struct batch *left, size_t len)
{
        left->bytes += len;
        left->len -= len;
}

/* Errors that no single datagram of the batch would escape: the path's, not the batch's. */
static bool hits_all(int error)
{
        return error == -EPERM || error == -EACCES || error == -ENETUNREACH || error == -EHOSTUNREACH ||
               error == -ENETDOWN || error == -ENODEV || error == -EADDRNOTAVAIL;
}

static bool doubts_gso(int error)
{
        return error == -EIO || error == -EINVAL || error == -ENOPROTOOPT || error == -EOPNOTSUPP;
}

/* Result of a call of udp_send_segments so far. */
struct tally {
        unsigned sent;
        int error; /* the first */
        bool full; /* the socket takes no more now */
};

static void count(struct tally *tally, int error, unsigned number)
{
        if (!error) tally->sent += number;
        else if (!tally->error) tally->error = error;
        tally->full = error == -EAGAIN;
}

/* Sends the first `len` bytes, which failed with `error` as a batch, one by one. EINVAL may have meant the source: as
 * soon as a datagram shows that, the rest is left for another batch. True when UDP_SEGMENT is at fault. */
static bool resend(struct udp_way *way, struct batch *left, size_t len, int error, struct tally *tally)
{
        size_t end = left->len - len;
        bool had_source = udp_has_source(way->to), passed = false;

        while (left->len > end) {
                size_t one = single_next(left);
                int failed = udp_send_message(way, left->bytes, one, 0);
                count(tally, failed, 1);
                if (tally->full) break;
                advance(left, one);
                if (error == -EINVAL && had_source && !udp_has_source(way->to)) return false;
                passed = passed || !failed;
        }
        return passed && doubts_gso(error);
}

static void send_next(struct udp_way *way, struct batch *left, struct udp_sockets *sockets, uint32_t gso,
                      struct tally *tally)
{
        size_t len = has_feature(sockets, gso) ? batch_next(left) : single_next(left);
        bool many = len > left->segment;
        int error = udp_send_message(way, left->bytes, len, many ? (uint16_t)left->segment : 0);

        if (error && error != -EAGAIN && many && !hits_all(error)) {
                if (resend(way, left, len, error, tally)) lose_feature(sockets, gso);
                return;
        }
        count(tally, error, datagrams(left, len));
        advance(left, len);
}

int udp_send_segments(struct udp_sockets *sockets, struct endpoint *to, const uint8_t *bytes, size_t len,
                      size_t segment, uint8_t ecn, bool *source_gone, unsigned *sent)
{
        bool v4 = to->remote.family == AF_INET;
        uint32_t ecn_feature = v4 ? UDP_ECN4 : UDP_ECN6;
        struct udp_way way = { .fd = udp_socket_to(sockets, to), .to = to, .source_gone = source_gone };
        struct batch left = { bytes, len, segment ? segment : len };
        struct tally tally = { 0 };

        *source_gone = false;
        *sent = 0;
        if (way.fd < 0) return -EAFNOSUPPORT;
        if (has_feature(sockets, ecn_feature)) way.ecn = ecn & 3;
        bool marked = way.ecn != 0;
        while (left.len && !tally.full)
                send_next(&way, &left, sockets, v4 ? UDP_GSO4 : UDP_GSO6, &tally);
        if (marked && !way.ecn) lose_feature(sockets, ecn_feature);
        *sent = tally.sent;
        return tally.error;
}

ssize_t udp_receive_segments(int fd, void *buffer, size_t size, struct endpoint *from, uint16_t *segment, uint8_t *ecn,
                             uint32_t *overflow)
{
        struct udp_received received;
        ssize_t got = udp_receive_message(fd, buffer, size, from, &received, overflow);

        *segment = (ssize_t)received.segment < got ? (uint16_t)received.segment : 0;
        *ecn = received.ecn;
        return received.cut ? -EMSGSIZE : got;
}
