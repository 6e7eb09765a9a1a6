#include "crypto/cipher_rows.h"

#include <sodium.h>

/* libsodium's one-shot call asks its stream cipher for block 0 (the Poly1305 key) and for the packet apart, and the
 * stream cipher does what is over a multiple of 256 or 512 bytes a block at a time. Here it is asked once, for both
 * together, rounded up: 0.6 to 0.7 of the time. The rounding, and what Poly1305 reads after the ciphertext (RFC 8439,
 * 2.8), are in memory of our own, so that nothing around the packet is touched: a copy costs less than putting back
 * what an overrun destroyed. */
enum {
        BLOCK = 64,
        STRIDE = 256,
        LENGTHS = 16, /* of additional data and ciphertext, 8 bytes each */
        SCRATCH = 2048,
        PADDED_MAX = SCRATCH - BLOCK - 15 - LENGTHS, /* longer ones gain nothing any more */
};

static_assert(SCRATCH % STRIDE == 0, "rounding up stays inside");

/* -ftrivial-auto-var-init would clear it for each packet. */
#define UNINITIALIZED __attribute__((uninitialized))

static size_t whole_strides(size_t len)
{
        return (BLOCK + len + STRIDE - 1) / STRIDE * STRIDE;
}

/* Zeros up to a multiple of 16 and the two lengths; returns how many bytes that is. */
static size_t put_trailer(uint8_t *trailer, size_t len)
{
        size_t pad = -len & 15;
        struct le64 le = le64_put(len);

        memset(trailer, 0, pad + 8);
        memcpy(trailer + pad + 8, le.bytes, sizeof le);
        return pad + LENGTHS;
}

static void padded_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *key)
{
        uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
        uint8_t scratch[SCRATCH] UNINITIALIZED;
        uint8_t *text = scratch + BLOCK;
        size_t trailer_len;

        if (len > PADDED_MAX) {
                cipher_chacha_sodium.seal(out, in, len, counter, key);
                return;
        }
        cipher_nonce(nonce, sizeof nonce, counter);
        memset(scratch, 0, BLOCK);
        memcpy(text, in, len);
        memset(text + len, 0, whole_strides(len) - BLOCK - len);
        crypto_stream_chacha20_ietf_xor_ic(scratch, scratch, whole_strides(len), nonce, 0, key);
        memcpy(out, text, len);
        trailer_len = put_trailer(text + len, len);
        crypto_onetimeauth_poly1305(out + len, text, len + trailer_len, scratch);
        sodium_memzero(scratch, BLOCK);
}

static bool tag_is_good(const uint8_t *data, size_t len, const uint8_t *poly1305_key)
{
        uint8_t trailer[15 + LENGTHS], tag[crypto_onetimeauth_poly1305_BYTES];
        size_t trailer_len = put_trailer(trailer, len);
        crypto_onetimeauth_poly1305_state state;

        crypto_onetimeauth_poly1305_init(&state, poly1305_key);
        crypto_onetimeauth_poly1305_update(&state, data, len);
        crypto_onetimeauth_poly1305_update(&state, trailer, trailer_len);
        crypto_onetimeauth_poly1305_final(&state, tag);
        return crypto_verify_16(tag, data + len) == 0;
}

static void add_stream(uint8_t *data, const uint8_t *stream, size_t len)
{
        typedef uint64_t lane __attribute__((vector_size(32)));

        for (; len >= sizeof(lane); len -= sizeof(lane), data += sizeof(lane), stream += sizeof(lane)) {
                lane a, b;
                memcpy(&a, data, sizeof a);
                memcpy(&b, stream, sizeof b);
                a ^= b;
                memcpy(data, &a, sizeof a);
        }
        for (size_t i = 0; i < len; i++)
                data[i] ^= stream[i];
}

/* The key stream alone, then the tag, then the packet: no plaintext is anywhere before the tag was found good. */
static bool padded_open(uint8_t *data, size_t len, uint64_t counter, const void *key)
{
        uint8_t nonce[crypto_stream_chacha20_ietf_NONCEBYTES];
        uint8_t scratch[SCRATCH] UNINITIALIZED;
        bool ok;

        if (len < crypto_onetimeauth_poly1305_BYTES) return false;
        len -= crypto_onetimeauth_poly1305_BYTES;
        if (len > PADDED_MAX)
                return cipher_chacha_sodium.open(data, len + crypto_onetimeauth_poly1305_BYTES, counter, key);

        cipher_nonce(nonce, sizeof nonce, counter);
        crypto_stream_chacha20_ietf(scratch, whole_strides(len), nonce, key);
        ok = tag_is_good(data, len, scratch);
        if (ok) add_stream(data, scratch + BLOCK, len);
        sodium_memzero(scratch, BLOCK + len);
        return ok;
}

const struct cipher cipher_chacha_padded = {
        .name = "ChaCha20-Poly1305",
        .implementation = "libsodium padded",
        .id = CIPHER_CHACHA20_POLY1305,
        .key_len = crypto_stream_chacha20_ietf_KEYBYTES,
        .nonce_len = crypto_stream_chacha20_ietf_NONCEBYTES,
        .tag_len = crypto_onetimeauth_poly1305_BYTES,
        .schedule_len = sizeof(struct key),
        .schedule = cipher_schedule_key,
        .seal = padded_seal,
        .open = padded_open,
        .available = cipher_always,
};
