/* The protocol engine: WireGuard's peers, sessions, timers, allowed IPs and defences as one state machine (WireGuard
 * paper, sections 5 and 6). Pure: no socket, no clock, no log, no malloc. Time, randomness and bytes come in; verdicts
 * and effects go out; engine_deadline() says when it wants to be called again.
 *
 * Invariants
 * - No state changes and no byte is answered before a message authenticated. The cookie reply under load is the one
 *   exception the protocol makes; it is never longer than what drew it.
 * - Every packet that is not delivered is counted under one reason (drop.h).
 * - A configuration call either succeeds or changes nothing.
 *
 * Units: `now` is CLOCK_BOOTTIME, `wall` CLOCK_REALTIME since the epoch, both in nanoseconds; lengths are bytes.
 * Ownership: everything lies in the memory given to engine_new(). A peer pointer is valid until engine_peer_remove().
 * Callers: one thread, the owner; nothing may be removed while a begin of its own is not committed. Beside it workers,
 * any number of threads, move the packets of established sessions by the calls of worker.h, inside of engine_enter()
 * and engine_leave(); tx_seal() and rx_open() are anybody's. */
#ifndef DAEMON_PROTO_ENGINE_H
#define DAEMON_PROTO_ENGINE_H

#include "crypto/cipher.h"
#include "crypto/key.h"
#include "daemon/proto/drop.h"
#include "daemon/proto/grace.h"
#include "kernel-iface/types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct peer;
struct session;

enum {
        DATA_HEADER_LEN = 16,   /* type, receiver index, counter (paper 5.4.6) */
        DATA_OVERHEAD = 32,     /* header and tag of a handshake's session */
        DATA_OVERHEAD_MAX = 48, /* of any: an upgraded one may have a longer tag */
        PACKET_PADDING = 16,    /* plaintext is padded to a multiple of this, but not past the MTU */
        STAGED_MAX = 128,       /* packets that wait for a handshake, per peer; the oldest is dropped */
        EFFECTS_MAX = 48,
        FRAME_MAX = 1200,   /* of the session upgrade (crypto/upgrade.h) */
        EFFECT_BYTES = 148, /* the longest message the engine itself composes: an initiation */
};

/* Fills `bytes` with random ones. Called by the owner. */
struct engine_random {
        void (*fill)(void *context, void *bytes, size_t len);
        void *context;
};

struct engine_config {
        uint32_t max_peers; /* both bound the memory that is used, see engine_memory() */
        uint32_t max_prefixes;
        uint32_t max_staged;  /* packets staged in all, of all peers */
        uint32_t staged_size; /* bytes of the largest packet that can be staged */
};

/* Bytes engine_new() wants for a config: an upper bound, of which only what is used is ever touched. */
size_t engine_memory(const struct engine_config *config);

/* NULL if `memory` (16-byte aligned, zeroed, e.g. fresh mmap) is smaller than engine_memory(). */
struct engine *engine_new(void *memory, size_t size, const struct engine_config *config,
                          const struct engine_random *random, uint64_t now);

/* What the user wants of a session upgrade with a peer. Zeroed, it is the default. */
enum post_quantum { POST_QUANTUM_AUTO, POST_QUANTUM_REQUIRE, POST_QUANTUM_OFF };
struct upgrade_policy {
        bool off; /* then nothing but WireGuard; not together with POST_QUANTUM_REQUIRE */
        uint8_t post_quantum;
};

/* ---- What comes out ---------------------------------------------------------------------------------------------- */

enum effect_type {
        EFFECT_SEND,  /* send `bytes` to `to`: a handshake message, cookie reply or keepalive, complete and encrypted */
        EFFECT_FLUSH, /* take the peer's staged packets with engine_staged_next() and send them */
        EFFECT_FRAME, /* compose what is to be said about an upgrade with engine_frame_next() and send it */
        EFFECT_SESSION_UP,   /* a handshake of the peer completed */
        EFFECT_SESSION_DOWN, /* its last session is gone */
        EFFECT_UNANSWERED,   /* handshakes stay unanswered: once per third of REKEY_ATTEMPT_TIME, to ask a name anew */
        EFFECT_GAVE_UP,      /* REKEY_ATTEMPT_TIME is over; staged packets were dropped */
        EFFECT_UPGRADED,     /* and the session that came of it was upgraded: engine_peer_status() says to what */
        EFFECT_HELD,         /* user packets wait for ML-KEM, or are refused without: engine_peer_status() says why */
        EFFECT_UPGRADE_LOST, /* what was an Adit answers no offers any more: perhaps somebody on the way drops them */
        EFFECT_ROAMED,       /* the peer's endpoint is now another */
};

