#include "daemon/proto/exchange.h"
#include "crypto/upgrade.h"
#include "daemon/proto/handshake.h"
#include "daemon/proto/transport.h"

#include <sodium.h>
#include <string.h>

/* Of the specification, "Timers" and "States". */
enum {
        SENDS_MAX = 5,
        MISSES_MAX = 3,
        HELLOS_MAX = 5,
        PROBED_SESSIONS = 3,
        OFFERS_MAX = 2,
        RTO_MIN_MS = 100,
        RTO_MAX_MS = 1000,
        AEGIS_OVERHEAD = 96, /* IPv6, UDP, header, tag */
        USUAL_MTU = 1500,
};
#define PROBE_INTERVAL     SECONDS(3600)
#define RESPONDER_PATIENCE SECONDS(1)
#define KNOWN_PATIENCE     SECONDS(3)
#define REQUIRE_INTERVAL   SECONDS(5)
#define EXPORTER_LIFE      SECONDS(40)
#define OLD_CHILD_INTERVAL SECONDS(1)
#define OLD_CHILD_LIFE     SECONDS(5)
#define PARENT_LINGERS     SECONDS(10)
#define HELD_MIN           SECONDS(5)
#define HELD_MAX           SECONDS(120)

static_assert((int)FRAME_MAX == (int)UPGRADE_FRAME_MAX, "the engine's callers have room for a frame");

/* What an exchange needs until it is done. */
struct work {
        struct upgrade_frame frame;     /* our OFFER or ACCEPT: said again, it is the same */
        struct mlkem_secret secret;     /* of the OFFER */
        uint8_t answered[KDF_HASH_LEN]; /* hash of the OFFER that the ACCEPT answers */
};

size_t exchange_work_size(void)
{
        return sizeof(struct work);
}

static void work_give(struct engine *engine, struct exchange *x)
{
        if (x->work) pool_give(&engine->works, x->work, sizeof *x->work);
        x->work = NULL;
}

static bool requires(const struct peer *peer)
{
        return peer->policy.post_quantum == POST_QUANTUM_REQUIRE;
}

static bool may_mlkem(const struct engine *engine, const struct peer *peer)
{
        return engine->mlkem && peer->policy.post_quantum != POST_QUANTUM_OFF;
}

static bool able(const struct engine *engine)
{
        for (int id = 0; id < CIPHER_IDS; id++)
                if (engine->costs[id]) return true;
        return false;
}

static bool allowed(const struct engine *engine, const struct peer *peer)
{
        return !peer->policy.off && able(engine);
}

static struct upgrade_terms terms(const struct engine *engine, const struct peer *peer)
{
        uint32_t egress = engine->egress_mtu ? engine->egress_mtu : USUAL_MTU;
        struct upgrade_terms ours = { .flags = requires(peer) ? UPGRADE_REQUIRE : 0 };

        memcpy(ours.costs, engine->costs, sizeof ours.costs);
        if (!engine->mtu || engine->mtu + AEGIS_OVERHEAD > egress) ours.costs[CIPHER_AEGIS_256] = 0;
        return ours;
}

/* ---- What user packets go out with: the only place that chooses ----------------------------------------------------
 */

static bool needs_mlkem(const struct peer *peer)
{
        return requires(peer) || peer->exchange.holds;
}

static bool serves(const struct session *child, bool mlkem, uint64_t now)
{
        return session_can_send(child, now) && (!mlkem || child->mlkem);
}

static struct session *choose(const struct engine *engine, const struct peer *peer)
{
        struct session *current = peer->sessions.current, *old = session_upgraded(peer->sessions.previous);
        struct session *child = session_upgraded(current);
        bool mlkem = needs_mlkem(peer);

        if (!current) return NULL;
        if (serves(child, mlkem, engine->now)) return child;
        if (peer->exchange.old_heard && serves(old, mlkem, engine->now) &&
            (requires(peer) || engine->now - current->born < OLD_CHILD_LIFE))
                return old;
        return mlkem ? NULL : current;
}

void exchange_publish(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *sender = choose(engine, peer), *before = peer->sessions.sender;

        peer->sessions.sender = sender;
        if (peer->staged.count && exchange_holds(engine, peer)) exchange_held(engine, peer);
        if (sender == before || !session_can_send(sender, engine->now)) return;
        peer->acquaintance.waits = 0;
        timer_stop(&peer->timers, TIMER_HELD);
        if (!peer->staged.count) return;
        if (out) effect_add(out, EFFECT_FLUSH, peer);
        else timer_arm(&peer->timers, TIMER_HELD, engine->now);
}

