#ifndef ADIT_CRYPTO_NOISE_H
#define ADIT_CRYPTO_NOISE_H

#include "crypto/message.h"
#include "crypto/symmetric.h"

/* The handshake of WireGuard: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (paper, 5.4.2 and 5.4.3).
 *
 * Pure: ephemeral keys, indices and timestamps come in as arguments; mac1 and mac2 are left to cookie.h. Every function
 * works on a copy and commits after its last check: when it fails, the handshake and all outputs are as they were.
 *
 *     initiator                                   responder
 *     noise_create_initiation  ----------------->  noise_peek_initiation, find the peer, noise_consume_initiation
 *     noise_consume_response   <-----------------  noise_create_response */

/* Ours; one per device. All zero: there is no private key yet, and every handshake fails. */
struct identity {
        struct key private_key; /* clamped */
        struct key public_key;
};

enum handshake_stage {
        HANDSHAKE_IDLE,                /* nothing pending */
        HANDSHAKE_INITIATION_SENT,     /* we wait for a response */
        HANDSHAKE_INITIATION_CONSUMED, /* a response is to be created */
};

/* One per peer. `preshared_key` (zero: none) belongs to the caller, who may change it at any time: it is mixed in when
 * the response is created or consumed. The rest changes only through the functions here. */
struct handshake {
        struct key remote_static;
        struct key preshared_key;
        struct key static_static; /* DH of the two static keys */
        bool usable;              /* static_static is there: the remote key is not of low order, and we have a key */

        enum handshake_stage stage;
        uint32_t local_index, remote_index; /* of the pending handshake, or of the last one that was done */
        struct symmetric state;
        struct key ephemeral_private; /* the initiator's own */
        struct key remote_ephemeral;  /* what the responder was shown */
};

/* Not committed anywhere: what an initiation says when only its static key has been opened. Proves nothing yet. */
struct noise_initiation {
        struct key remote_static;
        struct key remote_ephemeral;
        uint32_t sender_index;
        uint8_t encrypted_timestamp[MESSAGE_TIMESTAMP_LEN + MESSAGE_TAG_LEN];
        struct symmetric state;
};

struct session_keys {
        struct key send, receive;
        struct key exporter;     /* third output of the last KDF: not on the wire, the same on both sides */
        uint8_t h[KDF_HASH_LEN]; /* the final hash of the handshake: the same on both sides, not secret */
};

/* Compare with ==: accepted is 0. */
enum noise_verdict {
        NOISE_ACCEPTED,
        NOISE_FORGED,   /* did not decrypt, or the peer is not usable */
        NOISE_REPLAYED, /* authentic, but not newer than the newest timestamp */
};

/* False, with a zero identity, for a zero private key. */
bool noise_identity_init(struct identity *self, const struct key *private_key);

/* Sets whom `hs` speaks with and forgets a pending handshake; keeps the preshared key. Call it when a peer is added,
 * and for each peer when the identity changes. False when this peer cannot be spoken with now (a key of low order, or
 * no private key of ours): it is a valid peer all the same, whose handshakes all fail. `remote_static` may lie in *hs.
 */
bool noise_precompute(struct handshake *hs, const struct identity *self, const struct key *remote_static);

/* Wipes and forgets a pending handshake; keys of the peer and the preshared key stay. */
void noise_reset(struct handshake *hs);

/* `out` is complete but for the macs, which are zero. Replaces whatever was pending. */
bool noise_create_initiation(struct handshake *hs, const struct identity *self, const struct key *ephemeral_private,
                             uint32_t local_index, const uint8_t timestamp[MESSAGE_TIMESTAMP_LEN],
                             struct message_initiation *out);

/* Step one: who claims to call? Wipe *out (sodium_memzero) when done with it. */
bool noise_peek_initiation(const struct identity *self, const struct message_initiation *msg,
                           struct noise_initiation *out);

/* Step two, with the peer that has peeked->remote_static: verifies the timestamp and commits. `newest_timestamp` is
 * the peer's: 12 zero bytes at first; an initiation must be newer, and is remembered there when accepted. A limit on
 * initiations per second is the caller's and may stand before this. */
enum noise_verdict noise_consume_initiation(struct handshake *hs, const struct noise_initiation *peeked,
                                            uint8_t newest_timestamp[MESSAGE_TIMESTAMP_LEN]);

/* Ends the responder's handshake: `keys` is a session from hs->local_index to hs->remote_index, which must not send
 * before it received a packet. Takes one initiation consumed. */
bool noise_create_response(struct handshake *hs, const struct key *ephemeral_private, uint32_t local_index,
                           struct message_response *out, struct session_keys *keys);

/* Ends the initiator's handshake, the one whose local index is the message's receiver. */
bool noise_consume_response(struct handshake *hs, const struct message_response *msg, const struct identity *self,
                            struct session_keys *keys);

#endif
