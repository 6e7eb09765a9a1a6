#include "crypto/cipher_rows.h"

#include <sodium.h>

/* libsodium's one-shot calls: the reference of each cipher. */

/* ---- ChaCha20-Poly1305 ------------------------------------------------------------------------------------------- */

static void chacha_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *key)
{
        uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

        cipher_nonce(nonce, sizeof nonce, counter);
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, NULL, 0, NULL, nonce, key);
}

static bool chacha_open(uint8_t *data, size_t len, uint64_t counter, const void *key)
{
        uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

        cipher_nonce(nonce, sizeof nonce, counter);
        return crypto_aead_chacha20poly1305_ietf_decrypt(data, NULL, NULL, data, len, NULL, 0, nonce, key) == 0;
}

const struct cipher cipher_chacha_sodium = {
        .name = "ChaCha20-Poly1305",
        .implementation = "libsodium",
        .id = CIPHER_CHACHA20_POLY1305,
        .key_len = crypto_aead_chacha20poly1305_ietf_KEYBYTES,
        .nonce_len = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
        .tag_len = crypto_aead_chacha20poly1305_ietf_ABYTES,
        .schedule_len = sizeof(struct key),
        .schedule = cipher_schedule_key,
        .seal = chacha_seal,
        .open = chacha_open,
        .available = cipher_always,
};

/* ---- AES-256-GCM ------------------------------------------------------------------------------------------------- */

static void gcm_schedule(void *schedule, const struct key *key)
{
        crypto_aead_aes256gcm_beforenm(schedule, key->bytes);
}

static void gcm_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *schedule)
{
        uint8_t nonce[crypto_aead_aes256gcm_NPUBBYTES];

        cipher_nonce(nonce, sizeof nonce, counter);
        crypto_aead_aes256gcm_encrypt_afternm(out, NULL, in, len, NULL, 0, NULL, nonce, schedule);
}

static bool gcm_open(uint8_t *data, size_t len, uint64_t counter, const void *schedule)
{
        uint8_t nonce[crypto_aead_aes256gcm_NPUBBYTES];

        cipher_nonce(nonce, sizeof nonce, counter);
        return crypto_aead_aes256gcm_decrypt_afternm(data, NULL, NULL, data, len, NULL, 0, nonce, schedule) == 0;
}

static bool gcm_available(void)
{
        return crypto_aead_aes256gcm_is_available();
}

static_assert(sizeof(crypto_aead_aes256gcm_state) <= CIPHER_SCHEDULE_MAX, "a schedule fits");
static_assert(_Alignof(crypto_aead_aes256gcm_state) <= CIPHER_SCHEDULE_ALIGN, "a schedule is aligned");

const struct cipher cipher_gcm_sodium = {
        .name = "AES-256-GCM",
        .implementation = "libsodium",
        .id = CIPHER_AES_256_GCM,
        .key_len = crypto_aead_aes256gcm_KEYBYTES,
        .nonce_len = crypto_aead_aes256gcm_NPUBBYTES,
        .tag_len = crypto_aead_aes256gcm_ABYTES,
        .schedule_len = sizeof(crypto_aead_aes256gcm_state),
        .schedule = gcm_schedule,
        .seal = gcm_seal,
        .open = gcm_open,
        .available = gcm_available,
};

/* ---- AEGIS-256, of libsodium 1.0.19 and later -------------------------------------------------------------------- */

#ifdef crypto_aead_aegis256_KEYBYTES

static void aegis_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *key)
{
        uint8_t nonce[crypto_aead_aegis256_NPUBBYTES];

        cipher_nonce(nonce, sizeof nonce, counter);
        crypto_aead_aegis256_encrypt(out, NULL, in, len, NULL, 0, NULL, nonce, key);
}

static bool aegis_open(uint8_t *data, size_t len, uint64_t counter, const void *key)
{
        uint8_t nonce[crypto_aead_aegis256_NPUBBYTES];

        cipher_nonce(nonce, sizeof nonce, counter);
        return crypto_aead_aegis256_decrypt(data, NULL, NULL, data, len, NULL, 0, nonce, key) == 0;
}

static_assert(crypto_aead_aegis256_ABYTES <= CIPHER_TAG_MAX, "a tag fits");

const struct cipher cipher_aegis_sodium = {
        .name = "AEGIS-256",
        .implementation = "libsodium",
        .id = CIPHER_AEGIS_256,
        .key_len = crypto_aead_aegis256_KEYBYTES,
        .nonce_len = crypto_aead_aegis256_NPUBBYTES,
        .tag_len = crypto_aead_aegis256_ABYTES,
        .schedule_len = sizeof(struct key),
        .schedule = cipher_schedule_key,
        .seal = aegis_seal,
        .open = aegis_open,
        .available = cipher_always,
};

#else

const struct cipher cipher_aegis_sodium = {
        .name = "AEGIS-256", .implementation = "libsodium", .id = CIPHER_AEGIS_256, .available = cipher_never
};

#endif
