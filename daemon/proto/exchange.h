/* The session upgrade with a peer (docs/session-upgrade.md): who says which frame when, and which session user packets
 * go out with meanwhile. What a frame looks like, and the keys, are crypto/upgrade.h's.
 *
 * An exchange is of the peer's current session, its parent, and is forgotten when another becomes current; a child that
 * came of it stays with its parent. `i`: we began the parent's handshake, and only we offer.
 *
 *     i   NEW -> OFFERED -> USING -> ESTABLISHED       a peer that has answered a frame before
 *     i   NEW -> ASKED -> OFFERED ...                  one that has not: first a HELLO, and without an answer no more
 *     r   NEW -> ACCEPTED -> ESTABLISHED
 *     OFF: nothing more is begun under this parent, and `outcome` says why
 *
 * Owner thread only; workers see what comes of it: sessions.sender, session.sending, peer.needs_mlkem. Pure. */
#ifndef DAEMON_PROTO_EXCHANGE_H
#define DAEMON_PROTO_EXCHANGE_H

#include "daemon/proto/drop.h"
#include "daemon/proto/engine.h"

struct work;

enum exchange_state {
        EXCHANGE_NONE, /* there is no session */
        EXCHANGE_NEW,
        EXCHANGE_ASKED,
        EXCHANGE_OFFERED,
        EXCHANGE_USING,
        EXCHANGE_ACCEPTED,
        EXCHANGE_ESTABLISHED,
        EXCHANGE_OFF,
};

/* Frames that are looked at on one parent. More than any exchange has: what a hostile peer can ask for. */
enum { FRAMES_MAX = 16 };

struct exchange {
        uint8_t state;
        uint8_t outcome; /* enum upgrade_state, while nothing better is known */
        uint8_t saying;  /* enum upgrade_type that engine_frame_next() composes; 0: none */
        uint8_t sends;   /* of what is repeated in this state */
        uint8_t offers, hellos;
        bool heard;     /* a frame came on this parent */
        bool holds;     /* the peer drops what comes without ML-KEM: it waits instead */
        bool old_heard; /* the previous session's child: since this parent is current, and in the second before */
        uint32_t rto;   /* ms */
        struct work *work;
};

/* What is known of a peer from one session to the next. */
struct acquaintance {
        bool known;           /* it has sent a frame since we started, and not been silent since */
        bool told;            /* a HELLO said what follows */
        bool mlkem, requires; /* it can and may use ML-KEM; nothing but that */
        uint8_t costs[CIPHER_IDS];
        uint8_t misses; /* exchanges in a row in which it answered no OFFER */
        uint8_t probes; /* sessions in which it was asked, while not known */
        uint8_t waits;  /* handshakes begun for packets that wait for ML-KEM */
        uint64_t probed_at;
};

size_t exchange_work_size(void); /* of an item of engine.works */

/* Another session is current: chooses what user packets go out with. */
void exchange_begin(struct engine *engine, struct peer *peer, struct effects *out);
/* By what our initiation took to be answered, ns: before exchange_begin(). */
void exchange_set_rtt(struct peer *peer, uint64_t rtt);
/* The first words, behind the packet that confirms the parent. */
void exchange_open(struct engine *engine, struct peer *peer, struct effects *out);
/* Sessions are gone. */
void exchange_end(struct engine *engine, struct peer *peer);

/* A frame, authentic, on a session of the peer's; DROP_NONE or a reason, not counted. */
enum drop exchange_receive(struct engine *engine, struct peer *peer, struct session *session, const uint8_t *plain,
                           size_t len, struct effects *out);
/* A child was proven. */
void exchange_proven(struct engine *engine, struct peer *peer, struct effects *out);
/* Timers of the owner's that are due. */
void exchange_tick(struct engine *engine, struct peer *peer, struct effects *out);
/* Composes what is to be said: its length, padded, or 0. */
size_t exchange_frame(struct engine *engine, struct peer *peer, uint8_t frame[FRAME_MAX]);

/* Chooses sessions.sender anew. `out` NULL: what waits for it goes at the next tick. */
void exchange_publish(struct engine *engine, struct peer *peer, struct effects *out);
/* There is a session, and user packets wait all the same, for one with ML-KEM. */
bool exchange_holds(const struct engine *engine, const struct peer *peer);
/* One that waits was staged. */
void exchange_held(struct engine *engine, struct peer *peer);
/* The peer is elsewhere: another one perhaps. */
void exchange_moved(struct peer *peer);
void exchange_set_policy(struct engine *engine, struct peer *peer, const struct upgrade_policy *policy);
enum upgrade_state exchange_status(const struct engine *engine, const struct peer *peer);

#endif
