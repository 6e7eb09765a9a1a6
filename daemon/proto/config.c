/* The configuration and status calls of engine.h. */
#include "daemon/proto/engine.h"
#include "daemon/proto/handshake.h"

#include <sodium.h>
#include <string.h>

/* ---- The device -------------------------------------------------------------------------------------------------- */

/* A session that was made with the old key carries on, and a handshake with the new one begins: the other end may come
 * to know that key before or after, and no packet is lost. Without a key, sessions do not send any more. */
static void peer_change_identity(struct engine *engine, struct peer *peer)
{
        const struct session *current = peer->sessions.current;
        bool carries_on = engine->has_identity && current && current->sending;

        handshake_forget(engine, peer);
        if (!engine->has_identity) sessions_expire(&peer->sessions);
        noise_precompute(&peer->handshake, &engine->identity, &peer->handshake.remote_static);
        peer->initiate_not_before = 0;
        if (carries_on) peer->attempt_started = engine->now;
        if (carries_on || timer_armed(&peer->timers, TIMER_RETRANSMIT_HANDSHAKE))
                timer_arm(&peer->timers, TIMER_RETRANSMIT_HANDSHAKE, engine->now);
}

void engine_set_private_key(struct engine *engine, uint64_t now, const struct key *private_key)
{
        struct identity identity;
        uint8_t secret[KDF_HASH_LEN];
        bool usable = noise_identity_init(&identity, private_key);
        struct peer *self = usable ? peer_table_find(&engine->peers, &identity.public_key) : NULL;

        clock_set(engine, now, engine->wall);
        if (key_equal(&identity.private_key, &engine->identity.private_key)) goto out;
        if (self) engine_peer_remove(engine, self);
        engine->identity = identity;
        engine->has_identity = usable;
        random_fill(engine, secret, sizeof secret);
        cookie_checker_init(&engine->checker, &identity.public_key, secret, engine->now);
        for (struct peer *peer = engine->peers.first; peer; peer = peer->after)
                peer_change_identity(engine, peer);
        sodium_memzero(secret, sizeof secret);
out:
        sodium_memzero(&identity, sizeof identity);
}

bool engine_private_key(const struct engine *engine, struct key *private_key, struct key *public_key)
{
        *private_key = engine->identity.private_key;
        *public_key = engine->identity.public_key;
        return engine->has_identity;
}

static void peer_up(struct engine *engine, struct peer *peer)
{
        if (peer->timers.persistent) timer_arm(&peer->timers, TIMER_PERSISTENT_KEEPALIVE, engine->now);
}

static void peer_down(struct engine *engine, struct peer *peer)
{
        timers_stop(&peer->timers);
        peer_drop_staged(engine, peer, DROP_TX_LINK_DOWN);
        handshake_forget(engine, peer);
        exchange_end(engine, peer);
        sessions_drop(&peer->sessions, &engine->store);
        peer->initiate_not_before = 0;
}

void engine_set_up(struct engine *engine, uint64_t now, bool up)
{
        clock_set(engine, now, engine->wall);
        if (engine->up == up) return;
        engine->up = up;
        engine->timers.running = up;
        for (struct peer *peer = engine->peers.first; peer; peer = peer->after)
                (up ? peer_up : peer_down)(engine, peer);
}

void engine_set_mtu(struct engine *engine, uint32_t mtu)
{
        engine->mtu = mtu;
}

void engine_set_egress_mtu(struct engine *engine, uint32_t mtu)
{
        engine->egress_mtu = mtu;
}

void engine_set_abilities(struct engine *engine, const uint8_t costs[CIPHER_IDS], bool mlkem)
{
        memcpy(engine->costs, costs, sizeof engine->costs);
        engine->mlkem = mlkem;
}

bool engine_has_mlkem(const struct engine *engine)
{
        return engine->mlkem;
}

/* ---- Peers ------------------------------------------------------------------------------------------------------- */

struct peer *engine_peer_find(const struct engine *engine, const struct key *public_key)
{
        return peer_table_find(&engine->peers, public_key);
}

struct peer *engine_peer_add(struct engine *engine, uint64_t now, const struct key *public_key)
{
        struct peer *peer = peer_table_find(&engine->peers, public_key);

