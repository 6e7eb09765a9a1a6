#include "daemon/data/lane.h"

#include <errno.h>
#include <string.h>

/* The batch is emptied before its packets are committed: what a commit brings about may send, too. */
static void batch_flush(struct data_plane *plane, struct moment at)
{
        struct outbound_batch *batch = &plane->outbound;
        struct endpoint to = batch->tx[0].to;
        unsigned count = batch->count, sent = 0;
        bool source_gone = false;

        if (!count) return;
        int error = udp_send_segments(&plane->sockets, &to, batch->bytes, batch->used, batch->segment, batch->ecn,
                                      &source_gone, &sent);
        if (source_gone) engine_peer_clear_source(batch->tx[0].peer);
        batch->count = 0;
        batch->used = 0;
        batch->closed = false;
        for (unsigned i = 0; i < count; i++) {
                bool went = !error || i < sent;
                if (!went) engine_count_drop(plane->engine, lane_drop(error));
                engine_tx_commit(plane->engine, at.now, at.wall, &batch->tx[i], went, &plane->effects);
                data_effects(plane, at);
        }
}

static bool batch_takes(const struct outbound_batch *batch, const struct tx *tx, uint8_t ecn)
{
        const struct tx *first = &batch->tx[0];

        if (!batch->count) return true;
        return !batch->closed && batch->count < UDP_BATCH_SEGMENTS && tx->peer == first->peer &&
               tx->len <= batch->segment && batch->used + tx->len <= UDP_BATCH_BYTES && ecn == batch->ecn &&
               !memcmp(&tx->to, &first->to, sizeof tx->to);
}

/* Padding is written behind the packet, where the payload of the next one may lie: that is put back. */
static void seal(const struct tx *tx, uint8_t *datagram, uint8_t *packet, size_t len)
{
        uint8_t behind[PACKET_PADDING];

        memcpy(behind, packet + len, sizeof behind);
        tx_seal(tx, datagram, packet, len);
        memcpy(packet + len, behind, sizeof behind);
}

static void forward(struct data_plane *plane, struct moment at, uint8_t *packet, size_t len)
{
        struct outbound_batch *batch = &plane->outbound;
        enum drop reason;
        struct tx tx;

        bool ready = engine_tx_begin(plane->engine, at.now, at.wall, packet, len, &tx, &reason, &plane->effects);
        if (ready) {
                uint8_t ecn = ecn_outward(packet);
                if (!batch_takes(batch, &tx, ecn)) batch_flush(plane, at);
                if (!batch->count) {
                        batch->segment = tx.len;
                        batch->ecn = ecn;
                }
                seal(&tx, batch->bytes + batch->used, packet, len);
                batch->used += tx.len;
                batch->closed = tx.len < batch->segment;
                batch->tx[batch->count++] = tx;
        }
        data_effects(plane, at);
}

void outbound_flush_staged(struct data_plane *plane, struct moment at, struct peer *peer, struct effects *more)
{
        struct tx tx;

        batch_flush(plane, at); /* it is older, and its memory is free then */
        while (engine_staged_next(plane->engine, at.now, peer, &tx, plane->outbound.bytes)) {
                bool went = lane_send(plane, peer, &tx.to, plane->outbound.bytes, tx.len);
                engine_tx_commit(plane->engine, at.now, at.wall, &tx, went, more);
        }
}

static void split(struct data_plane *plane, struct moment at, uint8_t *vnet, size_t len)
{
        struct offload_split segments;
        uint8_t *packet = vnet + VNET_HEADER_LEN;

        if (offload_split_begin(&segments, vnet, packet, len) == OFFLOAD_MALFORMED)
                engine_count_drop(plane->engine, DROP_TX_NOT_IP);
        else
                while (offload_split_next(&segments, &packet, &len))
                        forward(plane, at, packet, len);
}

int data_outbound(struct data_plane *plane, struct moment at)
{
        uint8_t *vnet = plane->from_tun + SLAB_HEADROOM - VNET_HEADER_LEN;
        int result = 0;

        for (int i = 0; i < LANE_READS; i++) {
                ssize_t got = tun_read(plane->tun, vnet, VNET_HEADER_LEN + PACKET_MAX);
                if (got == -EINTR) continue;
                if (got == -EBADFD) result = -EBADFD;
                if (got < 0) break; /* EAGAIN; EIO: the interface is down */
                if (got < VNET_HEADER_LEN) engine_count_drop(plane->engine, DROP_TX_NOT_IP);
                else split(plane, at, vnet, (size_t)got - VNET_HEADER_LEN);
        }
        batch_flush(plane, at);
        return result;
}
