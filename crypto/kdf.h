#ifndef ADIT_CRYPTO_KDF_H
#define ADIT_CRYPTO_KDF_H

#include <stddef.h>
#include <stdint.h>

/* BLAKE2s and what the WireGuard paper builds on it (section 5.4): HASH, MAC, HMAC, KDF1 to KDF3. Pure.
 * Outputs may be the same memory as any input. */
enum { KDF_HASH_LEN = 32, KDF_MAC_LEN = 16 };

/* HASH(a || b); either may be empty. */
void kdf_hash(uint8_t out[KDF_HASH_LEN], const void *a, size_t a_len, const void *b, size_t b_len);

/* MAC: keyed BLAKE2s with 16 bytes out (not HMAC); a key of 1 to 32 bytes. */
void kdf_mac(uint8_t out[KDF_MAC_LEN], const void *key, size_t key_len, const void *in, size_t len);

/* HMAC-BLAKE2s (RFC 2104, 64-byte blocks); a key of any length up to 64 bytes. */
void kdf_hmac(uint8_t out[KDF_HASH_LEN], const void *key, size_t key_len, const void *in, size_t len);

/* HKDF (RFC 5869) with `ck` as salt, as the paper and Noise (4.3) use it: KDFn(ck, in). */
void kdf1(uint8_t out[KDF_HASH_LEN], const uint8_t ck[KDF_HASH_LEN], const void *in, size_t len);
void kdf2(uint8_t out1[KDF_HASH_LEN], uint8_t out2[KDF_HASH_LEN], const uint8_t ck[KDF_HASH_LEN], const void *in,
          size_t len);
void kdf3(uint8_t out1[KDF_HASH_LEN], uint8_t out2[KDF_HASH_LEN], uint8_t out3[KDF_HASH_LEN],
          const uint8_t ck[KDF_HASH_LEN], const void *in, size_t len);

#endif
