#include "crypto/cipher.h"

#include "crypto/message.h"

#include <sodium.h>
#include <string.h>

static void counter_nonce(uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES], uint64_t counter)
{
        struct le64 le = le64_put(counter);

        memset(nonce, 0, 4);
        memcpy(nonce + 4, le.bytes, sizeof le.bytes);
}

static void chacha_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const struct key *key)
{
        uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

        counter_nonce(nonce, counter);
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, in, len, NULL, 0, NULL, nonce, key->bytes);
}

static bool chacha_open(uint8_t *data, size_t len, uint64_t counter, const struct key *key)
{
        uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

        counter_nonce(nonce, counter);
        return crypto_aead_chacha20poly1305_ietf_decrypt(data, NULL, NULL, data, len, NULL, 0, nonce, key->bytes) == 0;
}

static bool always(void)
{
        return true;
}

/* The first row is WireGuard's own. */
static const struct cipher ciphers[] = {
        { .name = "ChaCha20-Poly1305",
          .id = CIPHER_CHACHA20_POLY1305,
          .key_len = crypto_aead_chacha20poly1305_ietf_KEYBYTES,
          .nonce_len = crypto_aead_chacha20poly1305_ietf_NPUBBYTES,
          .tag_len = crypto_aead_chacha20poly1305_ietf_ABYTES,
          .seal = chacha_seal,
          .open = chacha_open,
          .available = always },
};

const struct cipher *cipher_default(void)
{
        return &ciphers[0];
}

const struct cipher *cipher_find(uint8_t id)
{
        for (size_t i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++) {
                if (ciphers[i].id == id && ciphers[i].available()) return &ciphers[i];
        }
        return NULL;
}