        clock_set(engine, now, engine->wall);
        if (peer) return peer;
        if (engine->has_identity && key_equal(public_key, &engine->identity.public_key)) return NULL;
        peer = peer_table_add(&engine->peers, public_key);
        if (!peer) return NULL;
        peer->engine = engine;
        timers_init(&peer->timers, &engine->timers);
        noise_precompute(&peer->handshake, &engine->identity, public_key);
        cookie_jar_init(&peer->jar, public_key);
        return peer;
}

void engine_peer_remove(struct engine *engine, struct peer *peer)
{
        peer_drop_staged(engine, peer, DROP_TX_NO_PEER);
        peer_down(engine, peer);
        allowedips_clear(&engine->allowed, &peer->prefixes);
        peer_table_remove(&engine->peers, peer);
        peer->removed = true;
        limbo_add(&engine->removed, &peer->retired);
        if (grace_unused(&engine->grace)) engine_reclaim(engine);
}

static void give_stale(struct engine *engine)
{
        struct retired *next;

        for (struct retired *item = engine->stale; item; item = next) {
                next = item->next;
                peer_table_give(&engine->peers, (struct peer *)(void *)((char *)item - offsetof(struct peer, retired)));
        }
        engine->stale = NULL;
}

/* What is stale now became so in the call before: since then all that workers had left was dealt with. */
bool engine_reclaim(struct engine *engine)
{
        sessions_reclaim(&engine->store);
        allowedips_reclaim(&engine->allowed);
        if (!engine->asking && !engine->attended) give_stale(engine);
        if (!engine->stale) engine->stale = limbo_take(&engine->removed, &engine->grace);
        if (grace_unused(&engine->grace) && !engine->asking && !engine->attended) give_stale(engine);
        return engine->stale || !limbo_empty(&engine->removed) || !limbo_empty(&engine->store.limbo) ||
               !limbo_empty(&engine->allowed.limbo);
}

uint32_t engine_peer_count(const struct engine *engine)
{
        return engine->peers.count;
}

uint32_t engine_prefix_count(const struct engine *engine)
{
        return engine->allowed.prefixes;
}

struct peer *engine_peer_next(const struct engine *engine, const struct peer *peer)
{
        return peer ? peer->after : engine->peers.first;
}

void engine_peer_set_preshared_key(struct peer *peer, const struct key *preshared_key)
{
        peer->handshake.preshared_key = *preshared_key;
}

void engine_peer_set_endpoint(struct peer *peer, const union socket_address *remote)
{
        bool unknown = peer->endpoint.remote.family == AF_UNSPEC;

        if (same_remote(&peer->endpoint.remote, remote)) return;
        peer->endpoint = (struct endpoint){ .remote = *remote };
        peer_publish_endpoint(peer);
        exchange_moved(peer);
        if (unknown && peer->timers.persistent) timer_arm(&peer->timers, TIMER_PERSISTENT_KEEPALIVE, peer->engine->now);
}

void engine_peer_clear_source(struct peer *peer)
{
        peer_forget_source(peer);
}

static bool hasten(struct timers *timers, enum timer timer, uint64_t at)
{
        if (!timer_armed(timers, timer) || timers->at[timer] <= at) return false;
        timer_arm(timers, timer, at);
        return true;
}

void engine_peer_hasten(struct peer *peer, uint64_t at)
{
        hasten(&peer->timers, TIMER_PERSISTENT_KEEPALIVE, at);
        if (hasten(&peer->timers, TIMER_RETRANSMIT_HANDSHAKE, at) && peer->initiate_not_before > at)
                peer->initiate_not_before = at;
}

void engine_peer_set_keepalive(struct engine *engine, uint64_t now, struct peer *peer, uint16_t seconds)
{
        struct timers *timers = &peer->timers;
        uint64_t first;

        clock_set(engine, now, engine->wall);
        first = timers->persistent ? engine->now + SECONDS(seconds) : engine->now;
        timers->persistent = SECONDS(seconds);
        if (!seconds) timer_stop(timers, TIMER_PERSISTENT_KEEPALIVE);
        else if (first < timers->at[TIMER_PERSISTENT_KEEPALIVE]) timer_arm(timers, TIMER_PERSISTENT_KEEPALIVE, first);
}

