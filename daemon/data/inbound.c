#include "daemon/data/lane.h"

#include <errno.h>

static int deliver(struct data_plane *plane, struct moment at, struct rx *rx, const struct endpoint *from)
{
        enum drop reason;
        size_t len;
        bool opened = rx_open(rx);
        bool wanted =
                engine_rx_commit(plane->engine, at.now, at.wall, rx, opened, from, &len, &reason, &plane->effects);

        if (!wanted) return 0;
        int error = tun_write(plane->tun, rx->plain, len);
        if (error) engine_count_drop(plane->engine, DROP_RX_TUN_WRITE);
        return error == -EBADFD ? -EBADFD : 0;
}

int data_inbound(struct data_plane *plane, struct moment at, int fd)
{
        uint8_t *datagram = plane->slab + SLAB_HEADROOM;
        uint32_t *overflow = fd == plane->sockets.v4 ? &plane->overflow4 : &plane->overflow6;
        int result = 0;

        for (int i = 0; i < LANE_BATCH && !result; i++) {
                struct endpoint from;
                struct rx rx;
                enum drop reason;
                uint32_t told = *overflow;

                ssize_t got = udp_receive(fd, datagram, PACKET_MAX, &from, overflow);
                plane->kernel_drops += *overflow - told;
                if (got == -EAGAIN) break;
                if (got == -EMSGSIZE) engine_count_drop(plane->engine, DROP_RX_TRUNCATED);
                if (got < 0) continue; /* an ICMP error told late, EINTR: the next datagram may be fine */
                if (engine_rx_begin(plane->engine, at.now, at.wall, datagram, (size_t)got, &from, &rx, &reason,
                                    &plane->effects))
                        result = deliver(plane, at, &rx, &from);
                data_effects(plane, at);
        }
        return result;
}
