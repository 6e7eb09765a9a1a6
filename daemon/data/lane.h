/* What the lanes and the owner share; internal to daemon/data. */
#ifndef DAEMON_DATA_LANE_H
#define DAEMON_DATA_LANE_H

#include "daemon/data/data.h"
#include "daemon/proto/worker.h"

enum {
        SLAB_ALIGN = 64,
        /* Packets are read on until there are so many bytes of them, or so many packets. Two super-packets: what does
         * not fill a batch of the first goes with the second (rate +7 %, CPU -4 % against one). Small packets go out by
         * the batch, too (64 B: +20 % against 16). */
        TURN_BYTES = 81920,
        TURN_READS = 64,
        LARGE_READ = 32768,   /* who reads that much calls for help */
        SEALED_SIZE = 150000, /* two super-packets at any usual MSS, in one go; of more, what fits at a time */
        SENDS_MAX = 32,       /* UDP_SEGMENT batches of one slab */
};

/* What one read brought. */
struct outbound_read {
        enum route route;
        uint8_t ecn;
        struct tx tx; /* of the next segment */
        struct offload_split split;
};

/* Datagrams of one peer, all but the last of one size, side by side. */
struct outbound_send {
        struct peer *peer;
        struct endpoint to;
        uint8_t *bytes;
        size_t len, segment;
        unsigned count;
        uint8_t ecn;
        bool closed; /* the last one was shorter: no other may follow */
};

struct outbound_slab {
        _Atomic bool ready;
        uint64_t now;
        unsigned reads, next; /* read, and begun to be sealed */
        bool rest;            /* what was sealed did not all fit */
        unsigned sends;
        size_t sealed_len;
        struct outbound_read read[TURN_READS];
        struct outbound_send send[SENDS_MAX];
        /* packets with their vnet headers, and room for what sealing writes behind the last one */
        uint8_t bytes[TURN_BYTES + PACKET_MAX + TURN_READS * 2 * SLAB_ALIGN] __attribute__((aligned(SLAB_ALIGN)));
        uint8_t sealed[SEALED_SIZE] __attribute__((aligned(SLAB_ALIGN)));
};

struct inbound_packet {
        struct rx rx;
        bool opened;
};

struct inbound_slab {
        _Atomic bool ready;
        uint64_t now;
        struct endpoint from;
        uint8_t ecn;
        size_t len, segment, at; /* of what was read, of each datagram, and how far it is opened */
        unsigned packets, handshakes;
        struct inbound_packet packet[OFFLOAD_BATCH];
        struct {
                const uint8_t *bytes;
                size_t len;
        } handshake[OFFLOAD_BATCH];
        /* of who commits */
        struct offload_packet merged[OFFLOAD_BATCH];
        struct offload_group groups[OFFLOAD_BATCH];
        uint8_t bytes[PACKET_MAX + 1 + SLAB_ALIGN] __attribute__((aligned(SLAB_ALIGN)));
};

/* Before a frame in its mailbox. */
struct frame_from {
        struct peer *peer;
        uint32_t index;
};

bool lane_lock(struct lane *lane); /* false: somebody reads */
void lane_unlock(struct lane *lane);
/* With the read lock: waits until all that was read is committed. */
void lane_settle(struct data_plane *plane, enum lane_id id);

/* Commits, in the order of tickets, what is ready, if nobody else is at it. `commit` gets the number of a slab in the
 * ring, whose `ready` it cleared. */
void lane_drain(struct data_plane *plane, enum lane_id id, _Atomic bool *(*ready)(struct data_plane *, unsigned),
                void (*commit)(struct data_plane *, unsigned));
/* A slab for the next ticket is free. The caller has the read lock. */
bool lane_has_room(const struct data_plane *plane, enum lane_id id);
/* Takes the ticket; the number of its slab. */
unsigned lane_take(struct data_plane *plane, enum lane_id id);

/* Something is left for the owner. */
void lane_wake_owner(struct data_plane *plane);
/* The interface was deleted: the owner is told. */
void lane_gone(struct data_plane *plane);

/* The counter of what sendmsg refused. */
enum drop lane_drop(int error);

/* ECN between inner and outer header as the kernel driver does it (RFC 6040, compatibility): outward the inner bits, CE
 * as ECT(0); inward an outer CE marks an inner packet that is capable. `packet` is a whole IPv4 or IPv6 header at
 * least. */
uint8_t ecn_outward(const uint8_t *packet);
void ecn_inward(uint8_t *packet, size_t len, uint8_t outer);

#endif
