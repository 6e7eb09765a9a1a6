/* What the workers of the data plane call: the packet path of an established session, and nothing that needs the owner.
 * Any thread, any number of them, without a lock, between engine_enter() and engine_leave() of their lane.
 *
 * A worker looks up, reserves counters, and keeps the books of what it moved. Where more is to be done (a session is to
 * be renewed or confirmed, a peer has moved, a timer is due earlier than the queue knows) it leaves an ask with the
 * peer; the owner finds it in engine_attend(). A packet that cannot go now (no session, or others wait before it) is
 * the owner's: it stages it and starts a handshake. */
#ifndef DAEMON_PROTO_WORKER_H
#define DAEMON_PROTO_WORKER_H

#include "daemon/proto/engine.h"

enum route {
        ROUTE_SEND, /* *tx is for the first, and worker_size() is to be called; the others have the counters after it */
        ROUTE_OWNER, /* tx->peer is who they are for: hand each to the owner, who calls engine_waited() for it */
        ROUTE_DROP,  /* counted under *reason */
};

/* Where `count` packets of one flow go, of which `packet` (`len` bytes, at least up to its IP header's end) is one. */
enum route worker_route(struct engine *engine, uint64_t now, const uint8_t *packet, size_t len, unsigned count,
                        struct tx *tx, enum drop *reason);

/* Sets tx->plain_len and tx->len for a packet of `len` bytes on tx->session. */
void worker_size(const struct engine *engine, struct tx *tx, size_t len);

/* Packets of one session went out, `bytes` in all, `data` if one of them was not empty. True: the owner is to be woken.
 */
bool worker_sent(struct engine *engine, uint64_t now, struct peer *peer, uint64_t bytes, bool data);
/* The source address that the peer is spoken to from is gone. As worker_sent. */
bool worker_source_gone(struct engine *engine, struct peer *peer);

enum find {
        FIND_DATA,      /* of a known session: open it, then worker_accept() it */
        FIND_HANDSHAKE, /* by its type and length: the owner's */
        FIND_DROP,      /* counted under *reason */
};
enum find worker_find(struct engine *engine, uint64_t now, uint8_t *datagram, size_t len, struct rx *rx,
                      enum drop *reason);

enum accepted {
        ACCEPTED_NOTHING, /* a keepalive, or dropped and counted under *reason */
        ACCEPTED_PACKET,  /* deliver rx->plain[0, *deliver_len) */
        ACCEPTED_FRAME, /* of the session upgrade: hand rx->plain[0, rx->plain_len), rx->peer and worker_index() to the
                           owner, for engine_frame_receive(); or call worker_frame_lost() */
};

/* The commit step of a packet that was found; only by whoever commits the inbound lane, in the order of tickets.
 * *deliver_len is 0 but of a packet. *wake is set where the owner is to be woken, never cleared. */
enum accepted worker_accept(struct engine *engine, uint64_t now, const struct rx *rx, bool opened,
                            const struct endpoint *from, size_t *deliver_len, enum drop *reason, bool *wake);
uint32_t worker_index(const struct rx *rx); /* of the session that it came on */
void worker_frame_lost(const struct rx *rx);

#endif
