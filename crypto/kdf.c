#include "crypto/kdf.h"

#include <blake2.h>
#include <sodium.h>
#include <string.h>

/* libb2's calls fail only for lengths out of range, which the callers here never pass: a failure is a programming
 * error, and a hash that was not computed must not be used. */
static void must(int result)
{
        if (result != 0) __builtin_trap();
}

void kdf_hash(uint8_t out[KDF_HASH_LEN], const void *a, size_t a_len, const void *b, size_t b_len)
{
        blake2s_state state;

        must(blake2s_init(&state, KDF_HASH_LEN));
        must(blake2s_update(&state, a, a_len));
        must(blake2s_update(&state, b, b_len));
        must(blake2s_final(&state, out, KDF_HASH_LEN));
        sodium_memzero(&state, sizeof state);
}

void kdf_mac(uint8_t out[KDF_MAC_LEN], const void *key, size_t key_len, const void *in, size_t len)
{
        blake2s_state state;

        must(blake2s_init_key(&state, KDF_MAC_LEN, key, key_len));
        must(blake2s_update(&state, in, len));
        must(blake2s_final(&state, out, KDF_MAC_LEN));
        sodium_memzero(&state, sizeof state);
}

void kdf_hmac(uint8_t out[KDF_HASH_LEN], const void *key, size_t key_len, const void *in, size_t len)
{
        uint8_t inner[BLAKE2S_BLOCKBYTES] = { 0 }, outer[BLAKE2S_BLOCKBYTES], digest[KDF_HASH_LEN];

        must(key_len > sizeof inner);
        memcpy(inner, key, key_len);
        for (size_t i = 0; i < sizeof inner; i++) {
                outer[i] = inner[i] ^ 0x5c;
                inner[i] ^= 0x36;
        }
        kdf_hash(digest, inner, sizeof inner, in, len);
        kdf_hash(out, outer, sizeof outer, digest, sizeof digest);
        sodium_memzero(inner, sizeof inner);
        sodium_memzero(outer, sizeof outer);
        sodium_memzero(digest, sizeof digest);
}

/* `count` outputs of KDF_HASH_LEN bytes: T1 = HMAC(T0, 1), Tn = HMAC(T0, Tn-1 || n), with T0 = HMAC(ck, in). */
static void expand(uint8_t *const outs[], int count, const uint8_t ck[KDF_HASH_LEN], const void *in, size_t len)
{
        uint8_t t0[KDF_HASH_LEN], block[KDF_HASH_LEN + 1];
        size_t used = 0;

        kdf_hmac(t0, ck, KDF_HASH_LEN, in, len);
        for (int n = 1; n <= count; n++) {
                block[used] = (uint8_t)n;
                kdf_hmac(block, t0, sizeof t0, block, used + 1);
                used = KDF_HASH_LEN;
                memcpy(outs[n - 1], block, KDF_HASH_LEN);
        }
        sodium_memzero(t0, sizeof t0);
        sodium_memzero(block, sizeof block);
}

void kdf1(uint8_t out[KDF_HASH_LEN], const uint8_t ck[KDF_HASH_LEN], const void *in, size_t len)
{
        expand((uint8_t *const[]){ out }, 1, ck, in, len);
}

void kdf2(uint8_t out1[KDF_HASH_LEN], uint8_t out2[KDF_HASH_LEN], const uint8_t ck[KDF_HASH_LEN], const void *in,
          size_t len)
{
        expand((uint8_t *const[]){ out1, out2 }, 2, ck, in, len);
}

void kdf3(uint8_t out1[KDF_HASH_LEN], uint8_t out2[KDF_HASH_LEN], uint8_t out3[KDF_HASH_LEN],
          const uint8_t ck[KDF_HASH_LEN], const void *in, size_t len)
{
        expand((uint8_t *const[]){ out1, out2, out3 }, 3, ck, in, len);
}
