#include "daemon/proto/sender.h"
#include "daemon/proto/handshake.h"
#include "daemon/proto/transport.h"

#define OLD_CHILD_INTERVAL SECONDS(1)
#define OLD_CHILD_LIFE     SECONDS(5) /* under auto: by then the new one should have a child, or never will */
#define HELD_MIN           SECONDS(5)
#define HELD_MAX           SECONDS(120)
#define RESPONDER_WAITS    SECONDS(3)      /* longer: so that not both begin */
enum { WAITS_MAX = 5, WAITS_PATIENT = 4 }; /* 5, 10, 20, 40 s, and at the end of them what waits is dropped */

/* ---- The choice -------------------------------------------------------------------------------------------------- */

/* Before the other side was heard on it, a child carries user packets only where nothing else may. */
static bool serves(const struct session *child, bool mlkem, uint64_t now)
{
        return session_can_send(child, now) && (mlkem ? child->mlkem : child->established);
}

static struct session *choose(const struct engine *engine, const struct peer *peer)
{
        struct session *current = peer->sessions.current, *old = session_upgraded(peer->sessions.previous);
        struct session *child = session_upgraded(current);
        bool mlkem = peer->we_require || peer->they_require;

        if (!current) return NULL;
        if (serves(child, mlkem, engine->now)) return child;
        if (peer->exchange.old_heard && !peer->sessions.next && serves(old, mlkem, engine->now) &&
            (peer->we_require || engine->now - current->born < OLD_CHILD_LIFE))
                return old;
        return mlkem ? NULL : current;
}

void sender_publish(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *sender = choose(engine, peer), *before = peer->sessions.sender;

        peer->sessions.sender = sender;
        if (peer->staged.count && sender_holds(engine, peer)) sender_held(engine, peer);
        if (sender == before || !session_can_send(sender, engine->now)) return;
        peer->acquaintance.waits = 0;
        if (!peer->staged.count) return;
        if (out) effect_add(out, EFFECT_FLUSH, peer);
        else timer_arm(&peer->timers, TIMER_HELD, engine->now);
}

/* ---- What waits -------------------------------------------------------------------------------------------------- */

bool sender_holds(const struct engine *engine, const struct peer *peer)
{
        return !peer->sessions.sender && session_can_send(peer->sessions.current, engine->now);
}

static void wait(struct engine *engine, struct peer *peer)
{
        uint64_t time = HELD_MIN << peer->acquaintance.waits;

        if (time > HELD_MAX) time = HELD_MAX;
        if (peer->sessions.current && !peer->sessions.current->initiator) time += RESPONDER_WAITS;
        timer_arm(&peer->timers, TIMER_HELD, engine->now + time + timer_jitter(&peer->timers));
}

void sender_held(struct engine *engine, struct peer *peer)
{
        if (!timer_armed(&peer->timers, TIMER_HELD)) wait(engine, peer);
}

void sender_expect_little(struct peer *peer)
{
        peer->acquaintance.waits = WAITS_MAX;
}

/* What waits has waited for long: perhaps another session has better luck. But it is not kept for hours. */
void sender_held_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct acquaintance *them = &peer->acquaintance;
        bool refused = peer->refused;

        peer->refused = false;
        sender_publish(engine, peer, NULL);
        if (!sender_holds(engine, peer)) {
                timer_stop(&peer->timers, TIMER_HELD);
                if (peer->staged.count) effect_add(out, EFFECT_FLUSH, peer);
                if (!refused || session_upgraded(peer->sessions.current)) return;
        } else if (!peer->staged.count && !refused) return;

        effect_add(out, EFFECT_HELD, peer);
        if (!exchange_under_way(peer)) handshake_start(engine, peer, out);
        if (them->waits >= WAITS_PATIENT) peer_drop_staged(engine, peer, DROP_TX_NOT_POST_QUANTUM);
        if (them->waits < WAITS_MAX) them->waits++;
        wait(engine, peer);
}

/* ---- The child of the session before ----------------------------------------------------------------------------- */

/* A peer that was started anew does not have it: it has to be heard there first. Where nothing else may carry what is
 * required, it is taken for there, for a moment. */
void sender_begin(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *old = session_upgraded(peer->sessions.previous);

        timer_stop(&peer->timers, TIMER_OLD_CHILD);
        peer->exchange.old_heard = old && peer->we_require;
        if (old && peer->sessions.current->initiator) old->proven = false; /* else a worker did: turn_to_next() */
        if (peer->exchange.old_heard) timer_arm(&peer->timers, TIMER_OLD_CHILD, engine->now + OLD_CHILD_INTERVAL);
        sender_publish(engine, peer, out);
}

void sender_old_heard(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *old = session_upgraded(peer->sessions.previous);
        struct exchange *x = &peer->exchange;

        if (!old || !old->proven || !old->sending || x->old_told) return;
        x->old_heard = x->old_told = true;
        timer_arm(&peer->timers, TIMER_OLD_CHILD, engine->now + OLD_CHILD_INTERVAL);
        if (!peer->sessions.current->initiator) transport_empty(engine, peer, old, out); /* we have it, too */
        sender_publish(engine, peer, out);
}

/* A second has passed since it was last looked at: `proven` says whether it was heard meanwhile. */
void sender_old_tick(struct engine *engine, struct peer *peer, struct effects *out)
{
        struct session *old = session_upgraded(peer->sessions.previous);
        struct exchange *x = &peer->exchange;

        x->old_heard = x->old_heard && old && old->proven;
        if (old) old->proven = false;
        sender_publish(engine, peer, out);
        if (peer->sessions.sender != old)
                x->old_heard = false; /* nor later: nobody looks any more whether it is heard */
        if (x->old_heard) timer_arm(&peer->timers, TIMER_OLD_CHILD, engine->now + OLD_CHILD_INTERVAL);
}
