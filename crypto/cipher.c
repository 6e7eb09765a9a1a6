#include "crypto/cipher_rows.h"

#include <sodium.h>
#include <stdio.h>

/* The first row of an id is the reference that the others must agree with. */
static const struct cipher *const rows[] = {
        &cipher_chacha_sodium, &cipher_chacha_padded, &cipher_chacha_ipsec_mb,
        &cipher_gcm_sodium,    &cipher_gcm_ipsec_mb,  &cipher_aegis_sodium,
};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* Written by cipher_init and cipher_choose, before there are threads. */
static uint32_t costs[ROWS];
static const struct cipher *chosen[CIPHER_IDS];

const struct cipher *cipher_row(size_t i)
{
        return i < ROWS ? rows[i] : NULL;
}

static const struct cipher *reference(uint8_t id)
{
        for (size_t i = 0; i < ROWS; i++)
                if (rows[i]->id == id) return rows[i];
        return NULL;
}

const struct cipher *cipher_find(uint8_t id)
{
        const struct cipher *found = id < CIPHER_IDS && chosen[id] ? chosen[id] : reference(id);

        return found && found->available() ? found : NULL;
}

const struct cipher *cipher_default(void)
{
        return cipher_find(CIPHER_CHACHA20_POLY1305);
}

uint32_t cipher_cost(const struct cipher *cipher)
{
        for (size_t i = 0; i < ROWS; i++)
                if (rows[i] == cipher) return costs[i];
        return 0;
}

bool cipher_choose(const struct cipher *cipher)
{
        if (!cipher_cost(cipher)) return false;
        chosen[cipher->id] = cipher;
        return true;
}

bool cipher_prefer(const char *implementation)
{
        bool found = false;

        if (strcmp(implementation, "padded") == 0) implementation = cipher_chacha_padded.implementation;
        for (size_t i = 0; i < ROWS; i++)
                if (strcmp(rows[i]->implementation, implementation) == 0) found |= cipher_choose(rows[i]);
        return found;
}

/* Has a row before `end` this implementation, and a cost? */
static bool listed(const char *implementation, size_t end)
{
        for (size_t i = 0; i < end; i++)
                if (costs[i] && strcmp(rows[i]->implementation, implementation) == 0) return true;
        return false;
}

const char *cipher_implementations(char *text, size_t size)
{
        size_t used = 0;

        text[0] = 0;
        for (size_t i = 0; i < ROWS && used < size; i++)
                if (costs[i] && !listed(rows[i]->implementation, i))
                        used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
                                                 rows[i]->implementation);
        return text;
}

/* ---- Self-test --------------------------------------------------------------------------------------------------- */

enum { AGREE_MAX = 4096 }; /* the longest packet tried */

struct trial {
        const struct cipher *cipher, *reference;
        _Alignas(CIPHER_SCHEDULE_ALIGN) uint8_t cipher_schedule[CIPHER_SCHEDULE_MAX];
        _Alignas(CIPHER_SCHEDULE_ALIGN) uint8_t reference_schedule[CIPHER_SCHEDULE_MAX];
        uint8_t plain[AGREE_MAX], expected[AGREE_MAX + CIPHER_TAG_MAX], got[AGREE_MAX + CIPHER_TAG_MAX];
};

static bool trial_passes(struct trial *trial, size_t len, uint64_t counter)
{
        const struct cipher *cipher = trial->cipher;
        size_t sealed_len = len + cipher->tag_len;
        uint8_t *damaged = trial->got + counter % sealed_len;

        trial->reference->seal(trial->expected, trial->plain, len, counter, trial->reference_schedule);
        memset(trial->got, 0, sealed_len);
        cipher->seal(trial->got, trial->plain, len, counter, trial->cipher_schedule);
        if (memcmp(trial->got, trial->expected, sealed_len) != 0) return false;

        memcpy(trial->got, trial->plain, len); /* and in place */
        memset(trial->got + len, 0, cipher->tag_len);
        cipher->seal(trial->got, trial->got, len, counter, trial->cipher_schedule);
        if (memcmp(trial->got, trial->expected, sealed_len) != 0) return false;

        if (!cipher->open(trial->got, sealed_len, counter, trial->cipher_schedule)) return false;
        if (memcmp(trial->got, trial->plain, len) != 0) return false;

        memcpy(trial->got, trial->expected, sealed_len);
        *damaged ^= 1;
        return !cipher->open(trial->got, sealed_len, counter, trial->cipher_schedule);
}

bool cipher_agrees(const struct cipher *cipher, const struct cipher *reference)
{
        static const uint16_t lens[] = { 0,   1,   15,   16,   17,   31,   32,   63,   64,
                                         65,  127, 128,  129,  191,  192,  255,  256,  257,
                                         511, 512, 1023, 1024, 1408, 1420, 1500, 2047, AGREE_MAX };
        static const struct key key = { { 1, 2, 3, 4 } };
        struct trial trial = { .cipher = cipher, .reference = reference };
        bool passes = cipher->tag_len == reference->tag_len;

        cipher->schedule(trial.cipher_schedule, &key);
        reference->schedule(trial.reference_schedule, &key);
        for (size_t i = 0; i < sizeof trial.plain; i++)
                trial.plain[i] = (uint8_t)(i * 167 >> 3);
        for (size_t i = 0; passes && i < sizeof lens / sizeof lens[0]; i++)
                passes = trial_passes(&trial, lens[i], UINT64_C(0x9e3779b97f4a7c15) * (i + 1));
        return passes;
}

/* ---- Choice ------------------------------------------------------------------------------------------------------ */

enum { COST_LEN = 1420, COST_BATCH = 8, COST_ROUNDS = 12 };

/* The least of some rounds, and the rows in turn within a round: what else the machine does must not decide. */
static void measure(const struct cipher *cipher, uint32_t *cost, uint64_t (*now)(void))
{
        uint8_t packet[COST_LEN + CIPHER_TAG_MAX] = { 0 };
        static const struct key key;
        _Alignas(CIPHER_SCHEDULE_ALIGN) uint8_t schedule[CIPHER_SCHEDULE_MAX];
        uint64_t start, each;

        cipher->schedule(schedule, &key);
        start = now();
        for (uint64_t counter = 0; counter < COST_BATCH; counter++)
                cipher->seal(packet, packet, COST_LEN, counter, schedule);
        each = (now() - start) / COST_BATCH;
        if (each == 0) each = 1;
        if (each < *cost) *cost = (uint32_t)each;
}

static void choose_fastest(void)
{
        for (size_t i = 0; i < ROWS; i++) {
                const struct cipher *best = chosen[rows[i]->id];
                if (costs[i] && (!best || costs[i] < cipher_cost(best))) chosen[rows[i]->id] = rows[i];
        }
}

void cipher_init(unsigned threads, uint64_t (*now)(void))
{
        cipher_ipsec_mb_init(threads);
        memset(chosen, 0, sizeof chosen);
        for (size_t i = 0; i < ROWS; i++) {
                const struct cipher *with = reference(rows[i]->id);
                bool sound = with->available() && rows[i]->available() && cipher_agrees(rows[i], with);
                costs[i] = sound ? UINT32_MAX : 0;
        }
        for (unsigned round = 0; round < COST_ROUNDS; round++)
                for (size_t i = 0; i < ROWS; i++)
                        if (costs[i]) measure(rows[i], &costs[i], now);
        choose_fastest();
}
