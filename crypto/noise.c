#include "crypto/noise.h"

#include <sodium.h>
#include <string.h>

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* Both roles begin with what they know before the first message: the responder's static key. */
static void begin(struct symmetric *state, const struct key *responder_static)
{
        symmetric_init(state, construction, identifier, sizeof identifier - 1);
        symmetric_mix_hash(state, responder_static->bytes, KEY_LEN);
}

/* The token "e", which in a psk pattern is mixed into the chain too (Noise, 9.2). */
static void mix_ephemeral(struct symmetric *state, const struct key *ephemeral)
{
        symmetric_mix_hash(state, ephemeral->bytes, KEY_LEN);
        symmetric_mix_key(state, ephemeral->bytes, KEY_LEN);
}

static void derive_session(const struct symmetric *state, bool initiator, struct session_keys *keys)
{
        symmetric_split(state, initiator ? &keys->send : &keys->receive, initiator ? &keys->receive : &keys->send,
                        &keys->exporter);
        memcpy(keys->h, state->hash, sizeof keys->h);
}

static void forget_pending(struct handshake *hs)
{
        sodium_memzero(&hs->state, sizeof hs->state);
        sodium_memzero(&hs->ephemeral_private, sizeof hs->ephemeral_private);
        sodium_memzero(&hs->remote_ephemeral, sizeof hs->remote_ephemeral);
        hs->stage = HANDSHAKE_IDLE;
}

bool noise_identity_init(struct identity *self, const struct key *private_key)
{
        struct identity made = { .private_key = *private_key };
        bool ok = key_public_from_private(&made.public_key, private_key);

        if (ok) key_clamp(&made.private_key);
        *self = made; /* all zero when not ok: the private key was */
        sodium_memzero(&made, sizeof made);
        return ok;
}

bool noise_precompute(struct handshake *hs, const struct identity *self, const struct key *remote_static)
{
        noise_reset(hs);
        hs->remote_static = *remote_static;
        hs->usable = !key_is_zero(&self->private_key) &&
                     key_agree(&hs->static_static, &self->private_key, &hs->remote_static);
        if (!hs->usable) sodium_memzero(&hs->static_static, sizeof hs->static_static);
        return hs->usable;
}

void noise_reset(struct handshake *hs)
{
        forget_pending(hs);
        hs->local_index = hs->remote_index = 0;
}

bool noise_create_initiation(struct handshake *hs, const struct identity *self, const struct key *ephemeral_private,
                             uint32_t local_index, const uint8_t timestamp[MESSAGE_TIMESTAMP_LEN],
                             struct message_initiation *out)
{
        struct message_initiation msg = { .type = le32_put(MESSAGE_INITIATION), .sender = le32_put(local_index) };
        struct symmetric state;
        bool ok = false;

        if (!hs->usable) return false;

        begin(&state, &hs->remote_static);
        if (!key_public_from_private(&msg.ephemeral, ephemeral_private)) goto out;
        mix_ephemeral(&state, &msg.ephemeral);                                                         /* e */
        if (!symmetric_mix_dh(&state, ephemeral_private, &hs->remote_static)) goto out;                /* es */
        symmetric_encrypt_and_hash(&state, msg.encrypted_static, self->public_key.bytes, KEY_LEN);     /* s */
        symmetric_mix_key(&state, hs->static_static.bytes, KEY_LEN);                                   /* ss */
        symmetric_encrypt_and_hash(&state, msg.encrypted_timestamp, timestamp, MESSAGE_TIMESTAMP_LEN); /* {t} */

        forget_pending(hs);
        hs->state = state;
        hs->ephemeral_private = *ephemeral_private;
        hs->local_index = local_index;
        hs->remote_index = 0;
        hs->stage = HANDSHAKE_INITIATION_SENT;
        *out = msg;
        ok = true;
out:
        sodium_memzero(&state, sizeof state);
        return ok;
}

bool noise_peek_initiation(const struct identity *self, const struct message_initiation *msg,
                           struct noise_initiation *out)
{
        struct noise_initiation peeked = { .remote_ephemeral = msg->ephemeral, .sender_index = le32_get(msg->sender) };
        bool ok = false;

        if (le32_get(msg->type) != MESSAGE_INITIATION || key_is_zero(&self->private_key)) return false;

