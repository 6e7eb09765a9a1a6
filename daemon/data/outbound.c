#include "daemon/data/lane.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* ---- Reading: under the read lock -------------------------------------------------------------------------------- */

static size_t aligned(size_t at)
{
        return (at + SLAB_ALIGN - 1) & ~(size_t)(SLAB_ALIGN - 1);
}

/* Fills the slab. 1: there may be more; 0: there is not; -EBADFD. */
static int fill(struct data_plane *plane, struct outbound_slab *slab)
{
        size_t used = 0;

        slab->reads = 0;
        while (used < TURN_BYTES && slab->reads < TURN_READS) {
                /* the packet at an aligned place, its vnet header before it */
                uint8_t *packet = slab->bytes + aligned(used + VNET_HEADER_LEN), *vnet = packet - VNET_HEADER_LEN;
                struct offload_split *split = &slab->read[slab->reads].split;
                ssize_t got = tun_read(plane->tun, vnet, VNET_HEADER_LEN + PACKET_MAX);

                if (got < 0) return got == -EBADFD ? -EBADFD : 0; /* EAGAIN; EIO: the interface is down */
                if (got < VNET_HEADER_LEN ||
                    offload_split_begin(split, vnet, packet, (size_t)got - VNET_HEADER_LEN) == OFFLOAD_MALFORMED) {
                        engine_count_drop(plane->engine, DROP_TX_NOT_IP);
                        continue;
                }
                used = (size_t)(packet - slab->bytes) + (size_t)got + PACKET_PADDING;
                slab->reads++;
        }
        return 1;
}

/* UDP's ports, of a packet whose headers are whole; NULL: it is not UDP, or there are none. */
static const uint8_t *udp_ports(const uint8_t *packet, size_t len)
{
        bool v6 = packet[0] >> 4 == 6;
        size_t header = v6 ? 40 : (size_t)(packet[0] & 15) * 4;

        return packet[v6 ? 6 : 9] == IPPROTO_UDP && len >= header + 8 ? packet + header : NULL;
}

/* From our port to where it is to be sent: what we sent there before comes back to us. */
static bool is_own_datagram(const struct data_plane *plane, const uint8_t *packet, size_t len, const struct tx *tx)
{
        const union socket_address *to = &tx->to.remote;
        const uint8_t *ports = udp_ports(packet, len);
        uint16_t from = htons(plane->sockets.port);

        if (!ports || memcmp(ports, &from, 2) != 0) return false;
        if (packet[0] >> 4 == 4)
                return to->family == AF_INET && !memcmp(ports + 2, &to->in.sin_port, 2) &&
                       !memcmp(packet + 16, &to->in.sin_addr, 4);
        return to->family == AF_INET6 && !memcmp(ports + 2, &to->in6.sin6_port, 2) &&
               !memcmp(packet + 24, &to->in6.sin6_addr, 16);
}

static void drop_loop(struct data_plane *plane, struct outbound_read *read)
{
        for (unsigned i = 0; i < read->split.count; i++)
                engine_count_drop(plane->engine, DROP_TX_LOOP);
        read->route = ROUTE_DROP;
}

/* Counters are reserved in the order of reading. */
static void route(struct data_plane *plane, struct outbound_slab *slab)
{
        for (unsigned i = 0; i < slab->reads; i++) {
                struct outbound_read *read = &slab->read[i];
                const uint8_t *packet = offload_split_headers(&read->split);
                enum drop reason;

                read->route = worker_route(plane->engine, slab->now, packet, read->split.segment_len, read->split.count,
                                           &read->tx, &reason);
                if (read->route == ROUTE_SEND && is_own_datagram(plane, packet, read->split.segment_len, &read->tx))
                        drop_loop(plane, read);
                if (read->route == ROUTE_SEND) read->ecn = ecn_outward(packet);
        }
}

/* ---- Sealing: outside of any lock -------------------------------------------------------------------------------- */

static bool takes(const struct outbound_slab *slab, const struct outbound_send *send, const struct outbound_read *read)
{
        const struct tx *tx = &read->tx;

        return !send->closed && send->count < UDP_BATCH_SEGMENTS && tx->peer == send->peer &&
               tx->len <= send->segment && send->len + tx->len <= UDP_BATCH_BYTES && read->ecn == send->ecn &&
               send->bytes + send->len == slab->sealed + slab->sealed_len && !memcmp(&tx->to, &send->to, sizeof tx->to);
}

/* Where the next datagram goes: behind the last batch, as a part of it if it may be. NULL: the slab is full. */
static struct outbound_send *place(struct outbound_slab *slab, const struct outbound_read *read)
{
        struct outbound_send *last = slab->sends ? &slab->send[slab->sends - 1] : NULL;

