#include "daemon/proto/exchange_role.h"
#include "daemon/proto/handshake.h"

#include <sodium.h>
#include <string.h>

enum {
        AEGIS_OVERHEAD = 96, /* IPv6, UDP, header, tag */
        USUAL_MTU = 1500,
};

static_assert((int)FRAME_MAX == (int)UPGRADE_FRAME_MAX, "the engine's callers have room for a frame");

size_t exchange_work_size(void)
{
        return sizeof(struct exchange_work);
}

/* ---- What both roles do ------------------------------------------------------------------------------------------ */

void exchange_work_give(struct engine *engine, struct peer *peer)
{
        struct exchange *x = &peer->exchange;

        if (x->work) pool_give(&engine->works, x->work, sizeof *x->work);
        x->work = NULL;
}

void exporter_wipe(struct session *parent)
{
        sodium_memzero(&parent->keys.exporter, sizeof parent->keys.exporter);
        sodium_memzero(parent->keys.h, sizeof parent->keys.h);
}

bool exporter_there(const struct session *parent)
{
        return !sodium_is_zero(parent->keys.exporter.bytes, sizeof parent->keys.exporter.bytes);
}

static bool allowed(const struct engine *engine, const struct peer *peer)
{
        return !peer->policy.off && !sodium_is_zero(engine->costs, sizeof engine->costs);
}

/* Without costs: with us nothing can be agreed on. */
struct upgrade_terms exchange_terms(const struct engine *engine, const struct peer *peer)
{
        uint32_t egress = engine->egress_mtu ? engine->egress_mtu : USUAL_MTU;
        struct upgrade_terms ours = { .flags = peer->we_require ? UPGRADE_REQUIRE : 0 };

        if (peer->policy.off) return ours;
        memcpy(ours.costs, engine->costs, sizeof ours.costs);
        if (!engine->mtu || engine->mtu + AEGIS_OVERHEAD > egress) ours.costs[CIPHER_AEGIS_256] = 0;
        return ours;
}

enum upgrade_state exchange_obstacle(const struct engine *engine, const struct peer *peer)
{
        struct upgrade_terms ours = exchange_terms(engine, peer);
        const struct acquaintance *them = &peer->acquaintance;
        bool mlkem = may_both_mlkem(engine, peer);

        if (!mlkem && peer->we_require) return UPGRADE_STATE_PEER_NO_KEM;
        if (!mlkem && peer->they_require) return UPGRADE_STATE_PEER_WANTS_KEM;
        if (them->told && upgrade_choose(ours.costs, them->costs) < 0) return UPGRADE_STATE_NO_CIPHER;
        return UPGRADE_STATE_DONE;
}

void exchange_say(struct peer *peer, enum upgrade_type type, struct effects *out)
{
        peer->exchange.saying = (uint8_t)type;
        effect_add(out, EFFECT_FRAME, peer);
}

size_t exchange_frame(struct engine *engine, struct peer *peer, uint8_t frame[FRAME_MAX])
{
        struct upgrade_terms ours = exchange_terms(engine, peer);
        struct exchange *x = &peer->exchange;
        const struct upgrade_frame *what;
        uint8_t saying = x->saying;
        struct upgrade_frame hello;

        x->saying = 0;
        upgrade_hello(&hello, &ours, may_mlkem(engine, peer) ? UPGRADE_CAN_MLKEM768 : 0);
        what = saying == UPGRADE_HELLO ? &hello : x->work ? &x->work->frame : NULL;
        if (!saying || !what || what->header.type != saying) return 0;
        memcpy(frame, what, upgrade_padded(what));
        return upgrade_padded(what);
}

void exchange_hello(struct peer *peer, struct effects *out)
{
        if (peer->exchange.hellos >= HELLOS_MAX) return;
        peer->exchange.hellos++;
        exchange_say(peer, UPGRADE_HELLO, out);
}

/* Strangers are asked rarely: a HELLO costs a stock peer a line of its log, and both a keepalive. */
static bool probe_due(const struct engine *engine, const struct peer *peer)
{
        const struct acquaintance *them = &peer->acquaintance;

        return peer->we_require || them->known || them->probes < PROBED_SESSIONS ||
               engine->now - them->probed_at >= (them->once ? PROBE_INTERVAL_OLD : PROBE_INTERVAL);
}

