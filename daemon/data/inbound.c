#include "daemon/data/lane.h"

#include <errno.h>
#include <string.h>

/* ---- Opening: outside of any lock -------------------------------------------------------------------------------- */

static void open_one(struct data_plane *plane, struct inbound_slab *slab, uint8_t *datagram, size_t len)
{
        struct inbound_packet *packet = &slab->packet[slab->packets];
        enum drop reason;

        switch (worker_find(plane->engine, slab->now, datagram, len, &packet->rx, &reason)) {
        case FIND_DATA:
                packet->opened = rx_open(&packet->rx);
                slab->packets++;
                break;
        case FIND_HANDSHAKE:
                slab->handshake[slab->handshakes].bytes = datagram;
                slab->handshake[slab->handshakes++].len = len;
                break;
        case FIND_DROP: break;
        }
}

/* As many as the slab has places for: the rest after they were committed. */
static void open_slab(struct data_plane *plane, struct inbound_slab *slab)
{
        slab->packets = slab->handshakes = 0;
        while (slab->at < slab->len && slab->packets < OFFLOAD_BATCH && slab->handshakes < OFFLOAD_BATCH) {
                size_t left = slab->len - slab->at, one = left < slab->segment ? left : slab->segment;

                open_one(plane, slab, slab->bytes + slab->at, one);
                slab->at += one;
        }
}

/* ---- Committing: one at a time, in the order of tickets ---------------------------------------------------------- */

static void wrote(struct data_plane *plane, int error, unsigned packets)
{
        for (unsigned i = 0; error && i < packets; i++)
                engine_count_drop(plane->engine, error == -EIO ? DROP_RX_LINK_DOWN : DROP_RX_TUN_WRITE);
        if (error == -EBADFD) lane_gone(plane);
}

static void write_packet(struct data_plane *plane, const struct offload_packet *packet)
{
        uint8_t vnet[VNET_HEADER_LEN] = { 0 };
        struct iovec iov[] = { { vnet, sizeof vnet }, { packet->bytes, packet->len } };

        wrote(plane, tun_writev(plane->tun, iov, 2), 1);
}

/* Some kernels refuse a super-packet that they have probed well (FINDINGS): its packets go one by one, and merging of
 * its kind ends for good. */
static void write_singly(struct data_plane *plane, struct inbound_slab *slab, const struct offload_group *group)
{
        uint16_t at = group->first;

        plane->merge &= ~offload_group_feature(group, slab->merged);
        offload_group_undo(group, slab->merged);
        for (unsigned i = 0; i < group->count; i++, at = slab->merged[at].next)
                write_packet(plane, &slab->merged[at]);
}

static void write_group(struct data_plane *plane, struct inbound_slab *slab, const struct offload_group *group)
{
        struct iovec iov[OFFLOAD_BATCH + 1];
        unsigned count = offload_group_iov(group, slab->merged, iov, OFFLOAD_BATCH + 1);
        int error = tun_writev(plane->tun, iov, count);

        if (error == -EINVAL && group->count > 1) write_singly(plane, slab, group);
        else wrote(plane, error, group->count);
}

/* Of the session upgrade: the owner's. True: it is to be woken. */
static bool hand_over_frame(struct data_plane *plane, const struct rx *rx)
{
        const struct frame_from from = { .peer = rx->peer, .index = worker_index(rx) };

        if (mailbox_put(&plane->frames, &from, sizeof from, rx->plain, rx->plain_len)) return true;
        worker_frame_lost(rx);
        return false;
}