struct effect {
        enum effect_type type;
        struct peer *peer;  /* NULL for a cookie reply */
        struct endpoint to; /* of SEND */
        size_t len;
        uint8_t bytes[EFFECT_BYTES];
};

/* Filled by a call, emptied by the caller (count = 0) before the next. No call adds more than fits: engine_tick()
 * stops when it is full and the deadline stays due. */
struct effects {
        unsigned count;
        struct effect list[EFFECTS_MAX];
};

/* When engine_tick() must be called at the latest; UINT64_MAX: never. Ask after each call into the engine. */
uint64_t engine_deadline(const struct engine *engine);

/* `wall` feeds TAI64N, which never goes back: max(wall, last sent + 1). Kept for the handshakes sent until the next
 * tick or rx/tx call. */
void engine_tick(struct engine *engine, uint64_t now, uint64_t wall, struct effects *out);

/* ---- Outbound: begin, seal, commit ------------------------------------------------------------------------------- */

struct tx {
        struct peer *peer;
        struct session *session;
        uint64_t counter;
        size_t plain_len; /* with padding */
        size_t len;       /* of the datagram: plain_len, header and tag */
        bool staged;      /* by engine_staged_next() */
        bool frame;       /* by engine_frame_next() */
        struct endpoint to;
};

/* Routes an inner packet, picks the session and reserves a counter. True: seal it, send it, commit it. False: it was
 * staged (*reason is DROP_NONE, a handshake may be in `out`) or dropped and counted (*reason). */
bool engine_tx_begin(struct engine *engine, uint64_t now, uint64_t wall, const uint8_t *packet, size_t len,
                     struct tx *tx, enum drop *reason, struct effects *out);

/* Writes tx->len bytes at `datagram`. `packet` must have PACKET_PADDING writable bytes after its end. They may not
 * overlap, but packet == datagram + DATA_HEADER_LEN is allowed. */
void tx_seal(const struct tx *tx, uint8_t *datagram, uint8_t *packet, size_t len);

/* The datagram went out, or the kernel refused it (sent = false: timers are not touched). May start a rekey. */
void engine_tx_commit(struct engine *engine, uint64_t now, uint64_t wall, const struct tx *tx, bool sent,
                      struct effects *out);

/* After EFFECT_FLUSH: seals the peer's next staged packet into `datagram` (capacity staged_size + DATA_OVERHEAD_MAX +
 * PACKET_PADDING). The caller sends tx->len bytes to tx->to and commits tx. False: there are no more. */
bool engine_staged_next(struct engine *engine, uint64_t now, struct peer *peer, struct tx *tx, uint8_t *datagram);
/* After EFFECT_FRAME: the same, with capacity FRAME_MAX + DATA_OVERHEAD; once. */
bool engine_frame_next(struct engine *engine, uint64_t now, struct peer *peer, struct tx *tx, uint8_t *datagram);

/* ---- Inbound: begin, open, commit -------------------------------------------------------------------------------- */

struct rx {
        struct peer *peer;
        struct session *session;
        uint64_t counter;
        uint8_t *plain; /* inside the datagram, once it is open */
        size_t plain_len;
        size_t datagram_len;
};

/* True: a data message of a known session: open it, then commit it. False: it was a handshake message or cookie reply
 * and is dealt with (*reason is DROP_NONE), or was dropped and counted (*reason). */
bool engine_rx_begin(struct engine *engine, uint64_t now, uint64_t wall, uint8_t *datagram, size_t len,
                     const struct endpoint *from, struct rx *rx, enum drop *reason, struct effects *out);

/* Decrypts in place. False: it did not authenticate, and the plaintext was never released. Changes nothing but the
 * bytes. */
bool rx_open(struct rx *rx);

/* The commit step: replay window, session confirmation, roaming, timers, keepalive, inner source. True: deliver
 * rx->plain[0, *deliver_len). False: nothing to deliver: a keepalive (*reason is DROP_NONE), or dropped and counted.
 * `opened` is what rx_open() said. */
