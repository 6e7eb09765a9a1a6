#include "daemon/data/lane.h"

#include "kernel-iface/offload.h"

#include <errno.h>

/* The slab holds the inner packet where its ciphertext will be, so that sealing is in place:
 *     [vnet header][packet][padding]   as read from TUN, the packet at DATA_HEADER_LEN of the datagram
 *     [data header][ciphertext][tag]   as sent */
static void forward(struct data_plane *plane, struct moment at, uint8_t *datagram, size_t len)
{
        struct tx tx;
        enum drop reason;

        uint8_t *packet = datagram + DATA_HEADER_LEN;
        bool ready = engine_tx_begin(plane->engine, at.now, at.wall, packet, len, &tx, &reason, &plane->effects);
        if (ready) {
                tx_seal(&tx, datagram, packet, len);
                bool sent = lane_send(plane, tx.peer, &tx.to, datagram, tx.len);
                engine_tx_commit(plane->engine, at.now, at.wall, &tx, sent, &plane->effects);
        }
        data_effects(plane, at);
}

int data_outbound(struct data_plane *plane, struct moment at)
{
        uint8_t *datagram = plane->slab + SLAB_HEADROOM;
        uint8_t *packet = datagram + DATA_HEADER_LEN, *vnet = packet - VNET_HEADER_LEN;

        for (int i = 0; i < LANE_BATCH; i++) {
                ssize_t got = tun_read(plane->tun, vnet, VNET_HEADER_LEN + PACKET_MAX);
                if (got == -EBADFD) return -EBADFD;
                if (got == -EINTR) continue;
                if (got < 0) return 0; /* EAGAIN; EIO: the interface is down */
                if (got < VNET_HEADER_LEN ||
                    offload_finish(vnet, packet, (size_t)got - VNET_HEADER_LEN) != OFFLOAD_PACKET) {
                        engine_count_drop(plane->engine, DROP_TX_NOT_IP);
                        continue;
                }
                forward(plane, at, datagram, (size_t)got - VNET_HEADER_LEN);
        }
        return 0;
}