static void deliver(struct data_plane *plane, struct inbound_slab *slab)
{
        size_t count = 0, groups;
        bool wake = false;

        for (unsigned i = 0; i < slab->packets; i++) {
                struct inbound_packet *packet = &slab->packet[i];
                enum drop reason;
                size_t len;

                switch (worker_accept(plane->engine, slab->now, &packet->rx, packet->opened, &slab->from, &len, &reason,
                                      &wake)) {
                case ACCEPTED_NOTHING: continue;
                case ACCEPTED_FRAME: wake |= hand_over_frame(plane, &packet->rx); continue;
                case ACCEPTED_PACKET: break;
                }
                ecn_inward(packet->rx.plain, len, slab->ecn);
                slab->merged[count++] = (struct offload_packet){ .bytes = packet->rx.plain, .len = len };
        }
        if (wake) lane_wake_owner(plane);
        groups = offload_coalesce(slab->merged, count, slab->groups, plane->merge);
        for (size_t i = 0; i < groups; i++)
                write_group(plane, slab, &slab->groups[i]);
}

static void hand_over(struct data_plane *plane, const struct inbound_slab *slab)
{
        for (unsigned i = 0; i < slab->handshakes; i++)
                if (!mailbox_put(&plane->handshakes, &slab->from, sizeof slab->from, slab->handshake[i].bytes,
                                 slab->handshake[i].len))
                        engine_count_drop(plane->engine, DROP_RX_HANDSHAKE_OVERFLOW);
        if (slab->handshakes) lane_wake_owner(plane);
}

static _Atomic bool *is_ready(struct data_plane *plane, unsigned number)
{
        return &plane->inbound[number].ready;
}

static void commit(struct data_plane *plane, unsigned number)
{
        struct inbound_slab *slab = &plane->inbound[number];

        for (;;) {
                deliver(plane, slab);
                hand_over(plane, slab);
                if (slab->at == slab->len) return;
                open_slab(plane, slab);
        }
}

/* ---- Reading: under the read lock -------------------------------------------------------------------------------- */

/* A peer that sends to our port through the tunnel would be answered there, and the answer sealed again and again. */
static bool came_by_link(const struct data_plane *plane, const struct inbound_slab *slab)
{
        return slab->from.source_ifindex && slab->from.source_ifindex == plane->link_index;
}

/* Bytes, or -errno. */
static ssize_t fill(struct data_plane *plane, struct inbound_slab *slab, bool v6)
{
        uint32_t *overflow = v6 ? &plane->overflow6 : &plane->overflow4, told = *overflow;
        int fd = v6 ? plane->sockets.v6 : plane->sockets.v4;
        uint16_t segment = 0;
        ssize_t got =
                fd < 0 ? -EAGAIN
                       : udp_receive_segments(fd, slab->bytes, PACKET_MAX, &slab->from, &segment, &slab->ecn, overflow);

        if (*overflow != told) plane->kernel_drops += *overflow - told;
        if (got == -EMSGSIZE) engine_count_drop(plane->engine, DROP_RX_TRUNCATED);
        if (got > 0 && came_by_link(plane, slab)) {
                engine_count_drop(plane->engine, DROP_RX_LOOP); /* of a batch, once */
                got = 0;
        }
        slab->at = 0;
        slab->len = got > 0 ? (size_t)got : 0;
        slab->segment = segment && got > 0 ? segment : slab->len;
        return got;
}

int data_inbound(struct data_plane *plane, uint64_t now, bool v6)
{
        struct lane *lane = &plane->lanes[LANE_INBOUND];
        struct inbound_slab *slab = NULL;
        ssize_t got = -EBUSY;

        if (!lane_lock(lane)) return -EBUSY;
        if (lane_has_room(plane, LANE_INBOUND)) {
                slab = &plane->inbound[engine_entered(plane->engine, LANE_INBOUND) % lane->slabs];
                slab->now = now;
                got = fill(plane, slab, v6);
                if (got > 0) lane_take(plane, LANE_INBOUND);
        }
        lane_unlock(lane);
        if (got == -EBUSY) return -EBUSY;
        if (got == -EAGAIN) return 0;
        if (got <= 0) return 1; /* empty; an ICMP error told late: the next datagram may be fine */
        if (got >= LARGE_READ && plane->call_help) plane->call_help(plane->call_context);
        open_slab(plane, slab);
        slab->ready = true;
        lane_drain(plane, LANE_INBOUND, is_ready, commit);
        return 1;
}