bool exchange_holds(const struct engine *engine, const struct peer *peer)
{
        return !peer->sessions.sender && session_can_send(peer->sessions.current, engine->now);
}

void exchange_held(struct engine *engine, struct peer *peer)
{
        if (!timer_armed(&peer->timers, TIMER_HELD)) timer_arm(&peer->timers, TIMER_HELD, engine->now + HELD_MIN);
}

/* Those that wait have waited for long: perhaps a new session has better luck. */
static void held_for_long(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct acquaintance *acquaintance = &peer->acquaintance;
        uint64_t wait;

        exchange_publish(engine, peer, NULL);
        if (!peer->staged.count) return;
        if (!exchange_holds(engine, peer)) {
                timer_stop(&peer->timers, TIMER_HELD);
                effect_add(out, EFFECT_FLUSH, peer);
                return;
        }
        handshake_start(engine, peer, out);
        wait = HELD_MIN << acquaintance->waits;
        if (wait < HELD_MAX) acquaintance->waits++;
        timer_arm(&peer->timers, TIMER_HELD, engine->now + (wait < HELD_MAX ? wait : HELD_MAX));
}

/* A second has passed since the previous session's child was last looked after. */
static void old_child_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *old = session_upgraded(peer->sessions.previous);
        struct exchange *x = &peer->exchange;

        x->old_heard = x->old_heard && old && old->proven;
        if (old) old->proven = false;
        exchange_publish(engine, peer, out);
        if (x->old_heard && peer->sessions.sender == old)
                timer_arm(&peer->timers, TIMER_OLD_CHILD, engine->now + OLD_CHILD_INTERVAL);
}

/* ---- Saying --------------------------------------------------------------------------------------------------------
 */

static void say(struct peer *peer, enum upgrade_type type, struct effects *out)
{
        peer->exchange.saying = (uint8_t)type;
        effect_add(out, EFFECT_FRAME, peer);
}

size_t exchange_frame(struct engine *engine, struct peer *peer, uint8_t frame[FRAME_MAX])
{
        struct exchange *x = &peer->exchange;
        struct upgrade_terms ours = terms(engine, peer);
        struct upgrade_frame hello;
        const struct upgrade_frame *what = &hello;
        uint8_t saying = x->saying;

        x->saying = 0;
        if (!saying || (saying != UPGRADE_HELLO && !x->work)) return 0;
        if (saying == UPGRADE_HELLO) upgrade_hello(&hello, &ours, may_mlkem(engine, peer) ? UPGRADE_CAN_MLKEM768 : 0);
        else what = &x->work->frame;
        memcpy(frame, what, upgrade_padded(what));
        return upgrade_padded(what);
}

static void hello(struct peer *peer, struct effects *out)
{
        if (peer->exchange.hellos >= HELLOS_MAX) return;
        peer->exchange.hellos++;
        say(peer, UPGRADE_HELLO, out);
}

static void exporter_wipe(struct session *parent)
{
        sodium_memzero(&parent->keys.exporter, sizeof parent->keys.exporter);
        sodium_memzero(parent->keys.h, sizeof parent->keys.h);
}

static bool exporter_there(const struct session *parent)
{
        return !sodium_is_zero(parent->keys.exporter.bytes, sizeof parent->keys.exporter.bytes);
}

/* Nothing more is begun under this parent; the peer's first HELLO is answered all the same, for a while. */
static void off(struct engine *engine, struct peer *peer, enum upgrade_state outcome, struct effects *out)
{
        struct session *parent = peer->sessions.current;
        struct exchange *x = &peer->exchange;

        work_give(engine, x);
        x->state = EXCHANGE_OFF;
        x->outcome = (uint8_t)outcome;
        timer_stop(&peer->timers, TIMER_UPGRADE);
        if (x->offers) exporter_wipe(parent);
        else if (exporter_there(parent)) timer_arm(&peer->timers, TIMER_UPGRADE, parent->born + EXPORTER_LIFE);
        exchange_publish(engine, peer, out);
}

