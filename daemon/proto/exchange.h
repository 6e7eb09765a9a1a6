/* The session upgrade with a peer: who says which frame when (docs/session-upgrade.md). What a frame looks like, and
 * the keys, are crypto/upgrade.h's; which session user packets go out with meanwhile is sender.h's.
 *
 * An exchange is of the peer's current session, its parent, and is forgotten when another becomes current; a child that
 * came of it stays with its parent. Only the initiator of the parent's handshake offers.
 *
 *     initiator   NEW -> OFFERED -> USING -> ESTABLISHED       with a peer that has answered a frame before
 *                 NEW -> ASKED -> OFFERED ...                  with a stranger: a HELLO, and without an answer no more
 *     responder   NEW -> ACCEPTED -> ESTABLISHED
 *     OFF: nothing more is begun under this parent, and `outcome` says why
 *
 * Owner thread. What workers see of it: session.sending, peer.we_require, peer.they_require. Pure. */
#ifndef DAEMON_PROTO_EXCHANGE_H
#define DAEMON_PROTO_EXCHANGE_H

#include "daemon/proto/drop.h"
#include "daemon/proto/engine.h"

struct exchange_work;

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

/* Frames of one parent that are looked at: more than any exchange has, and what a hostile peer can ask for. */
enum { FRAMES_MAX = 16 };

struct exchange {
        uint8_t state;
        uint8_t outcome; /* enum upgrade_state, while nothing better is known */
        uint8_t saying;  /* enum upgrade_type that engine_frame_next() composes; 0: none */
        uint8_t sends;   /* of what is repeated in this state */
        uint8_t offers, hellos;
        bool heard;     /* a frame came on this parent */
        bool missed;    /* it was counted that none did, or no ACCEPT */
        bool renew;     /* TIMER_HELD begins a handshake whatever waits */
        bool old_heard; /* sender.h: the child of the session before may be used, for now */
        bool old_told;  /* and a packet on it has been seen since this parent is current */
        uint16_t rto;   /* ms */
        struct exchange_work *work;
};

/* What is known of a peer from one session to the next. */
struct acquaintance {
        bool known;   /* it has sent a frame since we started, and has not gone silent since */
        bool once;    /* it was known before */
        bool shunned; /* it agrees to what it then does not use: none is offered for PROBE_INTERVAL */
        bool told;    /* a HELLO said what follows */
        bool mlkem;   /* that it can and may use ML-KEM */
        uint8_t costs[CIPHER_IDS];
        uint8_t misses; /* exchanges in a row in which it did not answer */
        uint8_t probes; /* sessions in which it was asked, while not known */
        uint8_t waits;  /* of sender.h's patience with what waits */
        uint64_t probed_at;
};

size_t exchange_work_size(void); /* of an item of engine.works */

/* sessions.next was begun: what it holds for an upgrade it does not hold for ever. */
void exchange_responded(struct engine *engine, struct peer *peer);
/* Another session is current: before anything is sent on it. */
void exchange_begin(struct engine *engine, struct peer *peer);
/* By what our initiation took to be answered, ns: before exchange_begin(). */
void exchange_set_rtt(struct peer *peer, uint64_t rtt);
/* The first words, behind the packet that confirms the parent. */
void exchange_open(struct engine *engine, struct peer *peer, struct effects *out);
/* Sessions are gone. */
void exchange_end(struct engine *engine, struct peer *peer);

/* A frame, authentic, on a session of the peer's; DROP_NONE or a reason, not counted. */
enum drop exchange_receive(struct engine *engine, struct peer *peer, struct session *session, const uint8_t *plain,
                           size_t len, struct effects *out);
/* A session of the peer's was proven: perhaps a child. */
void exchange_proven(struct engine *engine, struct peer *peer, struct effects *out);
/* A user packet came where one that requires ML-KEM would send none. */
void exchange_released(struct engine *engine, struct peer *peer, struct effects *out);
/* Timers of the owner's that are due. */
void exchange_tick(struct engine *engine, struct peer *peer, struct effects *out);
/* Composes what is to be said: its length, padded, or 0. */
size_t exchange_frame(struct engine *engine, struct peer *peer, uint8_t frame[FRAME_MAX]);

/* It may be done in a moment. */
bool exchange_under_way(const struct peer *peer);
/* The peer is elsewhere: another one perhaps. */
void exchange_moved(struct peer *peer);
void exchange_set_policy(struct engine *engine, struct peer *peer, const struct upgrade_policy *policy);
enum upgrade_state exchange_status(const struct engine *engine, const struct peer *peer);

#endif
