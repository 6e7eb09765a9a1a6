#include "daemon/proto/exchange_role.h"
#include "daemon/proto/handshake.h"

#include <sodium.h>
#include <string.h>

/* ---- A stranger is asked, an acquaintance is offered ------------------------------------------------------------- */

static void ask(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        if (!exchange_probe(engine, peer, out)) {
                exchange_off(engine, peer, x->outcome, out);
                return;
        }
        x->state = EXCHANGE_ASKED;
        timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + exchange_patience(peer));
}

/* Whether that still holds is asked, once. */
static void blocked(struct engine *engine, struct peer *peer, enum upgrade_state why, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        x->outcome = (uint8_t)why;
        sender_expect_little(peer);
        if (x->state == EXCHANGE_NEW && !x->heard) ask(engine, peer, out);
        else exchange_off(engine, peer, why, out);
}

static void say_offer(struct engine *engine, struct peer *peer, struct effects *out)
{
        exchange_arm(engine, peer);
        exchange_say(peer, UPGRADE_OFFER, out);
}

static bool compose(struct engine *engine, const struct upgrade_terms *ours, bool mlkem, struct exchange_work *work)
{
        struct mlkem_public key;

        if (mlkem) {
                random_fill(engine, &work->secret, sizeof work->secret);
                if (!mlkem_derive_public(&key, &work->secret)) return false;
        }
        upgrade_offer(&work->frame, ours, sessions_fresh_index(&engine->store, &engine->random), mlkem ? &key : NULL);
        return true;
}

static void offer(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct upgrade_terms ours = exchange_terms(engine, peer);
        enum upgrade_state why = exchange_obstacle(engine, peer);
        bool mlkem = may_both_mlkem(engine, peer);
        struct exchange *x = &peer->exchange;

        exchange_work_give(engine, peer);
        if (!exporter_there(peer->sessions.current)) {
                exchange_off(engine, peer, x->outcome, out);
                return;
        }
        if (why != UPGRADE_STATE_DONE) {
                blocked(engine, peer, why, out);
                return;
        }
        x->work = pool_take(&engine->works);
        if (!x->work || !compose(engine, &ours, mlkem, x->work)) {
                exchange_off(engine, peer, UPGRADE_STATE_NO_ROOM, out);
                return;
        }
        x->state = EXCHANGE_OFFERED;
        x->outcome = UPGRADE_STATE_PENDING;
        x->offers++;
        x->sends = 0;
        say_offer(engine, peer, out);
}

static bool shuns(const struct engine *engine, const struct peer *peer)
{
        const struct acquaintance *them = &peer->acquaintance;

        return them->shunned && !peer->we_require && !peer->they_require &&
               engine->now - them->probed_at < PROBE_INTERVAL;
}

void offer_begin(struct engine *engine, struct peer *peer, struct effects *out)
{
        const struct acquaintance *them = &peer->acquaintance;

        if (shuns(engine, peer)) {
                exchange_off(engine, peer, UPGRADE_STATE_UNUSED, out);
                return;
        }
        if (them->known) {
                offer(engine, peer, out);
                return;
        }
        peer->exchange.outcome = UPGRADE_STATE_NO_ANSWER;
        ask(engine, peer, out);
}

/* ---- What the peer says ------------------------------------------------------------------------------------------ */

static bool rules_out(const struct upgrade_frame *theirs, const struct upgrade_frame *ours)
{
        bool mlkem = ours->header.kem == UPGRADE_KEM_MLKEM768;

        return (mlkem && !(theirs->header.kem & UPGRADE_CAN_MLKEM768)) ||
               (!mlkem && theirs->header.flags & UPGRADE_REQUIRE) ||
               upgrade_choose(ours->header.cost, theirs->header.cost) < 0;
}

enum drop offer_hears_hello(struct engine *engine, struct peer *peer, struct session *parent,
                            const struct upgrade_frame *hello, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        if (shuns(engine, peer)) return DROP_RX_UPGRADE_UNEXPECTED;
        switch (x->state) {
        case EXCHANGE_OFF:
                if (!exporter_there(parent)) return DROP_RX_UPGRADE_UNEXPECTED;
                __attribute__((fallthrough));
        case EXCHANGE_NEW:
        case EXCHANGE_ASKED: offer(engine, peer, out); return DROP_NONE;
        case EXCHANGE_OFFERED:
                if (!rules_out(hello, &x->work->frame)) { /* it is there, and does not know that we have offered */
                        if (x->sends < SENDS_MAX || x->sends >= SENDS_MAX + DRAWN_MAX) return DROP_NONE;
                        x->sends++;
                        exchange_say(peer, UPGRADE_OFFER, out);
                        return DROP_NONE;
                }
                if (x->offers < OFFERS_MAX) offer(engine, peer, out);
                else exchange_off(engine, peer, UPGRADE_STATE_REFUSED, out);
                return DROP_NONE;
        default: return DROP_RX_UPGRADE_UNEXPECTED;
        }
}

