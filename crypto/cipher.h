#ifndef ADIT_CRYPTO_CIPHER_H
#define ADIT_CRYPTO_CIPHER_H

#include "crypto/key.h"

/* The ciphers of data packets, one row each. Pure and reentrant; no additional data. The nonce is a packet's counter,
 * little endian in its last 8 bytes, zero before (WireGuard paper, 5.4.6): never seal twice with one key and counter.
 */
enum {
        CIPHER_CHACHA20_POLY1305 = 1, /* ids, for the agreement between two Adits */
};

enum { CIPHER_TAG_MAX = 32 };

struct cipher {
        const char *name;
        uint8_t id;
        uint8_t key_len, nonce_len, tag_len;

        /* Writes len + tag_len bytes to `out`, which is `in` itself or does not overlap it. */
        void (*seal)(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const struct key *key);

        /* In place: `len` counts the tag; the plaintext is the first len - tag_len bytes. False when forged or shorter
         * than a tag: then `data` holds no plaintext and is not to be used. */
        bool (*open)(uint8_t *data, size_t len, uint64_t counter, const struct key *key);

        /* Can this machine do it? */
        bool (*available)(void);
};

/* What WireGuard speaks: ChaCha20-Poly1305. Always available. */
const struct cipher *cipher_default(void);

/* NULL when there is no such cipher or it is not available here. */
const struct cipher *cipher_find(uint8_t id);

#endif
