/* Between the parts of an exchange: what both roles do (exchange.c), the initiator's steps (offer.c) and the
 * responder's (answer.c). */
#ifndef DAEMON_PROTO_EXCHANGE_ROLE_H
#define DAEMON_PROTO_EXCHANGE_ROLE_H

#include "crypto/upgrade.h"
#include "daemon/proto/sender.h"
#include "daemon/proto/state.h"
#include "daemon/proto/transport.h"

/* docs/session-upgrade.md, "Who says what when". */
enum {
        SENDS_MAX = 5,
        MISSES_MAX = 3,
        HELLOS_MAX = 5,
        PROBED_SESSIONS = 3,
        OFFERS_MAX = 2,
        DRAWN_MAX = 2, /* times that a HELLO draws an OFFER again, which is 19 times as long */
        RTO_MIN_MS = 100,
        RTO_MAX_MS = 1000, /* of the first and of every later one: 5 sends take 5 s at most */
};
#define PROBE_INTERVAL     SECONDS(3600)
#define PROBE_INTERVAL_OLD SECONDS(600) /* of what was an Adit */
#define RESPONDER_PATIENCE SECONDS(1)
#define KNOWN_PATIENCE     SECONDS(3)
#define REQUIRE_INTERVAL   SECONDS(5)
#define EXPORTER_LIFE      SECONDS(40)

/* What an exchange needs until it is done. */
struct exchange_work {
        struct upgrade_frame frame;     /* our OFFER or ACCEPT: said again, it is the same */
        struct mlkem_secret secret;     /* of the OFFER */
        uint8_t answered[KDF_HASH_LEN]; /* hash of the OFFER that the ACCEPT answers */
};

static inline bool may_mlkem(const struct engine *engine, const struct peer *peer)
{
        return engine->mlkem && !peer->policy.off && peer->policy.post_quantum != POST_QUANTUM_OFF;
}

/* By what the peer last said of itself, if it did. */
static inline bool may_both_mlkem(const struct engine *engine, const struct peer *peer)
{
        const struct acquaintance *them = &peer->acquaintance;

        return may_mlkem(engine, peer) && (!them->told || them->mlkem);
}

struct upgrade_terms exchange_terms(const struct engine *engine, const struct peer *peer);
/* Why no OFFER could be good for both; DONE: one could. */
enum upgrade_state exchange_obstacle(const struct engine *engine, const struct peer *peer);
void exchange_work_give(struct engine *engine, struct peer *peer);

void exchange_say(struct peer *peer, enum upgrade_type type, struct effects *out);
void exchange_hello(struct peer *peer, struct effects *out); /* HELLOS_MAX on one parent */
/* A HELLO, unless it is a stranger that was asked often: false. */
bool exchange_probe(struct engine *engine, struct peer *peer, struct effects *out);
/* How long it is waited for an answer to a HELLO: of a stranger until it is too late; where packets may wait, not. */
uint64_t exchange_patience(const struct peer *peer);
/* When what is repeated is due again, doubling. */
void exchange_arm(struct engine *engine, struct peer *peer);

/* Nothing came of a session with what was an Adit. Once for each. */
void exchange_miss(struct engine *engine, struct peer *peer, struct effects *out);
/* Nothing more is begun under this parent; the peer's first HELLO is answered all the same, for a while. */
void exchange_off(struct engine *engine, struct peer *peer, enum upgrade_state outcome, struct effects *out);
void exporter_wipe(struct session *parent);
bool exporter_there(const struct session *parent);

/* ---- The initiator's: offer.c ------------------------------------------------------------------------------------ */

void offer_begin(struct engine *engine, struct peer *peer, struct effects *out);
enum drop offer_hears_hello(struct engine *engine, struct peer *peer, struct session *parent,
                            const struct upgrade_frame *hello, struct effects *out);
enum drop offer_hears_accept(struct engine *engine, struct peer *peer, struct session *parent,
                             const struct upgrade_frame *accept, struct effects *out);
void offer_tick(struct engine *engine, struct peer *peer, struct effects *out);

/* ---- The responder's: answer.c ----------------------------------------------------------------------------------- */

enum drop answer_hears_offer(struct engine *engine, struct peer *peer, struct session *parent,
                             const struct upgrade_frame *offer, struct effects *out);
enum drop answer_hears_hello(struct peer *peer, struct effects *out);
/* Of a child that the initiator uses. */
void answer_reassure(struct engine *engine, struct peer *peer, struct session *child, struct effects *out);
void answer_tick(struct engine *engine, struct peer *peer, struct effects *out);

#endif
