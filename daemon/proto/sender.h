/* Which session a peer's user packets go out with, the only place that chooses (docs/session-upgrade.md, "What carries
 * user packets"), and what becomes of those that must wait. In order:
 *
 *     the current session's child: once both sides have used it; where ML-KEM is required, as soon as it is there
 *     the child of the one before, while the other side is heard on it and no further session is about to come
 *     nothing, where ML-KEM is required and neither has it: they wait, at most STAGED_MAX
 *     the current session
 *
 * Owner thread; workers read the outcome, sessions.sender. Pure. */
#ifndef DAEMON_PROTO_SENDER_H
#define DAEMON_PROTO_SENDER_H

#include "daemon/proto/state.h"

/* Chooses anew: after each change of what the choice is made from. `out` NULL: packets that may go now do at the next
 * tick. */
void sender_publish(struct engine *engine, struct peer *peer, struct effects *out);
/* There is a session, and user packets must wait all the same. */
bool sender_holds(const struct engine *engine, const struct peer *peer);
/* A packet waits, or one that came was refused, for want of ML-KEM: when that lasts, another handshake is tried. */
void sender_held(struct engine *engine, struct peer *peer);
/* That can only help when the peer changes its mind: with little hope, seldom. */
void sender_expect_little(struct peer *peer);
void sender_held_tick(struct engine *engine, struct peer *peer, struct effects *out);

/* Another session is current. */
void sender_begin(struct engine *engine, struct peer *peer, struct effects *out);
/* A packet came on the child of the one before. */
void sender_old_heard(struct engine *engine, struct peer *peer, struct effects *out);
void sender_old_tick(struct engine *engine, struct peer *peer, struct effects *out);

#endif
