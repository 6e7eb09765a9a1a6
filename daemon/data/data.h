/* The data plane: packets from TUN through the engine to UDP (outbound lane) and back (inbound lane).
 * One worker runs both lanes to completion, one packet at a time: begin, crypto, commit, in place in one slab. No
 * allocation and no log call on the packet path: what is dropped is counted in the engine's table, what happened to a
 * session goes to `event`.
 *
 * Called by one thread, the owner of the engine. Descriptors belong to the caller. */
#ifndef DAEMON_DATA_DATA_H
#define DAEMON_DATA_DATA_H

#include "daemon/proto/engine.h"
#include "kernel-iface/tun.h"
#include "kernel-iface/udp.h"

enum {
        LANE_BATCH = 64,    /* packets of one lane before the other has its turn */
        PACKET_MAX = 65535, /* an IP packet, or a datagram */
        SLAB_HEADROOM = 64, /* in front of the datagram, for the vnet header of its plaintext; keeps it aligned */
};

/* CLOCK_BOOTTIME and CLOCK_REALTIME, nanoseconds; one reading serves a batch. */
struct moment {
        uint64_t now, wall;
};

struct data_plane {
        struct engine *engine;
        int tun;
        struct udp_sockets sockets;
        uint32_t overflow4, overflow6; /* SO_RXQ_OVFL as last told */
        uint64_t kernel_drops;         /* datagrams the kernel dropped because the socket's queue was full */
        void (*event)(void *context, const struct effect *effect); /* every effect but SEND and FLUSH */
        void *event_context;
        uint8_t *slab; /* DATA_SLAB_SIZE bytes of the caller's */
        struct effects effects;
        struct effects more; /* what carrying out the effects brought about */
};

enum { DATA_SLAB_SIZE = SLAB_HEADROOM + DATA_HEADER_LEN + PACKET_MAX + 2 * PACKET_PADDING + DATA_OVERHEAD };

/* Moves up to LANE_BATCH packets. 0, or -EBADFD: the interface was deleted. */
int data_outbound(struct data_plane *plane, struct moment at);
/* Moves up to LANE_BATCH datagrams of one socket (plane->sockets.v4 or .v6). 0, or -EBADFD: the interface was deleted.
 */
int data_inbound(struct data_plane *plane, struct moment at, int fd);
/* What is due in the engine, until nothing is. */
void data_tick(struct data_plane *plane, struct moment at);
/* Carries out, then forgets, plane->effects; for the caller of other engine calls, too. */
void data_effects(struct data_plane *plane, struct moment at);

#endif
