/* What an engine is made of. Internal: only the engine's own files, and its tests, look in here. */
#ifndef DAEMON_PROTO_STATE_H
#define DAEMON_PROTO_STATE_H

#include "daemon/proto/load.h"
#include "daemon/proto/peer.h"
#include "daemon/proto/tai64n.h"

struct engine {
        struct engine_random random;
        uint64_t now, wall; /* of the call that is being served; `now` never goes back */
        _Atomic uint64_t drops[DROP_COUNT];

        struct grace grace;
        struct peer *_Atomic asking; /* a stack of those with asks: workers push one each, the owner takes all */
        struct peer *attended;       /* what the owner took and has not come to */
        struct limbo removed;        /* peers */
        struct retired *stale;       /* peers that no worker holds, but what workers left may name */

        struct identity identity;
        bool has_identity;
        _Atomic bool up;
        _Atomic uint32_t mtu; /* 0: not known, padding is not bounded */
        uint32_t egress_mtu;
        uint8_t costs[CIPHER_IDS]; /* of what this machine can do: engine_set_abilities() */
        bool mlkem;
        struct tai64n clock;
        struct cookie_checker checker;
        struct load load;

        struct peer_table peers;
        struct session_store store;
        struct pool staged, works; /* works: of exchanges */
        struct timer_queue timers;
        struct allowedips allowed;
};

/* What one peer can emit in one call, at most. */
enum { PEER_EFFECTS_MAX = 16 };

/* At the start of each call that has the time. */
static inline void clock_set(struct engine *engine, uint64_t now, uint64_t wall)
{
        if (now > engine->now) engine->now = now;
        engine->wall = wall;
}

static inline void random_fill(struct engine *engine, void *bytes, size_t len)
{
        engine->random.fill(engine->random.context, bytes, len);
}

/* Counts, and hands the reason back. */
static inline enum drop drop_count(struct engine *engine, enum drop reason, uint64_t packets)
{
        atomic_fetch_add_explicit(&engine->drops[reason], packets, memory_order_relaxed);
        return reason;
}

/* The one whose allowed IPs have the packet's destination, or why it goes nowhere. */
enum drop worker_peer_to(const struct engine *engine, const uint8_t *packet, size_t len, struct peer **peer);
/* Does what workers ask for while `out` has room. True: there is more. */
bool asks_attend(struct engine *engine, struct effects *out);

/* The next effect, with room for bytes; the callers of the engine empty the list between calls. */
struct effect *effect_add(struct effects *out, enum effect_type type, struct peer *peer);
/* A datagram to the peer's endpoint, which counts as sent. */
void effect_send(struct effects *out, struct peer *peer, const void *datagram, size_t len);

/* Address, port and scope; of two that are not known, true. */
bool same_remote(const union socket_address *a, const union socket_address *b);
/* After each change of peer->endpoint: workers see the new one. */
void peer_publish_endpoint(struct peer *peer);
/* The peer speaks from here: an authenticated message said so. */
void peer_set_endpoint(struct peer *peer, const struct endpoint *from, struct effects *out);
/* The kernel chooses our address again: the one that we had may be why nothing is heard. */
void peer_forget_source(struct peer *peer);
void peer_drop_staged(struct engine *engine, struct peer *peer, enum drop reason);
/* What a worker found proven is taken for that. */
void peer_confirm(struct engine *engine, struct peer *peer, struct effects *out);
/* A handshake completed; staged packets can go. */
void peer_session_up(struct engine *engine, struct peer *peer, struct effects *out);

#endif
