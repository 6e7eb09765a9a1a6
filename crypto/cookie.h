#ifndef ADIT_CRYPTO_COOKIE_H
#define ADIT_CRYPTO_COOKIE_H

#include "crypto/kdf.h"
#include "crypto/message.h"

/* mac1, mac2 and cookie replies (WireGuard paper, 5.3, 5.4.4 and 5.4.7). Pure.
 * `now` is in nanoseconds of one clock that never goes back. `address` is the sender's address AND port in any encoding
 * that the caller keeps to, at most COOKIE_ADDRESS_MAX bytes. A message is a whole initiation or response: its last 32
 * bytes are its macs. */
#define COOKIE_LIFETIME (UINT64_C(120) * 1000000000)
enum { COOKIE_ADDRESS_MAX = 64 };

/* The receiving side; one per device, set anew when the device's key changes. */
struct cookie_checker {
        uint8_t mac1_key[KDF_HASH_LEN];
        struct key cookie_key;        /* encrypts the replies */
        uint8_t secret[KDF_HASH_LEN]; /* what cookies are made of; replaced by its own hash every COOKIE_LIFETIME */
        uint64_t secret_born;
};

enum cookie_verdict {
        COOKIE_INVALID_MAC1,    /* or not of a handshake message's length: drop it */
        COOKIE_VALID_MAC1_ONLY, /* knows our public key; under load, answer with a cookie reply and nothing else */
        COOKIE_VALID,           /* and owns this address */
};

/* `secret` is 32 random bytes. */
void cookie_checker_init(struct cookie_checker *checker, const struct key *public_key,
                         const uint8_t secret[KDF_HASH_LEN], uint64_t now);

enum cookie_verdict cookie_check(struct cookie_checker *checker, uint64_t now, const void *message, size_t len,
                                 const uint8_t *address, size_t address_len);

/* Answers a message that cookie_check found to have a valid mac1; `nonce` is random and fresh. */
void cookie_reply_create(struct cookie_checker *checker, uint64_t now, const void *message, size_t len,
                         const uint8_t *address, size_t address_len, const uint8_t nonce[MESSAGE_NONCE_LEN],
                         struct message_cookie_reply *out);

/* The sending side; one per peer. */
struct cookie_jar {
        uint8_t mac1_key[KDF_HASH_LEN]; /* these two come from the peer's public key */
        struct key cookie_key;
        uint8_t cookie[MESSAGE_COOKIE_LEN];
        uint64_t cookie_born;
        uint8_t last_mac1[MESSAGE_MAC_LEN]; /* of the last message sent: a reply must be to that one */
        bool has_cookie, awaits_reply;
};

void cookie_jar_init(struct cookie_jar *jar, const struct key *remote_public);

/* Fills in the macs of an otherwise complete message: mac2 is zero without a cookie younger than COOKIE_LIFETIME. */
void cookie_add_macs(struct cookie_jar *jar, uint64_t now, void *message, size_t len);

/* Keeps the cookie of an authentic reply to the last message sent; the next cookie_add_macs uses it. False, with the
 * jar unchanged, otherwise. A message draws at most one reply. */
bool cookie_consume_reply(struct cookie_jar *jar, uint64_t now, const struct message_cookie_reply *msg);

#endif
