#ifndef ADIT_CRYPTO_SYMMETRIC_H
#define ADIT_CRYPTO_SYMMETRIC_H

#include "crypto/key.h"
#include "crypto/kdf.h"

/* The SymmetricState of Noise (revision 34, 5.2) with BLAKE2s and ChaCha20-Poly1305, for patterns like IKpsk2 in which
 * every key encrypts once: the nonce is always zero. Pure. noise.c is written in these steps, and the published Noise
 * vectors are replayed through them. */
enum { SYMMETRIC_TAG_LEN = 16 };

struct symmetric {
        uint8_t chaining_key[KDF_HASH_LEN];
        uint8_t hash[KDF_HASH_LEN];
        struct key key; /* of the next encryption */
};

/* `name` is longer than 32 characters and so is hashed. */
void symmetric_init(struct symmetric *state, const char *name, const void *prologue, size_t prologue_len);

void symmetric_mix_hash(struct symmetric *state, const void *data, size_t len);
void symmetric_mix_key(struct symmetric *state, const void *input, size_t len);
void symmetric_mix_key_and_hash(struct symmetric *state, const struct key *preshared_key);

/* MixKey(DH(private, public)); false, with the state unchanged, when `public_key` is of low order. */
bool symmetric_mix_dh(struct symmetric *state, const struct key *private_key, const struct key *public_key);

/* `out` takes len + SYMMETRIC_TAG_LEN bytes and must not overlap `in`. */
void symmetric_encrypt_and_hash(struct symmetric *state, uint8_t *out, const void *in, size_t len);

/* `len` is that of the ciphertext with its tag. False, with the state unchanged and no plaintext, when forged. */
bool symmetric_decrypt_and_hash(struct symmetric *state, void *out, const uint8_t *in, size_t len);

/* Split() with a third output: the keys of initiator to responder and of the way back, and one to export. */
void symmetric_split(const struct symmetric *state, struct key *forth, struct key *back, struct key *exporter);

#endif
