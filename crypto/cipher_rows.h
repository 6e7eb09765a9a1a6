#ifndef ADIT_CRYPTO_CIPHER_ROWS_H
#define ADIT_CRYPTO_CIPHER_ROWS_H

#include "crypto/cipher.h"
#include "crypto/message.h"

#include <string.h>

/* Between cipher.c and the implementations: the rows, and what they share. A row that this build cannot have is there
 * all the same, and never available. */
extern const struct cipher cipher_chacha_sodium, cipher_chacha_padded, cipher_chacha_ipsec_mb;
extern const struct cipher cipher_gcm_sodium, cipher_gcm_ipsec_mb;
extern const struct cipher cipher_aegis_sodium;

/* Makes a manager for each of `threads` threads, less those that there are. Fewer when memory is short. */
void cipher_ipsec_mb_init(unsigned threads);

/* Does `cipher` give the bytes of `reference`, take them back, and refuse them when damaged? */
bool cipher_agrees(const struct cipher *cipher, const struct cipher *reference);

static inline void cipher_nonce(uint8_t *nonce, size_t nonce_len, uint64_t counter)
{
        struct le64 le = le64_put(counter);

        memset(nonce, 0, nonce_len - sizeof le);
        memcpy(nonce + nonce_len - sizeof le, le.bytes, sizeof le);
}

static inline void cipher_schedule_key(void *schedule, const struct key *key)
{
        memcpy(schedule, key, sizeof *key);
}

static inline bool cipher_always(void)
{
        return true;
}

static inline bool cipher_never(void)
{
        return false;
}

#endif