/* ---- We are the initiator ------------------------------------------------------------------------------------------
 */

static void resend(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + (MILLISECONDS(x->rto) << x->sends));
        x->sends++;
        say(peer, UPGRADE_OFFER, out);
}

/* Strangers are asked rarely: a HELLO costs a stock peer a log line and us a keepalive of its. */
static bool probe_due(const struct engine *engine, const struct peer *peer)
{
        const struct acquaintance *them = &peer->acquaintance;

        return requires(peer) || them->known || them->probes < PROBED_SESSIONS ||
               engine->now - them->probed_at >= PROBE_INTERVAL;
}

/* How long a HELLO's answer is waited for. Of a stranger until it is too late; where packets may be waiting, not. */
static uint64_t patience(const struct peer *peer)
{
        if (requires(peer)) return REQUIRE_INTERVAL;
        return peer->acquaintance.known ? KNOWN_PATIENCE : EXPORTER_LIFE;
}

static void probe(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct acquaintance *them = &peer->acquaintance;

        if (them->probes < PROBED_SESSIONS) them->probes++;
        them->probed_at = engine->now;
        hello(peer, out);
}

/* Nothing came of a session with what was an Adit. */
static void miss(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct acquaintance *them = &peer->acquaintance;

        them->requires = false; /* whatever is there now may want what we can send */
        peer->exchange.holds = false;
        if (++them->misses >= MISSES_MAX) {
                *them = (struct acquaintance){ .waits = them->waits };
                effect_add(out, EFFECT_UPGRADE_LOST, peer);
        }
        peer->exchange.outcome = UPGRADE_STATE_SILENT;
        exchange_publish(engine, peer, out);
}

static void ask(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        if (!probe_due(engine, peer)) {
                off(engine, peer, UPGRADE_STATE_NO_ANSWER, out);
                return;
        }
        x->state = EXCHANGE_ASKED;
        timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + patience(peer));
        probe(engine, peer, out);
}

/* Why no OFFER could be good for both; DONE: one could. */
static enum upgrade_state obstacle(const struct peer *peer, const struct upgrade_terms *ours, bool mlkem)
{
        const struct acquaintance *them = &peer->acquaintance;

        if (!mlkem && requires(peer)) return UPGRADE_STATE_PEER_NO_KEM;
        if (!mlkem && them->requires) return UPGRADE_STATE_PEER_WANTS_KEM;
        if (them->told && upgrade_choose(ours->costs, them->costs) < 0) return UPGRADE_STATE_NO_CIPHER;
        return UPGRADE_STATE_DONE;
}

/* By what the peer said last no OFFER is any good: it is asked whether that still holds, once. */
static void blocked(struct engine *engine, struct peer *peer, enum upgrade_state why, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        x->outcome = (uint8_t)why;
        if (x->state == EXCHANGE_NEW && !x->heard) ask(engine, peer, out);
        else off(engine, peer, why, out);
}

static void offer(struct engine *engine, struct peer *peer, struct effects *out)
{
        const struct acquaintance *them = &peer->acquaintance;
        bool mlkem = may_mlkem(engine, peer) && (!them->told || them->mlkem);
        struct upgrade_terms ours = terms(engine, peer);
        enum upgrade_state outcome = obstacle(peer, &ours, mlkem);
        struct exchange *x = &peer->exchange;
        struct mlkem_public key;

        work_give(engine, x);
        if (outcome != UPGRADE_STATE_DONE) {
                blocked(engine, peer, outcome, out);
                return;
        }
        x->work = pool_take(&engine->works);
        if (!x->work) goto fail;
        if (mlkem) {
                random_fill(engine, &x->work->secret, sizeof x->work->secret);
                if (!mlkem_derive_public(&key, &x->work->secret)) goto fail;
        }
        upgrade_offer(&x->work->frame, &ours, sessions_fresh_index(&engine->store, &engine->random),
                      mlkem ? &key : NULL);
        x->state = EXCHANGE_OFFERED;
        x->offers++;
        x->sends = 0;
        resend(engine, peer, out);
        return;
fail:
        off(engine, peer, UPGRADE_STATE_NO_ROOM, out);
}

static void asked_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        if (requires(peer)) ask(engine, peer, out);
        else if (peer->acquaintance.known) {
                miss(engine, peer, out);
                off(engine, peer, UPGRADE_STATE_SILENT, out);
        }
}

