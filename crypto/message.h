#ifndef ADIT_CRYPTO_MESSAGE_H
#define ADIT_CRYPTO_MESSAGE_H

#include "crypto/key.h"

#include <assert.h>

/* The four messages of WireGuard as they lie on the wire (paper, 5.4.2 to 5.4.7). Every member is of bytes, so that
 * there is no padding and any address will do; sizeof is the length check. */
struct le16 {
        uint8_t bytes[2];
};

struct le32 {
        uint8_t bytes[4];
};

struct le64 {
        uint8_t bytes[8];
};

static inline uint16_t le16_get(struct le16 in)
{
        return (uint16_t)(in.bytes[0] | in.bytes[1] << 8);
}

static inline struct le16 le16_put(uint16_t v)
{
        return (struct le16){ { (uint8_t)v, (uint8_t)(v >> 8) } };
}

static inline uint32_t le32_get(struct le32 in)
{
        return (uint32_t)in.bytes[0] | (uint32_t)in.bytes[1] << 8 | (uint32_t)in.bytes[2] << 16 |
               (uint32_t)in.bytes[3] << 24;
}

static inline struct le32 le32_put(uint32_t v)
{
        return (struct le32){ { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) } };
}

static inline uint64_t le64_get(struct le64 in)
{
        uint64_t v = 0;

        for (int i = 7; i >= 0; i--)
                v = v << 8 | in.bytes[i];
        return v;
}

static inline struct le64 le64_put(uint64_t v)
{
        struct le64 out;

        for (int i = 0; i < 8; i++)
                out.bytes[i] = (uint8_t)(v >> (8 * i));
        return out;
}

/* The type, with its three reserved zero bytes, as one le32. */
enum message_type {
        MESSAGE_INITIATION = 1,
        MESSAGE_RESPONSE = 2,
        MESSAGE_COOKIE_REPLY = 3,
        MESSAGE_DATA = 4,
};

enum {
        MESSAGE_TAG_LEN = 16,       /* Poly1305 */
        MESSAGE_TIMESTAMP_LEN = 12, /* TAI64N, big endian: memcmp orders it */
        MESSAGE_COOKIE_LEN = 16,
        MESSAGE_NONCE_LEN = 24, /* XChaCha20 */
        MESSAGE_MAC_LEN = 16,
        MESSAGE_PADDING = 16, /* inner packets are padded to a multiple of this */
};

/* The last member of the two handshake messages: cookie.h fills and checks it. */
struct message_macs {
        uint8_t mac1[MESSAGE_MAC_LEN];
        uint8_t mac2[MESSAGE_MAC_LEN];
};

struct message_initiation {
        struct le32 type;
        struct le32 sender;
        struct key ephemeral;
        uint8_t encrypted_static[KEY_LEN + MESSAGE_TAG_LEN];
        uint8_t encrypted_timestamp[MESSAGE_TIMESTAMP_LEN + MESSAGE_TAG_LEN];
        struct message_macs macs;
};

struct message_response {
        struct le32 type;
        struct le32 sender;
        struct le32 receiver;
        struct key ephemeral;
        uint8_t empty[MESSAGE_TAG_LEN];
        struct message_macs macs;
};

struct message_cookie_reply {
        struct le32 type;
        struct le32 receiver;
        uint8_t nonce[MESSAGE_NONCE_LEN];
        uint8_t encrypted_cookie[MESSAGE_COOKIE_LEN + MESSAGE_TAG_LEN];
};

/* What comes before the encrypted inner packet and its tag. */
struct message_data {
        struct le32 type;
        struct le32 receiver;
        struct le64 counter;
};

enum {
        MESSAGE_DATA_OVERHEAD = sizeof(struct message_data) + MESSAGE_TAG_LEN, /* 32: a keepalive is just this long */
        MESSAGE_HANDSHAKE_MAX = sizeof(struct message_initiation),             /* the longest that is not data */
};

static_assert(sizeof(struct message_initiation) == 148 && _Alignof(struct message_initiation) == 1, "wire layout");
static_assert(offsetof(struct message_initiation, encrypted_static) == 40, "wire layout");
static_assert(offsetof(struct message_initiation, encrypted_timestamp) == 88, "wire layout");
static_assert(offsetof(struct message_initiation, macs) == 116, "wire layout");
static_assert(sizeof(struct message_response) == 92 && _Alignof(struct message_response) == 1, "wire layout");
static_assert(offsetof(struct message_response, ephemeral) == 12, "wire layout");
static_assert(offsetof(struct message_response, macs) == 60, "wire layout");
static_assert(sizeof(struct message_cookie_reply) == 64 && _Alignof(struct message_cookie_reply) == 1, "wire layout");
static_assert(offsetof(struct message_cookie_reply, encrypted_cookie) == 32, "wire layout");
static_assert(sizeof(struct message_data) == 16 && _Alignof(struct message_data) == 1, "wire layout");

#endif
