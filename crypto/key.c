#include "crypto/key.h"

#include <sodium.h>
#include <assert.h>

static_assert(KEY_LEN == crypto_scalarmult_BYTES && KEY_LEN == crypto_scalarmult_SCALARBYTES, "X25519");
static_assert(KEY_BASE64_LEN == sodium_base64_ENCODED_LEN(KEY_LEN, sodium_base64_VARIANT_ORIGINAL), "base64");

void key_generate_preshared(struct key *preshared_key)
{
        randombytes_buf(preshared_key->bytes, KEY_LEN);
}

void key_generate_private(struct key *private_key)
{
        randombytes_buf(private_key->bytes, KEY_LEN);
        key_clamp(private_key);
}

void key_clamp(struct key *private_key)
{
        private_key->bytes[0] &= 248;
        private_key->bytes[31] = (uint8_t)((private_key->bytes[31] & 127) | 64);
}

bool key_public_from_private(struct key *public_key, const struct key *private_key)
{
        bool ok = !key_is_zero(private_key) && crypto_scalarmult_base(public_key->bytes, private_key->bytes) == 0;

        if (!ok) sodium_memzero(public_key, sizeof *public_key);
        return ok;
}

bool key_agree(struct key *shared, const struct key *private_key, const struct key *public_key)
{
        bool ok = crypto_scalarmult(shared->bytes, private_key->bytes, public_key->bytes) == 0;

        if (!ok) sodium_memzero(shared, sizeof *shared);
        return ok;
}

bool key_equal(const struct key *a, const struct key *b)
{
        return sodium_memcmp(a->bytes, b->bytes, KEY_LEN) == 0;
}

bool key_is_zero(const struct key *key)
{
        return sodium_is_zero(key->bytes, KEY_LEN) == 1;
}

void key_to_base64(char text[KEY_BASE64_LEN], const struct key *key)
{
        sodium_bin2base64(text, KEY_BASE64_LEN, key->bytes, KEY_LEN, sodium_base64_VARIANT_ORIGINAL);
}

void key_to_hex(char text[KEY_HEX_LEN], const struct key *key)
{
        sodium_bin2hex(text, KEY_HEX_LEN, key->bytes, KEY_LEN);
}

/* libsodium's decoders take the whole text or nothing, and no base64 with unused bits set. */
bool key_from_base64(struct key *key, const char *text, size_t len)
{
        struct key decoded;
        size_t decoded_len;
        bool ok = sodium_base642bin(decoded.bytes, KEY_LEN, text, len, NULL, &decoded_len, NULL,
                                    sodium_base64_VARIANT_ORIGINAL) == 0 &&
                  decoded_len == KEY_LEN;

        if (ok) *key = decoded;
        sodium_memzero(&decoded, sizeof decoded);
        return ok;
}

bool key_from_hex(struct key *key, const char *text, size_t len)
{
        struct key decoded;
        size_t decoded_len;
        bool ok = sodium_hex2bin(decoded.bytes, KEY_LEN, text, len, NULL, &decoded_len, NULL) == 0 &&
                  decoded_len == KEY_LEN;

        if (ok) *key = decoded;
        sodium_memzero(&decoded, sizeof decoded);
        return ok;
}
