/* The sessions of a peer: at most three at a time (paper, 6.3 and 6.6), and of two Adits a child of each
 * (docs/session-upgrade.md).
 *
 *     current   the newest that both have
 *     previous  the one before: packets on their way still arrive
 *     next      we were the responder, and the initiator has not proved with a packet that it has the keys
 *     sender    what user packets go out with: one of those, or a child of theirs (exchange.h); NULL: they wait
 *
 * A child was agreed on inside of the session that is its parent, was born when that was, and goes where it goes. When
 * nobody needs the parent any more the child takes its place.
 *
 * When both sides begin at the same time, both handshakes get through, and each side would send with its own for two
 * minutes, then begin at the same time again. So one of the two yields: see sessions_prefer_current().
 *
 * A session is taken from the store when a handshake is done and given back, wiped, when it leaves these places and no
 * worker can hold it any more (grace.h); one that a packet of the owner's between begin and commit still uses, at that
 * commit. Workers read the places and what is atomic or never changes, mark a `next` as proven and take `sender` away
 * then; only whoever commits the inbound lane touches the window; all else is the owner's. Pure. */
#ifndef DAEMON_PROTO_SESSION_H
#define DAEMON_PROTO_SESSION_H

#include "crypto/cipher.h"
#include "crypto/noise.h"
#include "crypto/replay.h"
#include "daemon/proto/grace.h"
#include "daemon/proto/index.h"
#include "daemon/proto/pool.h"

struct session {
        struct session_keys keys; /* exporter and h are the owner's, for a child; zero when none may come any more */
        const struct cipher *cipher;
        const void *seal_schedule, *open_schedule;
        struct index_entry entry;      /* its peer, and the index it is received by */
        struct session *_Atomic child; /* NULL: none */
        uint32_t remote_index;
        uint32_t users;            /* the owner's packets between begin and commit */
        bool initiator;            /* we began the handshake: it is on us to renew it */
        bool upgraded;             /* it is a child, or was one */
        bool mlkem;                /* there is an ML-KEM secret in its keys */
        bool established;          /* a child that both sides have sent with; the owner's */
        _Atomic bool sending;      /* false: it only receives. A child: the other side is not known to have it yet */
        _Atomic bool said_require; /* the other side said on it that it takes nothing without ML-KEM */
        _Atomic bool proven;       /* a packet came since this was cleared; the first one asks the owner to look */
        _Atomic uint8_t frames;    /* that came on it, of the upgrade */
        uint64_t born;             /* ns */
        _Atomic uint64_t yields_until; /* ns; as `next` it receives, but does not become current before */
        _Atomic uint64_t send_counter; /* of the next packet */
        struct replay window;
        struct retired retired;
};

struct sessions {
        struct session *_Atomic current, *_Atomic previous, *_Atomic next, *_Atomic sender;
};

/* What all peers take theirs from. */
struct session_store {
        struct pool pool, children;
        struct limbo limbo;
        const struct grace *grace;  /* NULL: no workers */
        struct index_table indices; /* of sessions */
        struct index_table pending; /* of pending handshakes: the owner's alone */
};

/* Sessions that may be in use although no peer has them any more. */
enum { SESSIONS_PER_PEER = 3, CHILDREN_PER_PEER = 2, SESSIONS_SPARE = 128 };

size_t session_child_size(void); /* of an item of store.children */

/* Derived at `now` in a handshake that `initiator` says our role of. To `current` if we were the initiator, else to
 * `next`. `local_index` is not in use. NULL, and nothing changed: the store is empty. */
struct session *sessions_begin(struct sessions *sessions, struct session_store *store, struct peer *peer,
                               const struct session_keys *keys, const struct handshake *hs, bool initiator,
                               uint64_t now);
/* A packet proved that the initiator has the keys. True: the session was `next`, and is now `current`. */
bool sessions_confirm(struct sessions *sessions, struct session_store *store, const struct session *session,
                      uint64_t now);
/* For the side whose own handshake is the one that stays: a `next` of the peer's that crossed it yields, for as long as
 * the peer needs to hear of ours. A peer that does not know ours (it restarted) is followed after that. */
void sessions_prefer_current(struct sessions *sessions, uint64_t now);
/* Drops all. True: there was one. */
bool sessions_drop(struct sessions *sessions, struct session_store *store);
/* We have no private key any more: what there is does not send. */
void sessions_expire(struct sessions *sessions);

/* What two Adits agreed on. */
struct child_terms {
        const struct cipher *cipher;
        uint32_t local_index, remote_index;
        bool mlkem;
        struct key send, receive;
};
/* It receives from now on, and does not send before somebody sets `sending`. NULL, and nothing changed: there is no
 * room, or the index is taken. */
struct session *sessions_add_child(struct session_store *store, struct session *parent,
                                   const struct child_terms *terms);
/* Of `session` itself, or its child: what is upgraded. NULL: nothing is; or `session` is NULL. */
struct session *session_upgraded(struct session *session);
/* Both sides have sent with this child. Until when its parent stays. */
uint64_t session_establish(struct session *child, uint64_t now);
/* Established children take the places of their parents, whose time is over. When to call again; UINT64_MAX: not. */
uint64_t sessions_promote(struct sessions *sessions, struct session_store *store, uint64_t now);

bool session_can_send(const struct session *session, uint64_t now); /* NULL: false */
bool session_can_receive(const struct session *session, uint64_t now, uint64_t counter);
/* Is it time for a new one: on sending with it, and on receiving while it is the current one? */
bool session_rekey_on_send(const struct session *session, uint64_t now);    /* NULL: false */
bool sessions_rekey_on_send(const struct sessions *sessions, uint64_t now); /* of the current one, and its child */
bool session_rekey_on_receive(const struct session *session, uint64_t now);

/* Reserves `count` counters from *first on; false, and none: so many are not left. Any thread. */
bool session_reserve(struct session *session, unsigned count, uint64_t *first);

/* Gives back what nobody can hold any more. */
void sessions_reclaim(struct session_store *store);
/* An index that neither a session nor a pending handshake has. */
uint32_t sessions_fresh_index(const struct session_store *store, const struct engine_random *random);

/* Between begin and commit. Of a session that is in none of the three places any more, session_dropped() is true. */
void session_get(struct session *session);
void session_put(struct session *session, struct session_store *store);
bool session_dropped(const struct session *session);

#endif
