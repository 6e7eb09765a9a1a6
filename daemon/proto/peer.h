/* A peer, and the table of all by public key and in order of addition. Internal to the engine; no call here touches
 * anything of a peer but its place in the table, unless it says so. Pure. */
#ifndef DAEMON_PROTO_PEER_H
#define DAEMON_PROTO_PEER_H

#include "crypto/cookie.h"
#include "crypto/noise.h"
#include "daemon/proto/allowedips.h"
#include "daemon/proto/engine.h"
#include "daemon/proto/exchange.h"
#include "daemon/proto/session.h"
#include "daemon/proto/staged.h"
#include "daemon/proto/timers.h"

/* An endpoint that any thread may read, whole, without waiting: the copy that is valid is left alone while the other
 * one is written. Who writes waits for who is writing, which is a dozen stores. */
struct endpoint_cell {
        _Atomic bool writing;
        _Atomic uint32_t version; /* its low bit says which copy is valid */
        _Atomic uint64_t words[2][sizeof(struct endpoint) / sizeof(uint64_t)];
};

static_assert(sizeof(struct endpoint) % sizeof(uint64_t) == 0, "whole words");

void endpoint_read(const struct endpoint_cell *cell, struct endpoint *out);
void endpoint_write(struct endpoint_cell *cell, const struct endpoint *in);
void endpoint_clear_source(struct endpoint_cell *cell); /* the remote stays what it is, whoever wrote it */

/* What workers leave for the owner. */
enum ask {
        ASK_TIMERS = 1 << 0,        /* timers_requeue() */
        ASK_ROAM = 1 << 1,          /* `published` is of a packet */
        ASK_CONFIRM = 1 << 2,       /* a session was proven: sessions.next, or a child */
        ASK_HANDSHAKE = 1 << 3,     /* sent with an old session */
        ASK_RENEW = 1 << 4,         /* received with an old one */
        ASK_FORGET_SOURCE = 1 << 5, /* the kernel says it is gone */
        ASK_RELEASE = 1 << 6,       /* a user packet came without ML-KEM, although they_require */
        ASK_REFUSED = 1 << 7,       /* `refused` was set */
};

struct peer {
        struct engine *engine;

        /* Between workers and the owner. */
        _Atomic uint32_t asks;
        _Atomic uint32_t waiting;        /* packets that the owner has, or is about to have; none may pass them */
        struct peer *asks_after;         /* the next in engine->asking; who sets asks from 0 writes it */
        struct endpoint_cell published;  /* where packets go: `endpoint`, or where the peer was heard from since */
        _Atomic bool rekeyed_on_receive; /* once for each session */
        _Atomic uint64_t rx_bytes, tx_bytes;
        struct retired retired;

        struct peer *before, *after, *same_bucket;
        char name[PEER_NAME_MAX + 1];
        uint32_t tag;

        /* What we began as initiator. As responder we work on a copy: a handshake of the peer's never disturbs ours, so
         * that two that begin at the same time both get through. */
        struct handshake handshake;
        unsigned attempts;          /* initiations without an answer; 0: none is pending */
        struct index_entry pending; /* of handshake.local_index, while a response may come */
        struct cookie_jar jar;
        struct sessions sessions;

        uint8_t newest_timestamp[MESSAGE_TIMESTAMP_LEN]; /* of its initiations */
        struct upgrade_policy policy;
        _Atomic bool we_require; /* the policy requires it: for workers */
        bool removed;
        _Atomic bool they_require;    /* it drops what comes without ML-KEM: user packets wait instead */
        _Atomic bool refused;         /* we dropped such, and the owner knows */
        _Atomic bool frame_waits;     /* for the owner: it looks at one at a time */
        uint64_t consume_not_before;  /* ns; its next initiation */
        uint64_t initiate_not_before; /* ns; ours */
        uint64_t attempt_started;     /* of REKEY_ATTEMPT_TIME; new outbound packets start it anew */
        uint64_t unanswered_since;    /* of EFFECT_UNANSWERED */

        struct exchange exchange;
        struct acquaintance acquaintance;
        struct endpoint endpoint;
        struct timers timers;
        struct staged_queue staged;
        struct allowedips_list prefixes;
        uint64_t last_handshake_wall;
};

struct peer_table {
        struct pool pool; /* twice the peers: those removed may still be in use while others come in their place */
        uint32_t max_peers;
        struct peer **buckets;
        struct peer *first, *last;
        uint32_t mask, count;
        uint8_t hash_key[16];
};

size_t peer_table_memory(uint32_t max_peers);
void peer_table_init(struct peer_table *table, void *memory, uint32_t max_peers, const uint8_t hash_key[16]);

struct peer *peer_table_find(const struct peer_table *table, const struct key *public_key);
/* Zeroed but for handshake.remote_static. NULL: full. */
struct peer *peer_table_add(struct peer_table *table, const struct key *public_key);
/* Out of the table; its memory is as it was until peer_table_give(). */
void peer_table_remove(struct peer_table *table, struct peer *peer);
void peer_table_give(struct peer_table *table, struct peer *peer); /* and wipes it */

static inline struct peer *timers_peer(struct timers *timers)
{
        return (struct peer *)(void *)((char *)timers - offsetof(struct peer, timers));
}

#endif