static void offered_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        if (peer->exchange.sends < SENDS_MAX) resend(engine, peer, out);
        else if (!requires(peer)) {
                miss(engine, peer, out);
                off(engine, peer, UPGRADE_STATE_SILENT, out);
        } else {
                say(peer, UPGRADE_OFFER, out);
                timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + REQUIRE_INTERVAL);
        }
}

/* The peer has accepted, and does not show that it can open what comes of it: it was started anew perhaps. */
static void using_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *child = session_upgraded(peer->sessions.current);
        struct exchange *x = &peer->exchange;

        if (x->sends < SENDS_MAX) {
                timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + (MILLISECONDS(x->rto) << x->sends));
                x->sends++;
                transport_empty(engine, peer, child, out);
                return;
        }
        child->sending = false;
        off(engine, peer, UPGRADE_STATE_SILENT, out);
        handshake_start(engine, peer, out);
}

static enum drop accept_received(struct engine *engine, struct peer *peer, struct session *parent,
                                 const struct upgrade_frame *accept, struct effects *out)
{
        struct exchange *x = &peer->exchange;
        struct session *child = NULL;
        struct upgrade_keys keys;
        enum upgrade_verdict verdict = upgrade_finish(&keys, &parent->keys.exporter, parent->keys.h, &x->work->frame,
                                                      &x->work->secret, accept);
        const struct child_terms agreed = {
                .cipher = cipher_find(accept->header.cipher),
                .local_index = le32_get(x->work->frame.header.index),
                .remote_index = le32_get(accept->header.index),
                .mlkem = accept->header.kem == UPGRADE_KEM_MLKEM768,
                .send = keys.i2r,
                .receive = keys.r2i,
        };

        if (verdict == UPGRADE_OK) child = sessions_add_child(&engine->store, parent, &agreed);
        sodium_memzero(&keys, sizeof keys);
        exporter_wipe(parent);
        if (!child) {
                off(engine, peer, verdict == UPGRADE_OK ? UPGRADE_STATE_NO_ROOM : UPGRADE_STATE_REFUSED, out);
                return verdict == UPGRADE_OK ? DROP_NONE : DROP_RX_UPGRADE_BAD;
        }
        work_give(engine, x);
        peer->acquaintance.misses = 0;
        child->sending = true;
        x->state = EXCHANGE_USING;
        x->sends = 0;
        exchange_publish(engine, peer, out);
        using_tick(engine, peer,
                   out); /* an empty one, though packets wait: they may be lost, and nobody sends them again */
        return DROP_NONE;
}

static bool rules_out(const struct upgrade_frame *theirs, const struct upgrade_frame *ours)
{
        bool mlkem = ours->header.kem == UPGRADE_KEM_MLKEM768;

        return (mlkem && !(theirs->header.kem & UPGRADE_CAN_MLKEM768)) ||
               (!mlkem && theirs->header.flags & UPGRADE_REQUIRE) ||
               upgrade_choose(ours->header.cost, theirs->header.cost) < 0;
}

static enum drop initiator_hears_hello(struct engine *engine, struct peer *peer, struct session *parent,
                                       const struct upgrade_frame *frame, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        switch (x->state) {
        case EXCHANGE_NEW:
        case EXCHANGE_ASKED: offer(engine, peer, out); return DROP_NONE;
        case EXCHANGE_OFFERED:
                if (!rules_out(frame, &x->work->frame)) return DROP_NONE;
                if (x->offers < OFFERS_MAX) offer(engine, peer, out);
                else off(engine, peer, UPGRADE_STATE_REFUSED, out);
                return DROP_NONE;
        case EXCHANGE_OFF:
                if (x->offers || !exporter_there(parent)) return DROP_RX_UPGRADE_UNEXPECTED;
                offer(engine, peer, out);
                return DROP_NONE;
        default: return DROP_RX_UPGRADE_UNEXPECTED;
        }
}

/* ---- We are the responder ------------------------------------------------------------------------------------------
 */

static void hash_offer(uint8_t hash[KDF_HASH_LEN], const struct upgrade_frame *offer)
{
        kdf_hash(hash, offer, le16_get(offer->header.length), NULL, 0);
}

