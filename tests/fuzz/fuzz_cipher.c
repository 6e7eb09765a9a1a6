/* Any packet under any key, by any implementation, beside libsodium's one-shot call: [row][how][counter 8][key
 * 32][text]. The bits of `how`: 1 in place, 2 the text is what came from the wire; 4 to 7 where it lies. */
#include "crypto/cipher.h"
#include "crypto/message.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
        uint8_t row;
        uint8_t how;
        struct le64 counter;
        struct key key;
};

struct scheduled {
        _Alignas(CIPHER_SCHEDULE_ALIGN) uint8_t bytes[CIPHER_SCHEDULE_MAX];
};

static void check(bool ok)
{
        if (!ok) abort();
}

static uint64_t stopped_clock(void)
{
        return 0;
}

static const struct cipher *one_shot(uint8_t id)
{
        const struct cipher *cipher;
        size_t i = 0;

        while ((cipher = cipher_row(i)) && cipher->id != id)
                i++;
        return cipher;
}

/* Row n of the table whatever this machine has, so that a kept input stays with its row; in place of one that is not
 * available its cipher's one-shot call, or WireGuard's cipher. */
static const struct cipher *available_row(unsigned n)
{
        const struct cipher *cipher;
        size_t rows = 0;

        while (cipher_row(rows))
                rows++;
        cipher = cipher_row(n % rows);
        if (!cipher->available()) cipher = one_shot(cipher->id);
        return cipher->available() ? cipher : one_shot(CIPHER_CHACHA20_POLY1305);
}

/* Of just this size, so that the address sanitizer sees both ends; `offset` only shifts the start. */
static uint8_t *packet_new(uint8_t **memory, size_t len, size_t offset)
{
        check((*memory = malloc(offset + len + 1)));
        return *memory + offset;
}

static void seal_and_open(const struct input *input, const struct cipher *cipher, const uint8_t *text, size_t len)
{
        const struct cipher *reference = one_shot(cipher->id);
        struct scheduled schedule, reference_schedule;
        uint64_t counter = le64_get(input->counter);
        size_t sealed_len = len + cipher->tag_len;
        uint8_t *memory, *out = packet_new(&memory, sealed_len, input->how >> 4);
        uint8_t *expected = malloc(sealed_len);

        check(expected);
        cipher->schedule(schedule.bytes, &input->key);
        reference->schedule(reference_schedule.bytes, &input->key);
        reference->seal(expected, text, len, counter, reference_schedule.bytes);
        if (len) memcpy(out, text, len);
        cipher->seal(out, input->how & 1 ? out : text, len, counter, schedule.bytes);
        check(memcmp(out, expected, sealed_len) == 0);
        check(cipher->open(out, sealed_len, counter, schedule.bytes));
        check(len == 0 || memcmp(out, text, len) == 0);
        free(expected);
        free(memory);
}

/* What was not sealed is not opened, by neither. */
static void open_from_the_wire(const struct input *input, const struct cipher *cipher, const uint8_t *text, size_t len)
{
        const struct cipher *reference = one_shot(cipher->id);
        struct scheduled schedule, reference_schedule;
        uint64_t counter = le64_get(input->counter);
        uint8_t *memory, *copy_memory;
        uint8_t *data = packet_new(&memory, len, input->how >> 4), *copy = packet_new(&copy_memory, len, 0);

        cipher->schedule(schedule.bytes, &input->key);
        reference->schedule(reference_schedule.bytes, &input->key);
        if (len) memcpy(data, text, len);
        if (len) memcpy(copy, text, len);
        bool opened = cipher->open(data, len, counter, schedule.bytes);
        check(opened == reference->open(copy, len, counter, reference_schedule.bytes));
        if (opened) check(memcmp(data, copy, len - cipher->tag_len) == 0);
        free(copy_memory);
        free(memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static bool ready;
        struct input input;

        if (!ready) {
                check(sodium_init() >= 0);
                cipher_init(1, stopped_clock);
                ready = true;
        }
        if (size < sizeof input) return 0;
        memcpy(&input, data, sizeof input);
        const struct cipher *cipher = available_row(input.row);
        if (input.how & 2) open_from_the_wire(&input, cipher, data + sizeof input, size - sizeof input);
        else seal_and_open(&input, cipher, data + sizeof input, size - sizeof input);
        return 0;
}