bool exchange_probe(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct acquaintance *them = &peer->acquaintance;

        if (!probe_due(engine, peer)) return false;
        if (them->probes < PROBED_SESSIONS) them->probes++;
        them->probed_at = engine->now;
        exchange_hello(peer, out);
        return true;
}

uint64_t exchange_patience(const struct peer *peer)
{
        if (peer->we_require) return REQUIRE_INTERVAL;
        return peer->acquaintance.known ? KNOWN_PATIENCE : EXPORTER_LIFE;
}

void exchange_arm(struct engine *engine, struct peer *peer)
{
        struct exchange *x = &peer->exchange;
        uint64_t ms = (uint64_t)x->rto << x->sends;

        x->sends++;
        timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + MILLISECONDS(ms < RTO_MAX_MS ? ms : RTO_MAX_MS));
}

/* What is there now may be another program. That it required ML-KEM is remembered until the last miss: else dropping
 * a few datagrams would be enough to see what was meant for ML-KEM. */
void exchange_miss(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct acquaintance *them = &peer->acquaintance;

        peer->exchange.missed = true;
        peer->exchange.outcome = UPGRADE_STATE_SILENT;
        if (++them->misses < MISSES_MAX) return;
        *them = (struct acquaintance){ .once = true, .waits = them->waits, .probed_at = engine->now };
        peer->they_require = false;
        effect_add(out, EFFECT_UPGRADE_LOST, peer);
        sender_publish(engine, peer, out);
}

void exchange_off(struct engine *engine, struct peer *peer, enum upgrade_state outcome, struct effects *out)
{
        struct session *parent = peer->sessions.current;
        struct exchange *x = &peer->exchange;

        exchange_work_give(engine, peer);
        x->state = EXCHANGE_OFF;
        x->outcome = (uint8_t)outcome;
        timer_stop(&peer->timers, TIMER_UPGRADE);
        if (x->offers) exporter_wipe(parent);
        else if (exporter_there(parent)) timer_arm(&peer->timers, TIMER_UPGRADE, parent->born + EXPORTER_LIFE);
        sender_publish(engine, peer, out);
}

/* ---- Sessions come and go ---------------------------------------------------------------------------------------- */

void exchange_begin(struct engine *engine, struct peer *peer)
{
        struct session *previous = peer->sessions.previous;
        uint16_t rto = peer->exchange.rto;

        exchange_work_give(engine, peer);
        peer->exchange = (struct exchange){ .state = EXCHANGE_NEW, .outcome = UPGRADE_STATE_PENDING, .rto = rto };
        if (previous) exporter_wipe(previous); /* nothing is agreed on there any more */
        timer_stop(&peer->timers, TIMER_UPGRADE);
}

void exchange_set_rtt(struct peer *peer, uint64_t rtt)
{
        uint64_t ms = 2 * rtt / MILLISECONDS(1);

        peer->exchange.rto = (uint16_t)(ms < RTO_MIN_MS ? RTO_MIN_MS : ms > RTO_MAX_MS ? RTO_MAX_MS : ms);
}

void exchange_responded(struct engine *engine, struct peer *peer)
{
        sender_publish(engine, peer, NULL); /* beside a next one the old child does not serve */
        if (!allowed(engine, peer)) exporter_wipe(peer->sessions.next);
        else if (!timer_armed(&peer->timers, TIMER_PARENT))
                timer_arm(&peer->timers, TIMER_PARENT, engine->now + EXPORTER_LIFE);
}

/* To whom was an Adit until now: else it would have to find out by our silence. */
static void farewell(struct engine *engine, struct peer *peer, struct effects *out)
{
        if (peer->acquaintance.known && peer->policy.off) exchange_hello(peer, out);
        peer->acquaintance = (struct acquaintance){ 0 };
        peer->they_require = false;
        exporter_wipe(peer->sessions.current);
        exchange_off(engine, peer, UPGRADE_STATE_OFF_HERE, out);
}

void exchange_open(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *old = session_upgraded(peer->sessions.previous);

        if (!allowed(engine, peer)) {
                farewell(engine, peer, out);
                return;
        }
        if (!peer->sessions.current->initiator) {
                timer_arm(&peer->timers, TIMER_UPGRADE, engine->now + RESPONDER_PATIENCE);
                return;
        }
        if (session_can_send(old, engine->now)) transport_empty(engine, peer, old, out); /* we still have it */
        offer_begin(engine, peer, out);
}

