#include "daemon/proto/engine.h"
#include "daemon/proto/handshake.h"
#include "daemon/proto/sender.h"
#include "daemon/proto/transport.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

/* Beyond these the sizes below would not fit their types; nobody has that many. */
enum { PEERS_LIMIT = 1 << 24, PREFIXES_LIMIT = 1 << 28 };

/* Where each part begins, from the start of the engine's memory. */
struct layout {
        size_t peers, heap, indices, pending, sessions, children, works, staged, load, allowed, end;
};

static uint32_t session_count(const struct engine_config *config)
{
        return config->max_peers * SESSIONS_PER_PEER + SESSIONS_SPARE;
}

static uint32_t child_count(const struct engine_config *config)
{
        return config->max_peers * CHILDREN_PER_PEER + SESSIONS_SPARE;
}

static struct layout layout_of(const struct engine_config *config)
{
        struct layout at;

        at.peers = POOL_ALIGN(sizeof(struct engine));
        at.heap = at.peers + peer_table_memory(config->max_peers);
        at.indices = at.heap + POOL_ALIGN(heap_memory(config->max_peers));
        at.pending = at.indices + POOL_ALIGN(index_memory(config->max_peers));
        at.sessions = at.pending + POOL_ALIGN(index_memory(config->max_peers));
        at.children = at.sessions + pool_memory(sizeof(struct session), session_count(config));
        at.works = at.children + pool_memory(session_child_size(), child_count(config));
        at.staged = at.works + pool_memory(exchange_work_size(), config->max_peers);
        at.load = at.staged + pool_memory(staged_item_size(config->staged_size), config->max_staged);
        at.allowed = at.load + POOL_ALIGN(load_memory());
        at.end = at.allowed + POOL_ALIGN(allowedips_memory(config->max_prefixes));
        return at;
}

size_t engine_memory(const struct engine_config *config)
{
        if (config->max_peers > PEERS_LIMIT || config->max_prefixes > PREFIXES_LIMIT) return SIZE_MAX;
        return layout_of(config).end;
}

struct engine *engine_new(void *memory, size_t size, const struct engine_config *config,
                          const struct engine_random *random, uint64_t now)
{
        struct engine *engine = memory;
        struct layout at = layout_of(config);
        uint8_t *base = memory;
        uint8_t hash_key[16];

        if (!memory || size < engine_memory(config)) return NULL;
        engine->random = *random;
        engine->now = now;
        engine->timers.random = &engine->random;
        heap_init(&engine->timers.heap, base + at.heap);
        index_init(&engine->store.indices, base + at.indices, config->max_peers); /* most have one session */
        index_init(&engine->store.pending, base + at.pending, config->max_peers);
        engine->store.grace = &engine->grace;
        pool_init(&engine->store.pool, base + at.sessions, sizeof(struct session), session_count(config));
        pool_init(&engine->store.children, base + at.children, session_child_size(), child_count(config));
        pool_init(&engine->works, base + at.works, exchange_work_size(), config->max_peers);
        pool_init(&engine->staged, base + at.staged, staged_item_size(config->staged_size), config->max_staged);
        allowedips_init(&engine->allowed, base + at.allowed, config->max_prefixes);
        engine->allowed.grace = &engine->grace;
        random_fill(engine, hash_key, sizeof hash_key);
        peer_table_init(&engine->peers, base + at.peers, config->max_peers, hash_key);
        random_fill(engine, hash_key, sizeof hash_key);
        load_init(&engine->load, base + at.load, hash_key);
        return engine;
}

/* ---- Effects ----------------------------------------------------------------------------------------------------- */

struct effect *effect_add(struct effects *out, enum effect_type type, struct peer *peer)
{
        assert(out->count < EFFECTS_MAX);
        struct effect *effect = &out->list[out->count++];

        effect->type = type;
        effect->peer = peer;
        effect->to = (struct endpoint){ 0 };
        effect->len = 0;
        return effect;
}

