/* The data plane: packets from TUN through the engine to UDP (outbound lane) and back (inbound lane).
 *
 * A piece of a lane's work is a slab. Under the lane's short read lock it is filled by a large read or two
 * (super-packets of 64 KB; a GRO read) or by many small ones, gets a ticket, and of what goes out the counters are
 * reserved. Outside the lock it is split and sealed, or opened. Then whoever finds the slab of the oldest ticket done
 * commits what is consecutive, in order: sends it, or merges it and writes it to the TUN. So any number of workers
 * share one fat flow and its order is kept; nobody waits for a turn, for a lock that is taken is somebody else at that
 * very work.
 *
 * Outbound, a segment is sealed out of place, beside the last one: that is the layout of UDP_SEGMENT, and encryption is
 * the copy. Inbound it is opened in place, and what belongs together is gathered by one writev. No allocation and no
 * log call on this path: slabs are made once, and when none is free reading stops, for the kernel's queues are the
 * queue. What is dropped is counted in the engine's table.
 *
 * Workers (workers.h) call data_outbound() and data_inbound(). What they cannot do (a handshake, a packet without a
 * session, a frame of the upgrade) they leave in bounded mailboxes for the owner of the engine, one thread, who calls
 * all the rest: a storm of handshakes does not hold up data. Descriptors belong to the caller. */
#ifndef DAEMON_DATA_DATA_H
#define DAEMON_DATA_DATA_H

#include "daemon/data/mailbox.h"
#include "daemon/proto/engine.h"
#include "kernel-iface/offload.h"
#include "kernel-iface/tun.h"
#include "kernel-iface/udp.h"

#include <stdatomic.h>

enum { PACKET_MAX = 65535 }; /* an IP packet or a super-packet; a datagram or a coalesced read */

/* CLOCK_BOOTTIME and CLOCK_REALTIME, nanoseconds. */
struct moment {
        uint64_t now, wall;
};

struct outbound_slab;
struct inbound_slab;

struct lane {
        _Atomic unsigned slabs; /* in use, in a ring: that of a ticket is the ticket modulo this */
        _Atomic bool reading;   /* the read lock */
        _Atomic bool draining;  /* somebody commits */
};

struct data_plane {
        /* Set by the caller before data_init(). */
        struct engine *engine;
        int tun;
        struct udp_sockets sockets;  /* changed only while paused */
        _Atomic unsigned merge;      /* enum offload_feature: what the TUN takes as one; a bit that fails is cleared */
        _Atomic uint32_t link_index; /* of the interface; 0: it is in another network namespace. No datagram goes
                                        through the link that it carries */
        int wake;                    /* an eventfd that the owner waits for; -1: none */
        void (*event)(void *context,
                      const struct effect *effect); /* the owner's: every effect but SEND, FLUSH and FRAME */
        void *event_context;

        _Atomic uint64_t kernel_drops; /* datagrams the kernel dropped because the socket's queue was full */
        _Atomic bool gone;             /* the interface was deleted */

        /* private */
        uint32_t overflow4, overflow6; /* SO_RXQ_OVFL as last told; of who holds the inbound read lock */
        struct lane lanes[LANES];
        struct outbound_slab *outbound;
        struct inbound_slab *inbound;
        void (*call_help)(void *context); /* more is waiting than one worker should do */
        void *call_context;
        _Atomic bool woken;
        struct mailbox packets, handshakes, frames;
        struct effects effects;
        uint8_t *packet, *sealed; /* the owner's */
};

enum { DATA_WORKERS_MAX = 16 };

/* Reserves address space for DATA_WORKERS_MAX workers, of which only what is used is ever touched, and lays the rings
 * out for one. 0 or -errno. */
int data_init(struct data_plane *plane);
void data_fini(struct data_plane *plane);
/* How many threads will call at a time. The owner, while paused or before there are any. */
void data_set_workers(struct data_plane *plane, unsigned workers);

/* ---- Workers ----------------------------------------------------------------------------------------------------- */

/* A slab of what the TUN has. 1: there may be more; 0: nothing more; -EBUSY: others are at it; -EBADFD: the interface
 * was deleted. */
int data_outbound(struct data_plane *plane, uint64_t now);
/* The same of a socket: plane->sockets.v4, or .v6. */
int data_inbound(struct data_plane *plane, uint64_t now, bool v6);

/* ---- The owner --------------------------------------------------------------------------------------------------- */

/* Deals with what workers left. How soon to call again although nobody wakes: milliseconds, 0: at once, -1: not. */
int data_attend(struct data_plane *plane, struct moment at);
/* What is due in the engine, until nothing is. */
void data_tick(struct data_plane *plane, struct moment at);
/* Carries out, then forgets, plane->effects; for the caller of other engine calls, too. */
void data_effects(struct data_plane *plane, struct moment at);

/* From the one to the other no worker reads, sends or writes, and none is in the middle of it. */
void data_pause(struct data_plane *plane);
void data_resume(struct data_plane *plane);

#endif
