#include "crypto/cookie.h"

#include <sodium.h>
#include <string.h>

static_assert(MESSAGE_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "XChaCha20");
static_assert(MESSAGE_TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES, "XChaCha20");

static const char label_mac1[] = "mac1----";
static const char label_cookie[] = "cookie--";

static void derive_keys(uint8_t mac1_key[KDF_HASH_LEN], struct key *cookie_key, const struct key *public_key)
{
        kdf_hash(mac1_key, label_mac1, sizeof label_mac1 - 1, public_key->bytes, KEY_LEN);
        kdf_hash(cookie_key->bytes, label_cookie, sizeof label_cookie - 1, public_key->bytes, KEY_LEN);
}

/* Where the macs of a handshake message begin; 0 when it is none. mac1 covers what is before, mac2 that and mac1. */
static size_t macs_offset(size_t len)
{
        if (len == sizeof(struct message_initiation)) return offsetof(struct message_initiation, macs);
        if (len == sizeof(struct message_response)) return offsetof(struct message_response, macs);
        return 0;
}

void cookie_checker_init(struct cookie_checker *checker, const struct key *public_key,
                         const uint8_t secret[KDF_HASH_LEN], uint64_t now)
{
        derive_keys(checker->mac1_key, &checker->cookie_key, public_key);
        memcpy(checker->secret, secret, KDF_HASH_LEN);
        checker->secret_born = now;
}

/* What an address has to show. One hash per renewal makes yesterday's cookies worthless and needs no randomness. */
static void make_cookie(struct cookie_checker *checker, uint64_t now, const uint8_t *address, size_t address_len,
                        uint8_t cookie[MESSAGE_COOKIE_LEN])
{
        if (now - checker->secret_born >= COOKIE_LIFETIME) {
                kdf_hash(checker->secret, checker->secret, KDF_HASH_LEN, NULL, 0);
                checker->secret_born = now;
        }
        kdf_mac(cookie, checker->secret, KDF_HASH_LEN, address, address_len);
}

enum cookie_verdict cookie_check(struct cookie_checker *checker, uint64_t now, const void *message, size_t len,
                                 const uint8_t *address, size_t address_len)
{
        size_t offset = macs_offset(len);
        uint8_t mac[MESSAGE_MAC_LEN], cookie[MESSAGE_COOKIE_LEN];
        struct message_macs macs;
        bool valid;

        if (offset == 0) return COOKIE_INVALID_MAC1;
        memcpy(&macs, (const uint8_t *)message + offset, sizeof macs);

        kdf_mac(mac, checker->mac1_key, sizeof checker->mac1_key, message, offset);
        if (sodium_memcmp(mac, macs.mac1, sizeof mac) != 0) return COOKIE_INVALID_MAC1;

        make_cookie(checker, now, address, address_len, cookie);
        kdf_mac(mac, cookie, sizeof cookie, message, offset + sizeof macs.mac1);
        valid = sodium_memcmp(mac, macs.mac2, sizeof mac) == 0;
        sodium_memzero(cookie, sizeof cookie);
        sodium_memzero(mac, sizeof mac);
        return valid ? COOKIE_VALID : COOKIE_VALID_MAC1_ONLY;
}

void cookie_reply_create(struct cookie_checker *checker, uint64_t now, const void *message, size_t len,
                         const uint8_t *address, size_t address_len, const uint8_t nonce[MESSAGE_NONCE_LEN],
                         struct message_cookie_reply *out)
{
        const uint8_t *bytes = message;
        const uint8_t *mac1 = bytes + macs_offset(len);
        uint8_t cookie[MESSAGE_COOKIE_LEN];

        out->type = le32_put(MESSAGE_COOKIE_REPLY);
        memcpy(&out->receiver, bytes + offsetof(struct message_initiation, sender), sizeof out->receiver);
        memcpy(out->nonce, nonce, sizeof out->nonce);

        make_cookie(checker, now, address, address_len, cookie);
        crypto_aead_xchacha20poly1305_ietf_encrypt(out->encrypted_cookie, NULL, cookie, sizeof cookie, mac1,
                                                   MESSAGE_MAC_LEN, NULL, nonce, checker->cookie_key.bytes);
        sodium_memzero(cookie, sizeof cookie);
}

void cookie_jar_init(struct cookie_jar *jar, const struct key *remote_public)
{
        memset(jar, 0, sizeof *jar);
        derive_keys(jar->mac1_key, &jar->cookie_key, remote_public);
}

void cookie_add_macs(struct cookie_jar *jar, uint64_t now, void *message, size_t len)
{
        size_t offset = macs_offset(len);
        uint8_t *bytes = message;
        struct message_macs macs = { 0 };

        if (offset == 0) return;
        kdf_mac(macs.mac1, jar->mac1_key, sizeof jar->mac1_key, bytes, offset);
        memcpy(bytes + offset, &macs, sizeof macs);

        if (jar->has_cookie && now - jar->cookie_born < COOKIE_LIFETIME) {
                kdf_mac(macs.mac2, jar->cookie, sizeof jar->cookie, bytes, offset + sizeof macs.mac1);
                memcpy(bytes + offset, &macs, sizeof macs);
        }
        memcpy(jar->last_mac1, macs.mac1, sizeof jar->last_mac1);
        jar->awaits_reply = true;
}

bool cookie_consume_reply(struct cookie_jar *jar, uint64_t now, const struct message_cookie_reply *msg)
{
        uint8_t cookie[MESSAGE_COOKIE_LEN];
        bool ok;

        if (!jar->awaits_reply || le32_get(msg->type) != MESSAGE_COOKIE_REPLY) return false;
        ok = crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, msg->encrypted_cookie,
                                                        sizeof msg->encrypted_cookie, jar->last_mac1,
                                                        sizeof jar->last_mac1, msg->nonce, jar->cookie_key.bytes) == 0;
        if (ok) {
                memcpy(jar->cookie, cookie, sizeof cookie);
                jar->cookie_born = now;
                jar->has_cookie = true;
                jar->awaits_reply = false;
        }
        sodium_memzero(cookie, sizeof cookie);
        return ok;
}