void effect_send(struct effects *out, struct peer *peer, const void *datagram, size_t len)
{
        struct effect *effect = effect_add(out, EFFECT_SEND, peer);

        memcpy(effect->bytes, datagram, len);
        effect->len = len;
        effect->to = peer->endpoint;
        atomic_fetch_add_explicit(&peer->tx_bytes, len, memory_order_relaxed);
}

bool same_remote(const union socket_address *a, const union socket_address *b)
{
        if (a->family != b->family) return false;
        if (a->family == AF_INET)
                return a->in.sin_port == b->in.sin_port && a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
        return a->family != AF_INET6 ||
               (a->in6.sin6_port == b->in6.sin6_port && a->in6.sin6_scope_id == b->in6.sin6_scope_id &&
                memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof a->in6.sin6_addr) == 0);
}

void peer_publish_endpoint(struct peer *peer)
{
        endpoint_write(&peer->published, &peer->endpoint);
}

void peer_set_endpoint(struct peer *peer, const struct endpoint *from, struct effects *out)
{
        bool moved = !same_remote(&peer->endpoint.remote, &from->remote);

        if (!memcmp(&peer->endpoint, from, sizeof *from)) return;
        peer->endpoint = *from;
        peer_publish_endpoint(peer);
        if (!moved) return;
        effect_add(out, EFFECT_ROAMED, peer);
        exchange_moved(peer);
}

/* What a worker heard meanwhile stays. */
void peer_forget_source(struct peer *peer)
{
        memset(&peer->endpoint.source, 0, sizeof peer->endpoint.source);
        peer->endpoint.source_ifindex = 0;
        endpoint_clear_source(&peer->published);
}

void peer_drop_staged(struct engine *engine, struct peer *peer, enum drop reason)
{
        uint32_t dropped = staged_clear(&peer->staged, &engine->staged);

        peer->waiting -= dropped;
        drop_count(engine, reason, dropped);
}

void peer_session_up(struct engine *engine, struct peer *peer, struct effects *out)
{
        timers_handshake_complete(&peer->timers);
        peer->attempts = 0;
        peer->rekeyed_on_receive = false;
        peer->last_handshake_wall = engine->wall;
        effect_add(out, EFFECT_SESSION_UP, peer);
        exchange_begin(engine, peer);
        sender_begin(engine, peer, out);
        /* Ours has to be confirmed, by what waits or by an empty one. */
        if (peer->sessions.current->initiator &&
            (!peer->staged.count || peer->sessions.sender != peer->sessions.current))
                transport_empty(engine, peer, peer->sessions.current, out);
        exchange_open(engine, peer, out);
}

/* ---- What workers ask for ---------------------------------------------------------------------------------------- */

uint64_t engine_enter(struct engine *engine, enum lane_id lane)
{
        return grace_enter(&engine->grace, lane);
}

void engine_leave(struct engine *engine, enum lane_id lane)
{
        grace_leave(&engine->grace, lane);
}

uint64_t engine_entered(const struct engine *engine, enum lane_id lane)
{
        return engine->grace.taken[lane];
}

uint64_t engine_left(const struct engine *engine, enum lane_id lane)
{
        return engine->grace.done[lane];
}

void peer_confirm(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *next = peer->sessions.next;

        /* The worker that found it proven had looked at the clock, a later one than ours perhaps. */
        if (next && next->proven && sessions_confirm(&peer->sessions, &engine->store, next, UINT64_MAX))
                peer_session_up(engine, peer, out);
        exchange_proven(engine, peer, out);
}

/* Where a worker heard it from, packets go already. */
static void roam(struct peer *peer, struct effects *out)
{
        union socket_address before = peer->endpoint.remote;

        endpoint_read(&peer->published, &peer->endpoint);
        if (same_remote(&before, &peer->endpoint.remote)) return;
        effect_add(out, EFFECT_ROAMED, peer);
        exchange_moved(peer);
}