void exchange_end(struct engine *engine, struct peer *peer)
{
        exchange_work_give(engine, peer);
        peer->exchange = (struct exchange){ .rto = peer->exchange.rto };
        timer_stop(&peer->timers, TIMER_UPGRADE);
        timer_stop(&peer->timers, TIMER_OLD_CHILD);
        timer_stop(&peer->timers, TIMER_HELD);
        timer_stop(&peer->timers, TIMER_PARENT);
        peer->sessions.sender = NULL;
        peer->refused = false;
}

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

static bool is_farewell(const struct upgrade_header *header)
{
        return header->type == UPGRADE_HELLO && !header->kem && sodium_is_zero(header->cost, CIPHER_IDS);
}

/* What each frame tells of its sender. */
static void note(struct peer *peer, struct session *parent, const struct upgrade_header *header)
{
        struct acquaintance *them = &peer->acquaintance;

        them->known = true;
        peer->exchange.heard = true;
        if (!parent->initiator) them->misses = 0; /* of an initiator's, what counts is a child */
        peer->they_require = parent->said_require = header->flags & UPGRADE_REQUIRE;
        if (header->type != UPGRADE_HELLO) return;
        them->told = true;
        them->mlkem = header->kem & UPGRADE_CAN_MLKEM768;
        memcpy(them->costs, header->cost, sizeof them->costs);
}

/* It is WireGuard from now on, and asked as a stranger is that was asked often. */
static void part(struct engine *engine, struct peer *peer, struct effects *out)
{
        peer->acquaintance = (struct acquaintance){ .probes = PROBED_SESSIONS, .probed_at = engine->now };
        peer->they_require = false;
        exchange_off(engine, peer, UPGRADE_STATE_NO_ANSWER, out);
}

static enum drop hear(struct engine *engine, struct peer *peer, struct session *parent,
                      const struct upgrade_frame *frame, struct effects *out)
{
        switch (frame->header.type) {
        case UPGRADE_HELLO:
                return parent->initiator ? offer_hears_hello(engine, peer, parent, frame, out)
                                         : answer_hears_hello(peer, out);
        case UPGRADE_OFFER:
                if (!parent->initiator) return answer_hears_offer(engine, peer, parent, frame, out);
                break;
        case UPGRADE_ACCEPT:
                if (parent->initiator) return offer_hears_accept(engine, peer, parent, frame, out);
                break;
        }
        return DROP_RX_UPGRADE_UNEXPECTED;
}

enum drop exchange_receive(struct engine *engine, struct peer *peer, struct session *session, const uint8_t *plain,
                           size_t len, struct effects *out)
{
        struct upgrade_frame frame;

        if (!allowed(engine, peer)) return DROP_RX_NOT_IP; /* as every WireGuard */
        if (session != peer->sessions.current || session->upgraded) return DROP_RX_UPGRADE_UNEXPECTED;
        if (upgrade_decode(&frame, plain, len) != UPGRADE_OK) return DROP_RX_UPGRADE_BAD;
        if (is_farewell(&frame.header)) {
                part(engine, peer, out);
                return DROP_NONE;
        }
        note(peer, session, &frame.header);
        sender_publish(engine, peer, out);
        return hear(engine, peer, session, &frame, out);
}

void exchange_released(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *current = peer->sessions.current;

        if (!current || current->upgraded || current->said_require) return;
        peer->they_require = false;
        sender_publish(engine, peer, out);
}

/* ---- The child --------------------------------------------------------------------------------------------------- */

static void sooner(struct peer *peer, uint64_t at)
{
        if (at < peer->timers.at[TIMER_PARENT]) timer_arm(&peer->timers, TIMER_PARENT, at);
}

/* Both sides have sent with it. */
static void establish(struct engine *engine, struct peer *peer, struct session *child, struct effects *out)
{
        struct exchange *x = &peer->exchange;

        child->sending = peer->sessions.current->sending; /* not if our private key is another by now */
        exchange_work_give(engine, peer);
        x->state = EXCHANGE_ESTABLISHED;
        x->sends = 0;
        peer->acquaintance.misses = 0;
        peer->acquaintance.shunned = false;
        timer_stop(&peer->timers, TIMER_UPGRADE);
        sooner(peer, session_establish(child, engine->now));
        effect_add(out, EFFECT_UPGRADED, peer);
        sender_publish(engine, peer, out);
}

