#ifndef ADIT_TESTS_UNIT_CRYPTO_CIPHER_EACH_H
#define ADIT_TESTS_UNIT_CRYPTO_CIPHER_EACH_H

#include "crypto/cipher.h"
#include "tests/unit/crypto/vectors.h"

/* Every implementation that this machine and this build have, and its keys. */

struct scheduled {
        _Alignas(CIPHER_SCHEDULE_ALIGN) uint8_t bytes[CIPHER_SCHEDULE_MAX];
};

static inline uint64_t stopped_clock(void)
{
        return 0;
}

static inline int cipher_setup(void **state)
{
        (void)state;
        if (sodium_init() < 0) return -1;
        cipher_init(1, stopped_clock);
        return 0;
}

/* Calls `check` for each available row and says which, for the log of a failure; returns how many. */
static inline unsigned cipher_each(void (*check)(const struct cipher *cipher))
{
        const struct cipher *cipher;
        unsigned count = 0;

        for (size_t i = 0; (cipher = cipher_row(i)); i++) {
                if (!cipher->available()) continue;
                print_message("# %s, %s\n", cipher->name, cipher->implementation);
                check(cipher);
                count++;
        }
        return count;
}

static inline const struct cipher *cipher_first(uint8_t id)
{
        const struct cipher *cipher;

        for (size_t i = 0; (cipher = cipher_row(i)); i++)
                if (cipher->id == id && cipher->available()) return cipher;
        return NULL;
}

#endif