/* What an OFFER asks for that cannot be; DONE: nothing. */
static enum upgrade_state objection(const struct engine *engine, const struct peer *peer,
                                    const struct upgrade_terms *ours, const struct upgrade_frame *offer)
{
        bool mlkem = offer->header.kem == UPGRADE_KEM_MLKEM768;

        if (mlkem && !may_mlkem(engine, peer))
                return offer->header.flags & UPGRADE_REQUIRE ? UPGRADE_STATE_PEER_WANTS_KEM : UPGRADE_STATE_PENDING;
        if (!mlkem && requires(peer)) return UPGRADE_STATE_PEER_NO_KEM;
        if (upgrade_choose(ours->costs, offer->header.cost) < 0) return UPGRADE_STATE_NO_CIPHER;
        return UPGRADE_STATE_DONE;
}

/* The child, and the answer in x->work. */
static bool accept_offer(struct engine *engine, struct peer *peer, struct session *parent,
                         const struct upgrade_terms *ours, const struct upgrade_frame *offer)
{
        struct exchange *x = &peer->exchange;
        struct upgrade_reply reply = { .terms = *ours,
                                       .index = sessions_fresh_index(&engine->store, &engine->random),
                                       .cipher = (uint8_t)upgrade_choose(ours->costs, offer->header.cost) };
        struct child_terms agreed = { .cipher = cipher_find(reply.cipher),
                                      .local_index = reply.index,
                                      .remote_index = le32_get(offer->header.index),
                                      .mlkem = offer->header.kem == UPGRADE_KEM_MLKEM768 };
        struct upgrade_keys keys;
        bool done = false;

        x->work = pool_take(&engine->works);
        if (!x->work) return false;
        random_fill(engine, reply.random, sizeof reply.random);
        if (upgrade_answer(&x->work->frame, &keys, &parent->keys.exporter, parent->keys.h, offer, &reply) ==
            UPGRADE_OK) {
                agreed.send = keys.r2i;
                agreed.receive = keys.i2r;
                done = sessions_add_child(&engine->store, parent, &agreed);
                hash_offer(x->work->answered, offer);
        }
        sodium_memzero(&reply, sizeof reply);
        sodium_memzero(&keys, sizeof keys);
        sodium_memzero(&agreed, sizeof agreed);
        if (!done) work_give(engine, x);
        return done;
}

static enum drop offer_received(struct engine *engine, struct peer *peer, struct session *parent,
                                const struct upgrade_frame *offer, struct effects *out)
{
        struct upgrade_terms ours = terms(engine, peer);
        enum upgrade_state obstacle = objection(engine, peer, &ours, offer);
        struct exchange *x = &peer->exchange;
        uint8_t hash[KDF_HASH_LEN];

        if (x->state == EXCHANGE_ACCEPTED && x->work) {
                hash_offer(hash, offer);
                if (memcmp(hash, x->work->answered, sizeof hash) != 0) return DROP_RX_UPGRADE_UNEXPECTED;
                say(peer, UPGRADE_ACCEPT, out);
                return DROP_NONE;
        }
        if (x->state != EXCHANGE_NEW || !exporter_there(parent)) return DROP_RX_UPGRADE_UNEXPECTED;
        if (obstacle == UPGRADE_STATE_DONE && accept_offer(engine, peer, parent, &ours, offer)) {
                x->state = EXCHANGE_ACCEPTED;
                exporter_wipe(parent);
                timer_stop(&peer->timers, TIMER_UPGRADE);
                say(peer, UPGRADE_ACCEPT, out);
                return DROP_NONE;
        }
        x->outcome = (uint8_t)(obstacle == UPGRADE_STATE_DONE ? UPGRADE_STATE_REFUSED : obstacle);
        hello(peer, out);
        return DROP_NONE;
}

static void responder_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct exchange *x = &peer->exchange;
        bool first = !x->hellos;

        if (first && !x->heard && probe_due(engine, peer)) probe(engine, peer, out);
        else if (requires(peer)) hello(peer, out);
        else if (!x->heard && peer->acquaintance.known && !x->sends++) miss(engine, peer, out);
        if (x->outcome == UPGRADE_STATE_PENDING) x->outcome = UPGRADE_STATE_NO_ANSWER;
        timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + patience(peer));
}

/* ---- Events --------------------------------------------------------------------------------------------------------
 */

