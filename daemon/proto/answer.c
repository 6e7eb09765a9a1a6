#include "daemon/proto/exchange_role.h"

#include <sodium.h>
#include <string.h>

/* What an OFFER asks for that cannot be; DONE: nothing; PENDING: another one would do. */
static enum upgrade_state objection(const struct engine *engine, const struct peer *peer,
                                    const struct upgrade_terms *ours, const struct upgrade_frame *offer)
{
        bool mlkem = offer->header.kem == UPGRADE_KEM_MLKEM768;

        if (mlkem && !may_mlkem(engine, peer))
                return offer->header.flags & UPGRADE_REQUIRE ? UPGRADE_STATE_PEER_WANTS_KEM : UPGRADE_STATE_PENDING;
        if (!mlkem && peer->we_require) return UPGRADE_STATE_PEER_NO_KEM;
        if (upgrade_choose(ours->costs, offer->header.cost) < 0) return UPGRADE_STATE_NO_CIPHER;
        return UPGRADE_STATE_DONE;
}

static void hash_offer(uint8_t hash[KDF_HASH_LEN], const struct upgrade_frame *offer)
{
        kdf_hash(hash, offer, le16_get(offer->header.length), NULL, 0);
}

/* The child, and the answer in exchange.work. */
static bool accept_offer(struct engine *engine, struct peer *peer, struct session *parent,
                         const struct upgrade_terms *ours, const struct upgrade_frame *offer)
{
        struct upgrade_reply reply = { .terms = *ours,
                                       .index = sessions_fresh_index(&engine->store, &engine->random),
                                       .cipher = (uint8_t)upgrade_choose(ours->costs, offer->header.cost) };
        struct child_terms agreed = { .cipher = cipher_find(reply.cipher),
                                      .local_index = reply.index,
                                      .remote_index = le32_get(offer->header.index),
                                      .mlkem = offer->header.kem == UPGRADE_KEM_MLKEM768 };
        struct exchange_work *work = pool_take(&engine->works);
        struct upgrade_keys keys;
        bool done = false;

        peer->exchange.work = work;
        if (!work) return false;
        random_fill(engine, reply.random, sizeof reply.random);
        if (upgrade_answer(&work->frame, &keys, &parent->keys.exporter, parent->keys.h, offer, &reply) == UPGRADE_OK) {
                agreed.send = keys.r2i;
                agreed.receive = keys.i2r;
                done = sessions_add_child(&engine->store, parent, &agreed);
                hash_offer(work->answered, offer);
        }
        sodium_memzero(&reply, sizeof reply);
        sodium_memzero(&keys, sizeof keys);
        sodium_memzero(&agreed, sizeof agreed);
        if (!done) exchange_work_give(engine, peer);
        return done;
}

/* A later OFFER of a parent is none that an Adit makes, or one that was changed. */
static enum drop again(struct peer *peer, const struct upgrade_frame *offer, struct effects *out)
{
        uint8_t hash[KDF_HASH_LEN];

        hash_offer(hash, offer);
        if (memcmp(hash, peer->exchange.work->answered, sizeof hash) != 0) return DROP_RX_UPGRADE_UNEXPECTED;
        exchange_say(peer, UPGRADE_ACCEPT, out);
        return DROP_NONE;
}

enum drop answer_hears_offer(struct engine *engine, struct peer *peer, struct session *parent,
                             const struct upgrade_frame *offer, struct effects *out)
{
        struct upgrade_terms ours = exchange_terms(engine, peer);
        enum upgrade_state why = objection(engine, peer, &ours, offer);
        struct exchange *x = &peer->exchange;

        if (x->state == EXCHANGE_ACCEPTED) return again(peer, offer, out);
        if (x->state != EXCHANGE_NEW || !exporter_there(parent)) return DROP_RX_UPGRADE_UNEXPECTED;
        if (why == UPGRADE_STATE_DONE && accept_offer(engine, peer, parent, &ours, offer)) {
                x->state = EXCHANGE_ACCEPTED;
                exporter_wipe(parent);
                timer_stop(&peer->timers, TIMER_UPGRADE);
                exchange_say(peer, UPGRADE_ACCEPT, out);
                return DROP_NONE;
        }
        if (why != UPGRADE_STATE_PENDING) sender_expect_little(peer);
        exchange_hello(peer, out);
        if (why == UPGRADE_STATE_DONE) exchange_off(engine, peer, UPGRADE_STATE_REFUSED, out); /* not again: it costs */
        else x->outcome = (uint8_t)why;
        return DROP_NONE;
}

enum drop answer_hears_hello(struct peer *peer, struct effects *out)
{
        if (peer->exchange.state != EXCHANGE_NEW) return DROP_RX_UPGRADE_UNEXPECTED;
        exchange_hello(peer, out);
        return DROP_NONE;
}

void answer_reassure(struct engine *engine, struct peer *peer, struct session *child, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        if (x->sends == FRAMES_MAX) return;
        x->sends++;
        transport_empty(engine, peer, child, out);
        timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + MILLISECONDS(RTO_MIN_MS));
}

/* The peer's words, or the answer to them, may be lost: it is told that we are an Adit, too. */
static void new_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        if (x->heard || peer->we_require) exchange_hello(peer, out);
        else if (!x->hellos) exchange_probe(engine, peer, out);
        else if (peer->acquaintance.known && !x->missed) exchange_miss(engine, peer, out);
        if (x->outcome == UPGRADE_STATE_PENDING) {
                enum upgrade_state why = x->heard ? exchange_obstacle(engine, peer) : UPGRADE_STATE_DONE;
                x->outcome = (uint8_t)(why == UPGRADE_STATE_DONE ? UPGRADE_STATE_NO_ANSWER : why);
        }
        timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + exchange_patience(peer));
}

void answer_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *child = peer->sessions.current->child;

        if (peer->exchange.state == EXCHANGE_NEW) new_tick(engine, peer, out);
        /* the next packet on it is answered */
        else if (peer->exchange.state == EXCHANGE_ESTABLISHED && child) child->proven = false;
}
