/* The timers of a peer (paper, section 6) and the queue of the peers whose timer is next. Pure: what a timer does when
 * it is due is in engine.c; here is when each is armed, moved and stopped.
 *
 * Events of every packet only ever move a deadline to later: the queue then keeps the earlier one, and when that is
 * due it is looked at anew. So a packet costs no reordering, and timers_deadline() may be early, never late.
 *
 * The queue is the owner's. Workers arm and stop a peer's timers, but cannot move the peer in the queue: where one of
 * theirs is due before that, they are told, and have the owner call timers_requeue(). */
#ifndef DAEMON_PROTO_TIMERS_H
#define DAEMON_PROTO_TIMERS_H

#include "crypto/replay.h" /* REJECT_AFTER_MESSAGES */
#include "daemon/proto/heap.h"

#include <stdbool.h>

struct engine_random;

#define SECONDS(n)      ((uint64_t)(n)*1000000000)
#define MILLISECONDS(n) ((uint64_t)(n)*1000000)

/* Paper, 6.1. Times in nanoseconds. */
#define REKEY_AFTER_MESSAGES          (UINT64_C(1) << 60)
#define REKEY_AFTER_TIME              SECONDS(120)
#define REJECT_AFTER_TIME             SECONDS(180)
#define REKEY_ATTEMPT_TIME            SECONDS(90)
#define REKEY_TIMEOUT                 SECONDS(5)
#define REKEY_TIMEOUT_JITTER          MILLISECONDS(333) /* at most */
#define KEEPALIVE_TIMEOUT             SECONDS(10)
#define ERASE_KEYS_TIME               (3 * REJECT_AFTER_TIME)
#define HANDSHAKE_INITIATION_INTERVAL MILLISECONDS(20) /* a peer's initiations are taken 50 times a second */

/* Of a session with AES-256-GCM (docs/session-upgrade.md, "The child session"). */
#define AES_GCM_REKEY_AFTER_MESSAGES  (UINT64_C(1) << 32)
#define AES_GCM_REJECT_AFTER_MESSAGES (UINT64_C(1) << 34)

/* An initiator that only receives has no packet to renew its session with: it does so this long after its start. */
#define REKEY_ON_RECEIVE_TIME (REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT)

enum timer {
        TIMER_RETRANSMIT_HANDSHAKE, /* no response to our initiation */
        TIMER_SEND_KEEPALIVE,       /* received data, sent nothing */
        TIMER_NEW_HANDSHAKE,        /* sent data, heard nothing */
        TIMER_ERASE_KEYS,           /* no new session for so long */
        TIMER_PERSISTENT_KEEPALIVE, /* nothing went either way */
        TIMER_UPGRADE,              /* the upgrade's next step (exchange.h); these four are the owner's alone */
        TIMER_OLD_CHILD,            /* is the previous session's child still heard? */
        TIMER_HELD,                 /* packets wait for a session that may carry them */
        TIMER_PARENT,               /* parents of established children may go */
        TIMER_COUNT,
};

/* One per engine. While it does not run (the link is down) no timer can be armed. */
struct timer_queue {
        struct heap heap;
        const struct engine_random *random;
        _Atomic bool running;
};

/* One per peer. */
struct timers {
        _Atomic uint64_t at[TIMER_COUNT]; /* UINT64_MAX: not armed */
        _Atomic uint64_t queued;          /* item.at, for workers; UINT64_MAX: not in the queue */
        _Atomic uint64_t persistent;      /* interval, ns; 0: off */
        _Atomic uint64_t jitter;          /* of TIMER_NEW_HANDSHAKE, until the next handshake */
        _Atomic bool another_keepalive;   /* more data came while TIMER_SEND_KEEPALIVE was armed */
        struct timer_queue *queue;
        struct heap_item item;
};

void timers_init(struct timers *timers, struct timer_queue *queue);
void timers_stop(struct timers *timers); /* all of them */

void timer_arm(struct timers *timers, enum timer timer, uint64_t at);
void timer_stop(struct timers *timers, enum timer timer);
bool timer_armed(const struct timers *timers, enum timer timer);
bool timer_take(struct timers *timers, enum timer timer, uint64_t now); /* true: it was due, and is stopped */
uint64_t timer_jitter(const struct timers *timers);                     /* 0 to REKEY_TIMEOUT_JITTER */

uint64_t timers_deadline(const struct timer_queue *queue);                /* UINT64_MAX: none */
struct timers *timers_due(const struct timer_queue *queue, uint64_t now); /* NULL: none is */
void timers_requeue(struct timers *timers);                               /* after the due ones were taken */

/* The events, of authenticated packets only. Data is what is not empty: keepalives answer no keepalives. */
/* Any thread. True: the owner must call timers_requeue(). */
bool timers_note_sent(struct timers *timers, uint64_t now, bool data);
bool timers_note_received(struct timers *timers, uint64_t now, bool data);
/* The owner. */
void timers_any_packet_sent(struct timers *timers, uint64_t now); /* data, keepalive or handshake message */
void timers_any_packet_received(struct timers *timers, uint64_t now);
void timers_handshake_initiated(struct timers *timers, uint64_t now);
void timers_handshake_complete(struct timers *timers);
void timers_session_derived(struct timers *timers, uint64_t now);

#endif
