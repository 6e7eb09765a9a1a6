#ifndef ADIT_CRYPTO_KEY_H
#define ADIT_CRYPTO_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Curve25519 private and public keys, preshared keys, and their text forms.
 * The process must have called sodium_init() once. Secrets are compared and encoded in constant time.
 * Whoever holds a struct key wipes it (sodium_memzero). */
enum {
        KEY_LEN = 32,
        KEY_BASE64_LEN = 45, /* 44 characters and the NUL */
        KEY_HEX_LEN = 65,    /* 64 characters and the NUL */
};

struct key {
        uint8_t bytes[KEY_LEN];
};

/* From the system's randomness; a private key comes clamped (RFC 7748, 5). */
void key_generate_private(struct key *private_key);
void key_generate_preshared(struct key *preshared_key);
void key_clamp(struct key *private_key);

/* Clamps as it multiplies. False, with *public_key zero, when the private key is all zero: that means "no key". */
bool key_public_from_private(struct key *public_key, const struct key *private_key);

/* X25519. False, with *shared zero, when `public_key` is of low order. */
bool key_agree(struct key *shared, const struct key *private_key, const struct key *public_key);

bool key_equal(const struct key *a, const struct key *b);
bool key_is_zero(const struct key *key);

void key_to_base64(char text[KEY_BASE64_LEN], const struct key *key);
void key_to_hex(char text[KEY_HEX_LEN], const struct key *key);

/* `text` needs no NUL; `len` is exactly 44 or 64. Base64 must be canonical (padded, unused bits zero), hex may be of
 * either case. False leaves *key alone. */
bool key_from_base64(struct key *key, const char *text, size_t len);
bool key_from_hex(struct key *key, const char *text, size_t len);

#endif
