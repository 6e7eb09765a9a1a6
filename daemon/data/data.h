/* The data plane: packets from TUN through the engine to UDP (outbound lane) and back (inbound lane).
 *
 * One worker runs both lanes to completion. Outbound: a read of the TUN may be a super-packet; it is split, each
 * segment sealed out of place beside the last one, and up to 64 datagrams leave in one UDP_SEGMENT send. Inbound: a
 * read of the socket may hold 64 datagrams (UDP_GRO); each is opened in place, and what belongs together goes to the
 * TUN in one write. No allocation and no log call on the packet path: what is dropped is counted in the engine's table,
 * what happened to a session goes to `event`.
 *
 * Called by one thread, the owner of the engine. Descriptors belong to the caller. */
#ifndef DAEMON_DATA_DATA_H
#define DAEMON_DATA_DATA_H

#include "daemon/proto/engine.h"
#include "kernel-iface/offload.h"
#include "kernel-iface/tun.h"
#include "kernel-iface/udp.h"

enum {
        LANE_READS = 4,     /* reads of one lane before the other has its turn */
        PACKET_MAX = 65535, /* an IP packet or a super-packet; a datagram or a coalesced read */
        SLAB_HEADROOM = 64, /* in front of what is read: the vnet header; keeps it aligned */
        SLAB_SIZE = SLAB_HEADROOM + PACKET_MAX + 65,
};

/* CLOCK_BOOTTIME and CLOCK_REALTIME, nanoseconds; one reading serves a batch. */
struct moment {
        uint64_t now, wall;
};

/* Datagrams of one peer, all but the last of one size, sealed side by side: one UDP_SEGMENT send. */
struct outbound_batch {
        uint8_t *bytes; /* BATCH_SIZE */
        size_t used, segment;
        unsigned count;
        bool closed; /* the last one was shorter: no other may follow */
        uint8_t ecn;
        struct tx tx[UDP_BATCH_SEGMENTS];
};

enum { BATCH_SIZE = UDP_BATCH_BYTES + PACKET_MAX + DATA_OVERHEAD + 2 * PACKET_PADDING };

/* Packets of one read that go to the TUN together. */
struct inbound_batch {
        struct offload_packet packets[OFFLOAD_BATCH];
        struct offload_group groups[OFFLOAD_BATCH];
        size_t count;
};

struct data_plane {
        struct engine *engine;
        int tun;
        unsigned merge; /* enum offload_feature: what the TUN takes as one; a bit that fails is cleared */
        struct udp_sockets sockets;
        uint32_t overflow4, overflow6; /* SO_RXQ_OVFL as last told */
        uint64_t kernel_drops;         /* datagrams the kernel dropped because the socket's queue was full */
        void (*event)(void *context, const struct effect *effect); /* every effect but SEND and FLUSH */
        void *event_context;
        uint8_t *from_tun, *from_udp; /* SLAB_SIZE each, the caller's */
        struct outbound_batch outbound;
        struct inbound_batch inbound;
        struct effects effects;
        struct effects more; /* what carrying out the effects brought about */
};

/* Moves what LANE_READS reads bring. 0, or -EBADFD: the interface was deleted. */
int data_outbound(struct data_plane *plane, struct moment at);
/* The same of one socket (plane->sockets.v4 or .v6). */
int data_inbound(struct data_plane *plane, struct moment at, int fd);
/* What is due in the engine, until nothing is. */
void data_tick(struct data_plane *plane, struct moment at);
/* Carries out, then forgets, plane->effects; for the caller of other engine calls, too. */
void data_effects(struct data_plane *plane, struct moment at);

#endif
