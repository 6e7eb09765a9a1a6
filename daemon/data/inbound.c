#include "daemon/data/lane.h"

#include <errno.h>

static int write_packet(struct data_plane *plane, const struct offload_packet *packet)
{
        uint8_t vnet[VNET_HEADER_LEN] = { 0 };
        struct iovec iov[] = { { vnet, sizeof vnet }, { packet->bytes, packet->len } };
        int error = tun_writev(plane->tun, iov, 2);

        if (error) engine_count_drop(plane->engine, DROP_RX_TUN_WRITE);
        return error == -EBADFD ? -EBADFD : 0;
}

/* Some kernels refuse a super-packet that they have probed well (FINDINGS): its packets go one by one, and merging ends
 * for good. */
static int write_singly(struct data_plane *plane, const struct offload_group *group)
{
        struct offload_packet *packets = plane->inbound.packets;
        uint16_t at = group->first;
        int result = 0;

        plane->merge = 0;
        offload_group_undo(group, packets);
        for (unsigned i = 0; i < group->count && !result; i++, at = packets[at].next)
                result = write_packet(plane, &packets[at]);
        return result;
}

static int write_group(struct data_plane *plane, const struct offload_group *group)
{
        struct iovec iov[OFFLOAD_BATCH + 1];
        unsigned count = offload_group_iov(group, plane->inbound.packets, iov, OFFLOAD_BATCH + 1);
        int error = tun_writev(plane->tun, iov, count);

        if (error == -EINVAL && group->count > 1) return write_singly(plane, group);
        for (unsigned i = 0; error && i < group->count; i++)
                engine_count_drop(plane->engine, DROP_RX_TUN_WRITE);
        return error == -EBADFD ? -EBADFD : 0;
}

static int deliver(struct data_plane *plane)
{
        struct inbound_batch *batch = &plane->inbound;
        size_t groups = offload_coalesce(batch->packets, batch->count, batch->groups, plane->merge);
        int result = 0;

        for (size_t i = 0; i < groups && !result; i++)
                result = write_group(plane, &batch->groups[i]);
        batch->count = 0;
        return result;
}

static void open_one(struct data_plane *plane, struct moment at, uint8_t *datagram, size_t len,
                     const struct endpoint *from, uint8_t ecn)
{
        struct inbound_batch *batch = &plane->inbound;
        enum drop reason;
        struct rx rx;

        if (engine_rx_begin(plane->engine, at.now, at.wall, datagram, len, from, &rx, &reason, &plane->effects)) {
                bool opened = rx_open(&rx);
                if (engine_rx_commit(plane->engine, at.now, at.wall, &rx, opened, from, &len, &reason,
                                     &plane->effects)) {
                        ecn_inward(rx.plain, len, ecn);
                        batch->packets[batch->count++] = (struct offload_packet){ .bytes = rx.plain, .len = len };
                }
        }
        data_effects(plane, at);
}

static int open_all(struct data_plane *plane, struct moment at, uint8_t *bytes, size_t len, size_t segment,
                    const struct endpoint *from, uint8_t ecn)
{
        int result = 0;

        if (!segment) segment = len;
        do {
                size_t one = len < segment ? len : segment;
                open_one(plane, at, bytes, one, from, ecn);
                bytes += one;
                len -= one;
                if (!len || plane->inbound.count == OFFLOAD_BATCH) result = deliver(plane);
        } while (len && !result);
        return result;
}

int data_inbound(struct data_plane *plane, struct moment at, int fd)
{
        uint8_t *bytes = plane->from_udp + SLAB_HEADROOM, ecn;
        uint32_t *overflow = fd == plane->sockets.v4 ? &plane->overflow4 : &plane->overflow6;
        int result = 0;

        for (int i = 0; i < LANE_READS && !result; i++) {
                uint32_t told = *overflow;
                struct endpoint from;
                uint16_t segment;

                ssize_t got = udp_receive_segments(fd, bytes, PACKET_MAX, &from, &segment, &ecn, overflow);
                plane->kernel_drops += *overflow - told;
                if (got == -EAGAIN) break;
                if (got == -EMSGSIZE) engine_count_drop(plane->engine, DROP_RX_TRUNCATED);
                if (got < 0) continue; /* an ICMP error told late, EINTR: the next datagram may be fine */
                result = open_all(plane, at, bytes, (size_t)got, segment, &from, ecn);
        }
        return result;
}