void exchange_proven(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *current = peer->sessions.current, *child = current ? current->child : NULL;
        uint8_t state = peer->exchange.state;

        if (child && child->proven) {
                if (state == EXCHANGE_USING || state == EXCHANGE_ACCEPTED) establish(engine, peer, child, out);
                if (state == EXCHANGE_ACCEPTED || (state == EXCHANGE_ESTABLISHED && !child->initiator))
                        answer_reassure(engine, peer, child, out);
        }
        if (current) sender_old_heard(engine, peer, out);
}

/* Those whose children do without them go; and a responder's that was never confirmed forgets what an upgrade needs. */
static void parents_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *next = peer->sessions.next;

        sooner(peer, sessions_promote(&peer->sessions, &engine->store, engine->now));
        sender_publish(engine, peer, out);
        if (!next || !exporter_there(next)) return;
        if (engine->now - next->born >= EXPORTER_LIFE) exporter_wipe(next);
        else sooner(peer, next->born + EXPORTER_LIFE);
}

/* ---- Time -------------------------------------------------------------------------------------------------------- */

static void step(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *parent = peer->sessions.current;
        struct exchange *x = &peer->exchange;

        if (!parent || parent->upgraded) return;
        if (engine->now - parent->born >= EXPORTER_LIFE && !peer->we_require) {
                exporter_wipe(parent);
                if (x->state == EXCHANGE_OFFERED) exchange_off(engine, peer, UPGRADE_STATE_SILENT, out);
                if (x->state < EXCHANGE_OFFERED) exchange_off(engine, peer, x->outcome, out);
        }
        (parent->initiator ? offer_tick : answer_tick)(engine, peer, out);
}

void exchange_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct timers *timers = &peer->timers;

        if (timer_take(timers, TIMER_UPGRADE, engine->now)) step(engine, peer, out);
        if (timer_take(timers, TIMER_OLD_CHILD, engine->now)) sender_old_tick(engine, peer, out);
        if (timer_take(timers, TIMER_PARENT, engine->now)) parents_tick(engine, peer, out);
        if (!timer_take(timers, TIMER_HELD, engine->now)) return;
        if (peer->exchange.renew) {
                peer->exchange.renew = false;
                handshake_start(engine, peer, out);
        }
        sender_held_tick(engine, peer, out);
}

/* ---- Configuration and status ------------------------------------------------------------------------------------ */

bool exchange_under_way(const struct peer *peer)
{
        const struct exchange *x = &peer->exchange;

        return (x->state == EXCHANGE_OFFERED && x->sends < SENDS_MAX) || x->state == EXCHANGE_USING;
}

void exchange_moved(struct peer *peer)
{
        struct acquaintance *them = &peer->acquaintance;

        them->shunned = them->once = false;
        if (!them->known && them->probes == PROBED_SESSIONS) them->probes--;
}

/* What is being said is said no more. */
static void hush(struct engine *engine, struct peer *peer)
{
        struct exchange *x = &peer->exchange;

        x->saying = 0;
        if (x->state >= EXCHANGE_NEW && x->state <= EXCHANGE_OFFERED)
                exchange_off(engine, peer, UPGRADE_STATE_OFF_HERE, NULL);
}

/* Whatever was agreed on is agreed on anew. */
void exchange_set_policy(struct engine *engine, struct peer *peer, const struct upgrade_policy *policy)
{
        if (peer->policy.off == policy->off && peer->policy.post_quantum == policy->post_quantum) return;
        peer->policy = *policy;
        peer->we_require = policy->post_quantum == POST_QUANTUM_REQUIRE;
        exchange_moved(peer);
        if (policy->off) hush(engine, peer);
        sender_publish(engine, peer, NULL);
        if (!peer->sessions.current) return;
        peer->exchange.renew = true;
        timer_arm(&peer->timers, TIMER_HELD, engine->now);
}

enum upgrade_state exchange_status(const struct engine *engine, const struct peer *peer)
{
        struct session *current = peer->sessions.current, *child = session_upgraded(current);

        if (!session_can_send(current, engine->now)) return UPGRADE_STATE_NONE;
        if (session_can_send(child, engine->now) && child->established && (child->mlkem || !peer->we_require))
                return UPGRADE_STATE_DONE;
        return peer->policy.off ? UPGRADE_STATE_OFF_HERE : peer->exchange.outcome;
}