bool engine_rx_commit(struct engine *engine, uint64_t now, uint64_t wall, const struct rx *rx, bool opened,
                      const struct endpoint *from, size_t *deliver_len, enum drop *reason, struct effects *out);

/* ---- Workers ----------------------------------------------------------------------------------------------------- */

/* Takes the next ticket of the lane. Until it is given back, what a worker finds is there. */
uint64_t engine_enter(struct engine *engine, enum lane_id lane);
/* Gives the oldest one back: tickets of a lane are given back in their order. */
void engine_leave(struct engine *engine, enum lane_id lane);
uint64_t engine_entered(const struct engine *engine, enum lane_id lane); /* how many were taken */
uint64_t engine_left(const struct engine *engine, enum lane_id lane);    /* and given back */

/* The owner: does what workers asked for, as far as `out` has room. True: there is more. */
bool engine_attend(struct engine *engine, uint64_t now, uint64_t wall, struct effects *out);
/* A frame that worker_accept() left to the owner: what `plain` says, on the session that is received by `index`. */
void engine_frame_receive(struct engine *engine, uint64_t now, uint64_t wall, struct peer *peer, uint32_t index,
                          const uint8_t *plain, size_t len, struct effects *out);
/* A packet that worker_route() left to the owner is dealt with: it was sent, staged or dropped. */
void engine_waited(struct peer *peer);
/* Frees what workers can hold no more. Call it when what workers handed over has been dealt with, and again soon while
 * it is true: something still waits. */
bool engine_reclaim(struct engine *engine);

/* ---- Configuration: each call succeeds or changes nothing -------------------------------------------------------- */

/* Zero key: none (nothing is sent or answered, live sessions expire). Removes the peer with the matching public key.
 * Live sessions carry on until handshakes with the new key, which begin at once, are through. */
void engine_set_private_key(struct engine *engine, uint64_t now, const struct key *private_key);
bool engine_private_key(const struct engine *engine, struct key *private_key, struct key *public_key); /* false: none */

/* Down: sessions and staged packets are dropped. Up: persistent keepalives begin at the next tick. */
void engine_set_up(struct engine *engine, uint64_t now, bool up);
void engine_set_mtu(struct engine *engine, uint32_t mtu);        /* of the TUN: bounds the padding */
void engine_set_egress_mtu(struct engine *engine, uint32_t mtu); /* of the way to the peers; 0: not known, 1500 */

/* What this build and machine can do in a session upgrade: upgrade_cost() of each cipher, 0 for none, and whether
 * ML-KEM is there. At first nothing, and so no upgrade is begun or answered. Before the first peer is added. */
void engine_set_abilities(struct engine *engine, const uint8_t costs[CIPHER_IDS], bool mlkem);
bool engine_has_mlkem(const struct engine *engine);

struct peer *engine_peer_find(const struct engine *engine, const struct key *public_key);
/* The existing one, a new one, or NULL: full, or our own public key. */
struct peer *engine_peer_add(struct engine *engine, uint64_t now, const struct key *public_key);
void engine_peer_remove(struct engine *engine, struct peer *peer);
uint32_t engine_peer_count(const struct engine *engine);
uint32_t engine_prefix_count(const struct engine *engine);
/* Iterates in order of addition: NULL gives the first, NULL comes after the last. */
struct peer *engine_peer_next(const struct engine *engine, const struct peer *peer);

/* Takes effect at the next handshake; a live session stays. Zero: none. */
void engine_peer_set_preshared_key(struct peer *peer, const struct key *preshared_key);
void engine_peer_set_endpoint(struct peer *peer, const union socket_address *remote);
/* The cached source address is gone: later datagrams let the kernel choose. */
void engine_peer_clear_source(struct peer *peer);
/* Our way to the peer is another. By `at` what tells it so is due: a persistent keepalive, where there is one; and an
 * initiation that has no response is sent again, for it, or the response, may have gone the old way. */
void engine_peer_hasten(struct peer *peer, uint64_t at);
/* Seconds; 0: off. From 0 to another while up: one keepalive is due at once. */
void engine_peer_set_keepalive(struct engine *engine, uint64_t now, struct peer *peer, uint16_t seconds);
/* Takes effect at once: by the return nothing goes out under less than what it requires; where it asks for another
 * session than the present one, a handshake is due. */