void exchange_begin(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *old = session_upgraded(peer->sessions.previous);
        struct exchange *x = &peer->exchange;
        uint32_t rto = x->rto;

        work_give(engine, x);
        *x = (struct exchange){ .state = EXCHANGE_NEW,
                                .outcome = UPGRADE_STATE_PENDING,
                                .holds = peer->acquaintance.requires,
                                .rto = rto };
        timer_stop(&peer->timers, TIMER_UPGRADE);
        timer_stop(&peer->timers, TIMER_OLD_CHILD);
        if (old) old->proven = false; /* is the peer that we speak with now the one that has it? */
        exchange_publish(engine, peer, out);
}

void exchange_set_rtt(struct peer *peer, uint64_t rtt)
{
        uint64_t ms = 2 * rtt / MILLISECONDS(1);

        peer->exchange.rto = (uint32_t)(ms < RTO_MIN_MS ? RTO_MIN_MS : ms > RTO_MAX_MS ? RTO_MAX_MS : ms);
}

void exchange_open(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *old = session_upgraded(peer->sessions.previous);

        if (!allowed(engine, peer)) {
                exporter_wipe(peer->sessions.current);
                off(engine, peer, UPGRADE_STATE_OFF_HERE, out);
                return;
        }
        if (!peer->sessions.current->initiator) {
                timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + RESPONDER_PATIENCE);
                return;
        }
        if (session_can_send(old, engine->now)) transport_empty(engine, peer, old, out); /* we still have it */
        if (peer->acquaintance.known) {
                offer(engine, peer, out);
                return;
        }
        peer->exchange.outcome = UPGRADE_STATE_NO_ANSWER;
        ask(engine, peer, out);
}

void exchange_end(struct engine *engine, struct peer *peer)
{
        work_give(engine, &peer->exchange);
        peer->exchange = (struct exchange){ .rto = peer->exchange.rto };
        timer_stop(&peer->timers, TIMER_UPGRADE);
        timer_stop(&peer->timers, TIMER_OLD_CHILD);
        timer_stop(&peer->timers, TIMER_HELD);
        timer_stop(&peer->timers, TIMER_PARENT);
        peer->sessions.sender = NULL;
}

/* What each frame tells of its sender. */
static void note(struct peer *peer, const struct upgrade_frame *frame, bool initiator)
{
        struct acquaintance *them = &peer->acquaintance;
        const struct upgrade_header *header = &frame->header;

        them->known = true;
        if (!initiator) them->misses = 0; /* of an initiator's, what counts is an ACCEPT */
        peer->exchange.heard = true;
        them->requires = header->flags & UPGRADE_REQUIRE;
        peer->exchange.holds = them->requires;
        if (header->type != UPGRADE_HELLO) return;
        them->told = true;
        them->mlkem = header->kem & UPGRADE_CAN_MLKEM768;
        memcpy(them->costs, header->cost, sizeof them->costs);
}

enum drop exchange_receive(struct engine *engine, struct peer *peer, struct session *session, const uint8_t *plain,
                           size_t len, struct effects *out)
{
        struct upgrade_frame frame;
        enum drop verdict = DROP_RX_UPGRADE_UNEXPECTED;

        if (!allowed(engine, peer)) return DROP_RX_NOT_IP; /* as every WireGuard */
        if (session != peer->sessions.current || session->upgraded) return verdict;
        if (load_under(&engine->load, engine->now)) return DROP_RX_UPGRADE_LIMIT;
        if (upgrade_decode(&frame, plain, len) != UPGRADE_OK) return DROP_RX_UPGRADE_BAD;

        note(peer, &frame, session->initiator);
        exchange_publish(engine, peer, out);
        if (session->initiator) {
                if (frame.header.type == UPGRADE_HELLO)
                        verdict = initiator_hears_hello(engine, peer, session, &frame, out);
                else if (frame.header.type == UPGRADE_ACCEPT && peer->exchange.state == EXCHANGE_OFFERED)
                        verdict = accept_received(engine, peer, session, &frame, out);
        } else {
                if (frame.header.type == UPGRADE_OFFER) verdict = offer_received(engine, peer, session, &frame, out);
                else if (frame.header.type == UPGRADE_HELLO && peer->exchange.state == EXCHANGE_NEW) {
                        hello(peer, out);
                        verdict = DROP_NONE;
                }
        }
        return verdict;
}