/* The peer has accepted: does it open what comes of it? */
static void try_child(struct engine *engine, struct peer *peer, struct effects *out)
{
        exchange_arm(engine, peer);
        transport_empty(engine, peer, peer->sessions.current->child, out);
}

enum drop offer_hears_accept(struct engine *engine, struct peer *peer, struct session *parent,
                             const struct upgrade_frame *accept, struct effects *out)
{
        struct exchange *x = &peer->exchange;
        struct session *child = NULL;
        struct upgrade_keys keys;

        if (x->state != EXCHANGE_OFFERED) return DROP_RX_UPGRADE_UNEXPECTED;
        switch (upgrade_finish(&keys, &parent->keys.exporter, parent->keys.h, &x->work->frame, &x->work->secret,
                               accept)) {
        case UPGRADE_OK: break;
        case UPGRADE_NOT_OFFERED: return DROP_RX_UPGRADE_UNEXPECTED; /* perhaps of an OFFER before this one */
        default: exchange_off(engine, peer, UPGRADE_STATE_REFUSED, out); return DROP_RX_UPGRADE_BAD;
        }
        struct child_terms agreed = {
                .cipher = cipher_find(accept->header.cipher),
                .local_index = le32_get(x->work->frame.header.index),
                .remote_index = le32_get(accept->header.index),
                .mlkem = accept->header.kem == UPGRADE_KEM_MLKEM768,
                .send = keys.i2r,
                .receive = keys.r2i,
        };
        child = sessions_add_child(&engine->store, parent, &agreed);
        sodium_memzero(&keys, sizeof keys);
        sodium_memzero(&agreed, sizeof agreed);
        if (!child) {
                exchange_off(engine, peer, UPGRADE_STATE_NO_ROOM, out);
                return DROP_NONE;
        }
        exporter_wipe(parent);
        exchange_work_give(engine, peer);
        child->sending = parent->sending;
        x->state = EXCHANGE_USING;
        x->sends = 0;
        sender_publish(engine, peer, out);
        try_child(engine, peer, out);
        return DROP_NONE;
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static void asked_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        if (peer->we_require) {
                ask(engine, peer, out);
        } else {
                if (peer->acquaintance.known) exchange_miss(engine, peer, out);
                exchange_off(engine, peer, peer->exchange.outcome, out);
        }
}

/* After the last one it stays, for an ACCEPT that is late, or a HELLO. */
static void offered_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *parent = peer->sessions.current;
        struct exchange *x = &peer->exchange;

        if (x->sends < SENDS_MAX) {
                say_offer(engine, peer, out);
                return;
        }
        if (!x->missed) exchange_miss(engine, peer, out);
        if (peer->we_require && x->sends < FRAMES_MAX) {
                x->sends++;
                exchange_say(peer, UPGRADE_OFFER, out);
                timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + REQUIRE_INTERVAL);
        } else if (engine->now - parent->born < EXPORTER_LIFE) {
                timer_arm(&peer->timers, TIMER_UPGRADE, parent->born + EXPORTER_LIFE);
        } else exchange_off(engine, peer, UPGRADE_STATE_SILENT, out);
}

/* It never answered on the child: something on the way lets only the parent pass, or it was started anew meanwhile.
 * Under auto nothing was sent there, and nothing is lost. */
static void using_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct acquaintance *them = &peer->acquaintance;

        if (peer->exchange.sends < SENDS_MAX) {
                try_child(engine, peer, out);
                return;
        }
        peer->sessions.current->child->sending = false; /* with `require` too: better to wait than to be lost */
        if (++them->misses >= MISSES_MAX) {
                them->misses = 0;
                them->shunned = true;
                them->probed_at = engine->now;
                effect_add(out, EFFECT_UPGRADE_LOST, peer);
        }
        exchange_off(engine, peer, UPGRADE_STATE_UNUSED, out);
        handshake_start(engine, peer, out);
}

void offer_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        switch (peer->exchange.state) {
        case EXCHANGE_ASKED: asked_tick(engine, peer, out); break;
        case EXCHANGE_OFFERED: offered_tick(engine, peer, out); break;
        case EXCHANGE_USING: using_tick(engine, peer, out); break;
        default: break;
        }
}