void engine_peer_set_upgrade(struct engine *engine, uint64_t now, struct peer *peer,
                             const struct upgrade_policy *policy)
{
        clock_set(engine, now, engine->wall);
        exchange_set_policy(engine, peer, policy);
}

struct upgrade_policy engine_peer_policy(const struct peer *peer)
{
        return peer->policy;
}

void engine_peer_set_name(struct peer *peer, const char *name)
{
        size_t len = strnlen(name, PEER_NAME_MAX);

        memset(peer->name, 0, sizeof peer->name);
        memcpy(peer->name, name, len);
}

void engine_peer_set_tag(struct peer *peer, uint32_t tag)
{
        peer->tag = tag;
}

uint32_t engine_peer_tag(const struct peer *peer)
{
        return peer->tag;
}

/* ---- Allowed IPs ------------------------------------------------------------------------------------------------- */

bool engine_allowed_ip_add(struct engine *engine, struct peer *peer, const struct prefix *prefix)
{
        return allowedips_insert(&engine->allowed, prefix, peer, &peer->prefixes);
}

void engine_allowed_ip_remove(struct engine *engine, struct peer *peer, const struct prefix *prefix)
{
        allowedips_remove(&engine->allowed, prefix, peer);
}

void engine_allowed_ips_clear(struct engine *engine, struct peer *peer)
{
        allowedips_clear(&engine->allowed, &peer->prefixes);
}

void engine_allowed_ips_begin(struct engine *engine)
{
        allowedips_begin(&engine->allowed);
}

void engine_allowed_ips_sweep(struct engine *engine, struct peer *peer)
{
        allowedips_sweep(&engine->allowed, &peer->prefixes);
}

bool engine_allowed_ip_next(const struct engine *engine, const struct peer *peer, const void **cursor,
                            struct prefix *out)
{
        (void)engine;
        *cursor = allowedips_next(&peer->prefixes, *cursor, out);
        return *cursor != NULL;
}

/* ---- Status ------------------------------------------------------------------------------------------------------ */

void engine_peer_status(const struct peer *peer, struct peer_status *out)
{
        const struct session *sender = peer->sessions.sender;

        if (!session_can_send(sender, peer->engine->now)) sender = NULL;
        *out = (struct peer_status){
                .public_key = peer->handshake.remote_static,
                .preshared_key = peer->handshake.preshared_key,
                .endpoint = peer->endpoint,
                .keepalive = (uint16_t)(peer->timers.persistent / SECONDS(1)),
                .last_handshake_wall = peer->last_handshake_wall,
                .rx_bytes = peer->rx_bytes,
                .tx_bytes = peer->tx_bytes,
                .session = session_can_send(peer->sessions.current, peer->engine->now),
                .handshake_attempts = peer->attempts,
                .policy = peer->policy,
                .upgrade = exchange_status(peer->engine, peer),
                .adit = peer->acquaintance.known,
                .cipher = sender ? sender->cipher : NULL,
                .mlkem = sender && sender->mlkem,
        };
        memcpy(out->name, peer->name, sizeof out->name);
}

const char *upgrade_state_name(enum upgrade_state state)
{
#define X(symbol, name, meaning) [UPGRADE_STATE_##symbol] = (name),
        static const char *const names[] = { UPGRADE_STATES(X) };
#undef X
        return names[state];
}

const char *upgrade_state_meaning(enum upgrade_state state)
{
#define X(symbol, name, meaning) [UPGRADE_STATE_##symbol] = (meaning),
        static const char *const meanings[] = { UPGRADE_STATES(X) };
#undef X
        return meanings[state];
}

const char *engine_peer_name(const struct peer *peer)
{
        return peer->name;
}

const union socket_address *engine_peer_remote(const struct peer *peer)
{
        return &peer->endpoint.remote;
}

const struct key *engine_peer_public_key(const struct peer *peer)
{
        return &peer->handshake.remote_static;
}

void engine_count_drop(struct engine *engine, enum drop reason)
{
        drop_count(engine, reason, 1);
}

uint64_t engine_dropped(const struct engine *engine, enum drop reason)
{
        return atomic_load_explicit(&engine->drops[reason], memory_order_relaxed);
}
