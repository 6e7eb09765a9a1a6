#ifndef ADIT_CRYPTO_CIPHER_H
#define ADIT_CRYPTO_CIPHER_H

#include "crypto/key.h"

/* The ciphers of data packets: a table with one row for each implementation. Rows of one id give the same bytes, so
 * which of them is used is nobody else's business. No additional data. The nonce is a packet's counter, little endian
 * in its last 8 bytes, zero before (WireGuard paper, 5.4.6): never seal twice with one key and counter.
 *
 * Reentrant: any thread may call any row. A row allocates nothing, keeps nothing of a packet, and touches no byte
 * outside what it is given: no room before or after a packet is asked for. */
enum {
        CIPHER_CHACHA20_POLY1305, /* ids, as two Adits name them to each other (the session upgrade) */
        CIPHER_AES_256_GCM,
        CIPHER_AEGIS_256,
        CIPHER_IDS,
};

enum { CIPHER_TAG_MAX = 32, CIPHER_SCHEDULE_MAX = 1024, CIPHER_SCHEDULE_ALIGN = 64 };

struct cipher {
        const char *name;
        const char *implementation; /* "libsodium", "libsodium padded", "ipsec-mb" */
        uint8_t id;
        uint8_t key_len, nonce_len, tag_len;
        uint16_t schedule_len; /* at most CIPHER_SCHEDULE_MAX */

        /* Expands a key into what seal and open read: schedule_len bytes at CIPHER_SCHEDULE_ALIGN, as secret as the
         * key, and good for this row alone. Of ChaCha20-Poly1305 and AEGIS-256 the schedule is the struct key itself,
         * at any alignment. */
        void (*schedule)(void *schedule, const struct key *key);

        /* Writes len + tag_len bytes to `out`, which is `in` itself or does not overlap it. */
        void (*seal)(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *schedule);

        /* In place: `len` counts the tag; the plaintext is the first len - tag_len bytes. False when forged or shorter
         * than a tag: then `data` holds no plaintext and is not to be used. */
        bool (*open)(uint8_t *data, size_t len, uint64_t counter, const void *schedule);

        /* Can this machine and this build do it? ipsec-mb: after cipher_init. */
        bool (*available)(void);
};

/* Once, after sodium_init() and before the process gives up its rights and starts threads: makes what ipsec-mb needs
 * for `threads` threads that seal or open, the caller among them (200 KB each once it does, kept for ever; a
 * thread beyond that number is served by libsodium), has every row agree with libsodium's one-shot call byte for byte,
 * and times those that do, so that cipher_find gives the fastest. Takes 2 to 7 ms. `now` is a clock in nanoseconds. */
void cipher_init(unsigned threads, uint64_t (*now)(void));

/* What WireGuard speaks: ChaCha20-Poly1305. Always there; before cipher_init it is libsodium's one-shot call. */
const struct cipher *cipher_default(void);

/* NULL when there is no such cipher or it is not available here. */
const struct cipher *cipher_find(uint8_t id);

/* Nanoseconds to seal 1420 bytes, as cipher_init measured; 0 for a row that is not available or did not agree. */
uint32_t cipher_cost(const struct cipher *cipher);

/* Row by row, for tests and benchmarks; NULL past the last. cipher_choose overrides the choice for the row's id; false
 * when the row has no cost. */
const struct cipher *cipher_row(size_t i);
bool cipher_choose(const struct cipher *cipher);

/* After cipher_init: chooses the rows of one implementation ("padded" is short for "libsodium padded"), whatever they
 * cost; an id that it does not have keeps its choice. False, and nothing changed, when it has no row with a cost. */
bool cipher_prefer(const char *implementation);

/* The implementations that cipher_prefer takes here, "libsodium, libsodium padded": the text, cut to `size`. */
const char *cipher_implementations(char *text, size_t size);

#endif