void engine_peer_set_upgrade(struct engine *engine, uint64_t now, struct peer *peer,
                             const struct upgrade_policy *policy);
struct upgrade_policy engine_peer_policy(const struct peer *peer);
void engine_peer_set_name(struct peer *peer, const char *name); /* at most PEER_NAME_MAX bytes; "" for none */
/* A number of the caller's, 0 at first: by it a reload finds the peers that the new configuration no longer has. */
void engine_peer_set_tag(struct peer *peer, uint32_t tag);
uint32_t engine_peer_tag(const struct peer *peer);

/* A prefix another peer has moves to this one. False: full. */
bool engine_allowed_ip_add(struct engine *engine, struct peer *peer, const struct prefix *prefix);
/* Only if it is this peer's. */
void engine_allowed_ip_remove(struct engine *engine, struct peer *peer, const struct prefix *prefix);
void engine_allowed_ips_clear(struct engine *engine, struct peer *peer);
/* To replace a peer's without a moment in which what stays is missing: begin, add the new ones, sweep away those that
 * were not added since. */
void engine_allowed_ips_begin(struct engine *engine);
void engine_allowed_ips_sweep(struct engine *engine, struct peer *peer);
/* Iterates over a peer's: *cursor starts as NULL. False: no more. */
bool engine_allowed_ip_next(const struct engine *engine, const struct peer *peer, const void **cursor,
                            struct prefix *out);

/* ---- Status ------------------------------------------------------------------------------------------------------ */

/* Why a peer's packets go out as they do. */
/* clang-format off */
#define UPGRADE_STATES(X)                                                                                             \
        X(NONE,            "no-session",        "there is no session yet")                                            \
        X(DONE,            "upgraded",          "upgraded")                                                           \
        X(PENDING,         "pending",           "being agreed on")                                                    \
        X(OFF_HERE,        "off",               "Upgrade = off")                                                      \
        X(NO_ANSWER,       "no-answer",         "no answer: not an Adit, or its Upgrade is off")                      \
        X(SILENT,          "silent",            "no answer to offers: its Upgrade was switched off, or somebody on the way drops them") \
        X(NO_CIPHER,       "no-common-cipher",  "no cipher that both sides can use")                                  \
        X(PEER_NO_KEM,     "peer-has-no-kem",   "PostQuantum = require, and the peer cannot or may not use ML-KEM")   \
        X(PEER_WANTS_KEM,  "peer-requires-kem", "the peer requires ML-KEM, which this side cannot or may not use")    \
        X(REFUSED,         "refused",           "the peer's answer did not fit")                                      \
        X(UNUSED,          "unused",            "the peer agrees, then does not answer on what was agreed on")          \
        X(NO_ROOM,         "no-room",           "too many upgrades at a time")
/* clang-format on */

enum upgrade_state {
#define X(symbol, name, meaning) UPGRADE_STATE_##symbol,
        UPGRADE_STATES(X)
#undef X
                UPGRADE_STATE_COUNT
};
const char *upgrade_state_name(enum upgrade_state state);    /* a word, for programs */
const char *upgrade_state_meaning(enum upgrade_state state); /* for a person */

struct peer_status {
        struct key public_key, preshared_key; /* zero: none */
        char name[PEER_NAME_MAX + 1];
        struct endpoint endpoint;
        uint16_t keepalive;           /* seconds, 0: off */
        uint64_t last_handshake_wall; /* nanoseconds since the epoch; 0: never */
        uint64_t rx_bytes, tx_bytes;  /* of UDP payload, as every WireGuard counts */
        bool session;                 /* there is one that can send now */
        unsigned handshake_attempts;  /* unanswered so far; 0: none is pending */
        struct upgrade_policy policy;
        enum upgrade_state upgrade;
        bool adit;                   /* it has shown that it is one since we started */
        const struct cipher *cipher; /* of the session that user packets go out with now; NULL: none does */
        bool mlkem;                  /* that session's keys have an ML-KEM secret in them */
};

void engine_peer_status(const struct peer *peer, struct peer_status *out);
const char *engine_peer_name(const struct peer *peer);
const union socket_address *engine_peer_remote(const struct peer *peer);
const struct key *engine_peer_public_key(const struct peer *peer);

void engine_count_drop(struct engine *engine, enum drop reason);
uint64_t engine_dropped(const struct engine *engine, enum drop reason); /* so far; any thread */

#endif
