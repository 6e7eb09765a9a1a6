#include "crypto/symmetric.h"

#include <sodium.h>
#include <string.h>

static const uint8_t zero_nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

void symmetric_init(struct symmetric *state, const char *name, const void *prologue, size_t prologue_len)
{
        kdf_hash(state->chaining_key, name, strlen(name), NULL, 0);
        kdf_hash(state->hash, state->chaining_key, KDF_HASH_LEN, prologue, prologue_len);
        sodium_memzero(&state->key, sizeof state->key);
}

void symmetric_mix_hash(struct symmetric *state, const void *data, size_t len)
{
        kdf_hash(state->hash, state->hash, KDF_HASH_LEN, data, len);
}

void symmetric_mix_key(struct symmetric *state, const void *input, size_t len)
{
        kdf2(state->chaining_key, state->key.bytes, state->chaining_key, input, len);
}

void symmetric_mix_key_and_hash(struct symmetric *state, const struct key *preshared_key)
{
        uint8_t tau[KDF_HASH_LEN];

        kdf3(state->chaining_key, tau, state->key.bytes, state->chaining_key, preshared_key->bytes, KEY_LEN);
        symmetric_mix_hash(state, tau, sizeof tau);
        sodium_memzero(tau, sizeof tau);
}

bool symmetric_mix_dh(struct symmetric *state, const struct key *private_key, const struct key *public_key)
{
        struct key shared;
        bool ok = key_agree(&shared, private_key, public_key);

        if (ok) symmetric_mix_key(state, shared.bytes, KEY_LEN);
        sodium_memzero(&shared, sizeof shared);
        return ok;
}

void symmetric_encrypt_and_hash(struct symmetric *state, uint8_t *out, const void *in, size_t len)
{
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, state->hash, KDF_HASH_LEN, NULL, zero_nonce,
                                                  state->key.bytes);
        symmetric_mix_hash(state, out, len + SYMMETRIC_TAG_LEN);
}

bool symmetric_decrypt_and_hash(struct symmetric *state, void *out, const uint8_t *in, size_t len)
{
        if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, in, len, state->hash, KDF_HASH_LEN, zero_nonce,
                                                      state->key.bytes) != 0)
                return false;
        symmetric_mix_hash(state, in, len);
        return true;
}

void symmetric_split(const struct symmetric *state, struct key *forth, struct key *back, struct key *exporter)
{
        kdf3(forth->bytes, back->bytes, exporter->bytes, state->chaining_key, NULL, 0);
}