        if (slab->sealed_len + read->tx.len > SEALED_SIZE) return NULL;
        if (last && takes(slab, last, read)) return last;
        if (slab->sends == SENDS_MAX) return NULL;
        slab->send[slab->sends] = (struct outbound_send){
                .peer = read->tx.peer,
                .to = read->tx.to,
                .bytes = slab->sealed + slab->sealed_len,
                .segment = read->tx.len,
                .ecn = read->ecn,
        };
        return &slab->send[slab->sends++];
}

/* Padding is written behind the packet, where the payload of the next one may lie: that is put back. */
static void seal(const struct tx *tx, uint8_t *datagram, uint8_t *packet, size_t len)
{
        uint8_t behind[PACKET_PADDING];

        memcpy(behind, packet + len, sizeof behind);
        tx_seal(tx, datagram, packet, len);
        memcpy(packet + len, behind, sizeof behind);
}

/* False: the slab is full before the read's segments are all sealed. */
static bool seal_read(struct data_plane *plane, struct outbound_slab *slab, struct outbound_read *read)
{
        uint8_t *packet;
        size_t len;

        while ((len = offload_split_peek(&read->split))) {
                worker_size(plane->engine, &read->tx, len);
                struct outbound_send *send = place(slab, read);
                if (!send) return false;
                offload_split_next(&read->split, &packet, &len);
                seal(&read->tx, slab->sealed + slab->sealed_len, packet, len);
                slab->sealed_len += read->tx.len;
                send->len += read->tx.len;
                send->count++;
                send->closed = read->tx.len < send->segment;
                read->tx.counter++;
        }
        return true;
}

static void seal_slab(struct data_plane *plane, struct outbound_slab *slab)
{
        slab->sends = 0;
        slab->sealed_len = 0;
        for (; slab->next < slab->reads; slab->next++) {
                struct outbound_read *read = &slab->read[slab->next];
                slab->rest = read->route == ROUTE_SEND && !seal_read(plane, slab, read);
                if (slab->rest) return;
        }
}

/* ---- Committing: one at a time, in the order of tickets ---------------------------------------------------------- */

static void send_batch(struct data_plane *plane, uint64_t now, struct outbound_send *send)
{
        bool source_gone = false, wake = false;
        unsigned sent = 0;
        int error = udp_send_segments(&plane->sockets, &send->to, send->bytes, send->len, send->segment, send->ecn,
                                      &source_gone, &sent);

        if (source_gone) wake = worker_source_gone(plane->engine, send->peer);
        if (!error) sent = send->count;
        for (unsigned i = sent; i < send->count; i++)
                engine_count_drop(plane->engine, lane_drop(error));
        if (sent) {
                uint64_t bytes = sent < send->count ? sent * send->segment : send->len;
                wake |= worker_sent(plane->engine, now, send->peer, bytes, true);
        }
        if (wake) lane_wake_owner(plane);
}

/* Behind what was sealed: once a peer's packets wait, all that come after do. */
static void hand_over(struct data_plane *plane, struct outbound_read *read)
{
        uint8_t *packet;
        size_t len;

        while (offload_split_next(&read->split, &packet, &len)) {
                if (mailbox_put(&plane->packets, &read->tx.peer, sizeof read->tx.peer, packet, len)) continue;
                engine_count_drop(plane->engine, DROP_TX_OWNER_OVERFLOW);
                engine_waited(read->tx.peer);
        }
        lane_wake_owner(plane);
}

static _Atomic bool *is_ready(struct data_plane *plane, unsigned number)
{
        return &plane->outbound[number].ready;
}

static void commit(struct data_plane *plane, unsigned number)
{
        struct outbound_slab *slab = &plane->outbound[number];

        for (;;) {
                for (unsigned i = 0; i < slab->sends; i++)
                        send_batch(plane, slab->now, &slab->send[i]);
                if (!slab->rest) break;
                seal_slab(plane, slab);
        }
        for (unsigned i = 0; i < slab->reads; i++)
                if (slab->read[i].route == ROUTE_OWNER) hand_over(plane, &slab->read[i]);
}

int data_outbound(struct data_plane *plane, uint64_t now)
{
        struct lane *lane = &plane->lanes[LANE_OUTBOUND];
        struct outbound_slab *slab = NULL;
        bool taken = false;
        int result = -EBUSY; /* or all slabs are taken */

        if (!lane_lock(lane)) return result;
        if (lane_has_room(plane, LANE_OUTBOUND)) {
                slab = &plane->outbound[engine_entered(plane->engine, LANE_OUTBOUND) % lane->slabs];
                slab->now = now;
                slab->next = 0;
                slab->rest = false;
                result = fill(plane, slab);
                taken = slab->reads != 0;
                if (taken) {
                        lane_take(plane, LANE_OUTBOUND);
                        route(plane, slab);
                }
        }
        lane_unlock(lane);
        if (result == -EBADFD) lane_gone(plane);
        if (!taken) return result; /* the slab is anybody's again */
        if (result > 0 && plane->call_help) plane->call_help(plane->call_context);
        seal_slab(plane, slab);
        slab->ready = true;
        lane_drain(plane, LANE_OUTBOUND, is_ready, commit);
        return result;
}