        begin(&peeked.state, &self->public_key);
        mix_ephemeral(&peeked.state, &msg->ephemeral);                                       /* e */
        if (!symmetric_mix_dh(&peeked.state, &self->private_key, &msg->ephemeral)) goto out; /* es */
        if (!symmetric_decrypt_and_hash(&peeked.state, peeked.remote_static.bytes, msg->encrypted_static,
                                        sizeof msg->encrypted_static)) /* s */
                goto out;

        memcpy(peeked.encrypted_timestamp, msg->encrypted_timestamp, sizeof peeked.encrypted_timestamp);
        *out = peeked;
        ok = true;
out:
        sodium_memzero(&peeked, sizeof peeked);
        return ok;
}

enum noise_verdict noise_consume_initiation(struct handshake *hs, const struct noise_initiation *peeked,
                                            uint8_t newest_timestamp[MESSAGE_TIMESTAMP_LEN])
{
        struct symmetric state = peeked->state;
        uint8_t timestamp[MESSAGE_TIMESTAMP_LEN];
        enum noise_verdict verdict = NOISE_FORGED;

        if (!hs->usable) goto out;

        symmetric_mix_key(&state, hs->static_static.bytes, KEY_LEN); /* ss */
        if (!symmetric_decrypt_and_hash(&state, timestamp, peeked->encrypted_timestamp,
                                        sizeof peeked->encrypted_timestamp)) /* {t} */
                goto out;

        verdict = NOISE_REPLAYED;
        if (memcmp(timestamp, newest_timestamp, sizeof timestamp) <= 0) goto out;

        memcpy(newest_timestamp, timestamp, sizeof timestamp);
        forget_pending(hs);
        hs->state = state;
        hs->remote_ephemeral = peeked->remote_ephemeral;
        hs->local_index = 0;
        hs->remote_index = peeked->sender_index;
        hs->stage = HANDSHAKE_INITIATION_CONSUMED;
        verdict = NOISE_ACCEPTED;
out:
        sodium_memzero(&state, sizeof state);
        return verdict;
}

bool noise_create_response(struct handshake *hs, const struct key *ephemeral_private, uint32_t local_index,
                           struct message_response *out, struct session_keys *keys)
{
        struct message_response msg = { .type = le32_put(MESSAGE_RESPONSE),
                                        .sender = le32_put(local_index),
                                        .receiver = le32_put(hs->remote_index) };
        struct symmetric state = hs->state;
        bool ok = false;

        if (hs->stage != HANDSHAKE_INITIATION_CONSUMED) goto out;

        if (!key_public_from_private(&msg.ephemeral, ephemeral_private)) goto out;
        mix_ephemeral(&state, &msg.ephemeral);                                             /* e */
        if (!symmetric_mix_dh(&state, ephemeral_private, &hs->remote_ephemeral)) goto out; /* ee */
        if (!symmetric_mix_dh(&state, ephemeral_private, &hs->remote_static)) goto out;    /* se */
        symmetric_mix_key_and_hash(&state, &hs->preshared_key);                            /* psk */
        symmetric_encrypt_and_hash(&state, msg.empty, NULL, 0);                            /* {} */

        derive_session(&state, false, keys);
        forget_pending(hs);
        hs->local_index = local_index;
        *out = msg;
        ok = true;
out:
        sodium_memzero(&state, sizeof state);
        return ok;
}

bool noise_consume_response(struct handshake *hs, const struct message_response *msg, const struct identity *self,
                            struct session_keys *keys)
{
        struct symmetric state = hs->state; /* work on a copy: a forged message changes nothing */
        bool ok = false;

        if (hs->stage != HANDSHAKE_INITIATION_SENT || le32_get(msg->type) != MESSAGE_RESPONSE ||
            le32_get(msg->receiver) != hs->local_index)
                goto out;

        mix_ephemeral(&state, &msg->ephemeral);                                                 /* e */
        if (!symmetric_mix_dh(&state, &hs->ephemeral_private, &msg->ephemeral)) goto out;       /* ee */
        if (!symmetric_mix_dh(&state, &self->private_key, &msg->ephemeral)) goto out;           /* se */
        symmetric_mix_key_and_hash(&state, &hs->preshared_key);                                 /* psk */
        if (!symmetric_decrypt_and_hash(&state, NULL, msg->empty, sizeof msg->empty)) goto out; /* {} */

        derive_session(&state, true, keys);
        forget_pending(hs);
        hs->remote_index = le32_get(msg->sender);
        ok = true;
out:
        sodium_memzero(&state, sizeof state);
        return ok;
}