/* Of a peer that is not in the stack any more. */
static void attend(struct engine *engine, struct peer *peer, struct effects *out)
{
        uint32_t what = atomic_exchange(&peer->asks, 0);

        if (peer->removed) return;
        if (what & ASK_ROAM) roam(peer, out);
        if (what & ASK_FORGET_SOURCE) peer_forget_source(peer);
        if (what & ASK_CONFIRM) peer_confirm(engine, peer, out);
        if (what & ASK_RELEASE) exchange_released(engine, peer, out);
        if (what & ASK_REFUSED) sender_held(engine, peer);
        if (what & ASK_HANDSHAKE && sessions_rekey_on_send(&peer->sessions, engine->now))
                handshake_start(engine, peer, out);
        if (what & ASK_RENEW && !peer->rekeyed_on_receive &&
            session_rekey_on_receive(peer->sessions.current, engine->now))
                peer->rekeyed_on_receive = handshake_start(engine, peer, out);
        if (what & ASK_TIMERS) timers_requeue(&peer->timers);
}

static bool next_asking(struct engine *engine)
{
        if (!engine->attended) engine->attended = atomic_exchange(&engine->asking, NULL);
        return engine->attended;
}

bool asks_attend(struct engine *engine, struct effects *out)
{
        while (out->count + PEER_EFFECTS_MAX <= EFFECTS_MAX && next_asking(engine)) {
                struct peer *peer = engine->attended;

                engine->attended = peer->asks_after; /* before a worker can push it again */
                attend(engine, peer, out);
        }
        return next_asking(engine);
}

bool engine_attend(struct engine *engine, uint64_t now, uint64_t wall, struct effects *out)
{
        clock_set(engine, now, wall);
        return asks_attend(engine, out);
}

/* ---- Timers ------------------------------------------------------------------------------------------------------ */

static void erase_keys(struct engine *engine, struct peer *peer, struct effects *out)
{
        /* Not under a handshake that is being tried: when that is given up, this timer is armed again. */
        if (!timer_armed(&peer->timers, TIMER_RETRANSMIT_HANDSHAKE)) handshake_forget(engine, peer);
        exchange_end(engine, peer);
        if (sessions_drop(&peer->sessions, &engine->store)) effect_add(out, EFFECT_SESSION_DOWN, peer);
}

static void peer_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct timers *timers = &peer->timers;
        uint64_t now = engine->now;

        if (timer_take(timers, TIMER_ERASE_KEYS, now)) erase_keys(engine, peer, out);
        if (timer_take(timers, TIMER_RETRANSMIT_HANDSHAKE, now)) handshake_retransmit(engine, peer, out);
        if (timer_take(timers, TIMER_NEW_HANDSHAKE, now)) {
                peer_forget_source(peer);
                handshake_start(engine, peer, out);
        }
        if (timer_take(timers, TIMER_SEND_KEEPALIVE, now)) {
                bool another = timers->another_keepalive;

                timers->another_keepalive = false;
                transport_keepalive(engine, peer, out);
                if (another) timer_arm(timers, TIMER_SEND_KEEPALIVE, now + KEEPALIVE_TIMEOUT);
        }
        exchange_tick(engine, peer, out);
        /* A worker may arm it just when it is switched off. */
        uint64_t every = timers->persistent;
        if (timer_take(timers, TIMER_PERSISTENT_KEEPALIVE, now) && every) {
                timer_arm(timers, TIMER_PERSISTENT_KEEPALIVE, now + every);
                transport_keepalive(engine, peer, out);
        }
}

void engine_tick(struct engine *engine, uint64_t now, uint64_t wall, struct effects *out)
{
        struct timers *timers;

        clock_set(engine, now, wall);
        while (out->count + PEER_EFFECTS_MAX <= EFFECTS_MAX && (timers = timers_due(&engine->timers, engine->now))) {
                peer_tick(engine, timers_peer(timers), out);
                timers_requeue(timers);
        }
}

uint64_t engine_deadline(const struct engine *engine)
{
        return timers_deadline(&engine->timers);
}