/* Both sides have sent with it. */
static void established(struct engine *engine, struct peer *peer, struct session *child, struct effects *out)
{
        struct exchange *x = &peer->exchange;
        bool responder = x->state == EXCHANGE_ACCEPTED;

        child->established = true;
        child->sending = true;
        work_give(engine, x);
        x->state = EXCHANGE_ESTABLISHED;
        timer_stop(&peer->timers, TIMER_UPGRADE);
        timer_arm(&peer->timers, TIMER_PARENT, engine->now + PARENT_LINGERS);
        effect_add(out, EFFECT_UPGRADED, peer);
        exchange_publish(engine, peer, out);
        if (responder) transport_empty(engine, peer, child, out); /* now the initiator knows, too */
}

void exchange_proven(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *current = peer->sessions.current, *child = current ? current->child : NULL;
        struct session *old = session_upgraded(peer->sessions.previous);
        struct exchange *x = &peer->exchange;

        if (child && child->proven && (x->state == EXCHANGE_USING || x->state == EXCHANGE_ACCEPTED))
                established(engine, peer, child, out);
        if (old && old->proven && old->sending && !x->old_heard) {
                x->old_heard = true;
                old->proven = false;
                timer_arm(&peer->timers, TIMER_OLD_CHILD, engine->now + OLD_CHILD_INTERVAL);
                exchange_publish(engine, peer, out);
        }
}

/* The exchange's next step. */
static void step(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *current = peer->sessions.current;
        struct exchange *x = &peer->exchange;

        if (!current || current->upgraded) return;
        if (engine->now - current->born >= EXPORTER_LIFE && !requires(peer)) exporter_wipe(current);
        if (!exporter_there(current) && x->state <= EXCHANGE_ASKED) {
                off(engine, peer, x->outcome, out);
                return;
        }
        switch (x->state) {
        case EXCHANGE_NEW: responder_tick(engine, peer, out); break;
        case EXCHANGE_ASKED: asked_tick(engine, peer, out); break;
        case EXCHANGE_OFFERED: offered_tick(engine, peer, out); break;
        case EXCHANGE_USING: using_tick(engine, peer, out); break;
        default: break;
        }
}

void exchange_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct timers *timers = &peer->timers;

        if (timer_take(timers, TIMER_UPGRADE, engine->now)) step(engine, peer, out);
        if (timer_take(timers, TIMER_OLD_CHILD, engine->now)) old_child_tick(engine, peer, out);
        if (timer_take(timers, TIMER_HELD, engine->now)) held_for_long(engine, peer, out);
        if (timer_take(timers, TIMER_PARENT, engine->now)) {
                sessions_promote(&peer->sessions, &engine->store);
                exchange_publish(engine, peer, out);
        }
}

/* ---- Configuration and status --------------------------------------------------------------------------------------
 */

void exchange_moved(struct peer *peer)
{
        struct acquaintance *them = &peer->acquaintance;

        if (!them->known && them->probes == PROBED_SESSIONS) them->probes--;
}

/* Whatever was agreed on, a new session is agreed on anew. */
void exchange_set_policy(struct engine *engine, struct peer *peer, const struct upgrade_policy *policy)
{
        if (peer->policy.off == policy->off && peer->policy.post_quantum == policy->post_quantum) return;
        peer->policy = *policy;
        peer->needs_mlkem = requires(peer);
        if (peer->acquaintance.probes == PROBED_SESSIONS) peer->acquaintance.probes--;
        exchange_publish(engine, peer, NULL);
        if (peer->sessions.current) timer_arm(&peer->timers, TIMER_NEW_HANDSHAKE, engine->now);
}

enum upgrade_state exchange_status(const struct engine *engine, const struct peer *peer)
{
        struct session *current = peer->sessions.current, *child = session_upgraded(current);
        const struct exchange *x = &peer->exchange;

        if (!session_can_send(current, engine->now) && !session_can_send(child, engine->now)) return UPGRADE_STATE_NONE;
        if (session_can_send(child, engine->now)) return UPGRADE_STATE_DONE;
        if (peer->policy.off) return UPGRADE_STATE_OFF_HERE;
        if (x->state == EXCHANGE_OFFERED || x->state == EXCHANGE_ACCEPTED) return UPGRADE_STATE_PENDING;
        return x->outcome;
}
