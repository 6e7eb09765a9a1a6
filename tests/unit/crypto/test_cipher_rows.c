#include "tests/unit/crypto/cipher_each.h"

#include <stdlib.h>

/* Each implementation against the first of its cipher, libsodium's one-shot call, on random input: where a packet lies,
 * how long it is, and what is done to it. */
enum { LONG_LEN = 65519, GUARD = 64, RANDOM_ROUNDS = 400 };

/* A packet with a guard on both sides, at any alignment. */
struct guarded {
        uint8_t *memory, *packet;
        size_t room, offset;
};

static void fill(uint8_t *bytes, size_t len, unsigned seed)
{
        for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)(seed + i * 7);
}

static struct guarded guarded_new(size_t room, size_t offset)
{
        struct guarded guarded = { .memory = malloc(offset + room + 2 * GUARD), .room = room, .offset = offset };

        assert_non_null(guarded.memory);
        fill(guarded.memory, offset + room + 2 * GUARD, 0xa5);
        guarded.packet = guarded.memory + offset + GUARD;
        return guarded;
}

static void guarded_check_free(struct guarded *guarded)
{
        size_t total = guarded->offset + guarded->room + 2 * GUARD;
        uint8_t *expected = malloc(total);

        assert_non_null(expected);
        fill(expected, total, 0xa5);
        assert_memory_equal(guarded->memory, expected, guarded->offset + GUARD);
        assert_memory_equal(guarded->packet + guarded->room, expected + total - GUARD, GUARD);
        free(expected);
        free(guarded->memory);
}

static void assert_no_plaintext(const uint8_t *data, const uint8_t *plain, size_t len)
{
        for (size_t i = 0; i + 16 <= len; i++)
                assert_memory_not_equal(data + i, plain + i, 16);
}

struct sealed {
        const struct cipher *cipher;
        struct key key;
        struct scheduled schedule, reference_schedule;
        uint64_t counter;
        size_t len;
        uint8_t plain[LONG_LEN], bytes[LONG_LEN + CIPHER_TAG_MAX];
};

static void sealed_make(struct sealed *sealed, const struct cipher *cipher, size_t len)
{
        const struct cipher *reference = cipher_first(cipher->id);

        sealed->cipher = cipher;
        sealed->len = len;
        randombytes_buf(&sealed->key, sizeof sealed->key);
        randombytes_buf(&sealed->counter, sizeof sealed->counter);
        randombytes_buf(sealed->plain, len);
        cipher->schedule(sealed->schedule.bytes, &sealed->key);
        reference->schedule(sealed->reference_schedule.bytes, &sealed->key);
        reference->seal(sealed->bytes, sealed->plain, len, sealed->counter, sealed->reference_schedule.bytes);
}

static void check_seal(const struct sealed *sealed, size_t offset, bool in_place)
{
        const struct cipher *cipher = sealed->cipher;
        size_t sealed_len = sealed->len + cipher->tag_len;
        struct guarded out = guarded_new(sealed_len, offset), in = guarded_new(sealed->len, offset * 5 % 64);

        memcpy(in.packet, sealed->plain, sealed->len);
        memcpy(out.packet, sealed->plain, sealed->len);
        cipher->seal(out.packet, in_place ? out.packet : in.packet, sealed->len, sealed->counter,
                     sealed->schedule.bytes);
        assert_memory_equal(out.packet, sealed->bytes, sealed_len);
        assert_memory_equal(in.packet, sealed->plain, sealed->len);
        guarded_check_free(&out);
        guarded_check_free(&in);
}

static void check_open(const struct sealed *sealed, size_t offset)
{
        const struct cipher *cipher = sealed->cipher;
        size_t sealed_len = sealed->len + cipher->tag_len;
        struct guarded data = guarded_new(sealed_len, offset);

        memcpy(data.packet, sealed->bytes, sealed_len);
        assert_true(cipher->open(data.packet, sealed_len, sealed->counter, sealed->schedule.bytes));
        assert_memory_equal(data.packet, sealed->plain, sealed->len);
        guarded_check_free(&data);
}

enum damage { DAMAGE_TAG, DAMAGE_TEXT, DAMAGE_COUNTER, DAMAGE_KEY, DAMAGE_CUT, DAMAGES };

static void check_refused(const struct sealed *sealed, size_t offset, enum damage damage)
{
        const struct cipher *cipher = sealed->cipher;
        size_t sealed_len = sealed->len + cipher->tag_len;
        uint8_t bit = (uint8_t)(1 << randombytes_uniform(8));
        struct guarded data = guarded_new(sealed_len, offset);
        struct scheduled schedule = sealed->schedule;
        uint64_t counter = sealed->counter;
        struct key key = sealed->key;

        memcpy(data.packet, sealed->bytes, sealed_len);
        if (damage == DAMAGE_TAG) data.packet[sealed->len + randombytes_uniform(cipher->tag_len)] ^= bit;
        if (damage == DAMAGE_TEXT) data.packet[randombytes_uniform((uint32_t)sealed->len)] ^= bit;
        if (damage == DAMAGE_COUNTER) counter ^= UINT64_C(1) << randombytes_uniform(64);
        if (damage == DAMAGE_KEY) {
                key.bytes[randombytes_uniform(KEY_LEN)] ^= bit;
                cipher->schedule(schedule.bytes, &key);
        }
        if (damage == DAMAGE_CUT) sealed_len -= 1 + randombytes_uniform((uint32_t)sealed_len);
        assert_false(cipher->open(data.packet, sealed_len, counter, schedule.bytes));
        assert_no_plaintext(data.packet, sealed->plain, sealed->len);
        guarded_check_free(&data);
}

static void one_length(const struct cipher *cipher, size_t len)
{
        struct sealed *sealed = aligned_alloc(CIPHER_SCHEDULE_ALIGN, sizeof *sealed);
        size_t offset = randombytes_uniform(64);

        assert_non_null(sealed);
        sealed_make(sealed, cipher, len);
        check_seal(sealed, offset, false);
        check_seal(sealed, offset, true);
        check_open(sealed, offset);
        for (unsigned damage = 0; damage < DAMAGES; damage++)
                if (len || damage != DAMAGE_TEXT) check_refused(sealed, offset, damage);
        free(sealed);
}

static void random_lengths_of(const struct cipher *cipher)
{
        for (unsigned i = 0; i < RANDOM_ROUNDS; i++)
                one_length(cipher, randombytes_uniform(2049));
}

static void random_lengths(void **state)
{
        (void)state;
        assert_true(cipher_each(random_lengths_of) >= 2);
}

/* Where an implementation changes its way: blocks, strides of eight blocks, the end of the padded one's memory. */
static void boundaries_of(const struct cipher *cipher)
{
        static const size_t edges[] = {
                0, 16, 64, 128, 192, 256, 448, 512, 704, 960, 1024, 1420, 1472, 1920, 1953, 1984
        };

        for (size_t i = 0; i < ROWS(edges); i++)
                for (size_t len = edges[i] ? edges[i] - 1 : 0; len <= edges[i] + 1; len++)
                        one_length(cipher, len);
        one_length(cipher, 9000);
        one_length(cipher, LONG_LEN);
}

static void boundaries(void **state)
{
        (void)state;
        assert_true(cipher_each(boundaries_of) >= 2);
}

/* Neighbours in one piece of memory, as a batch lies: each packet at a stride that leaves no room between them. */
static void neighbours_of(const struct cipher *cipher)
{
        enum { PACKETS = 5, LEN = 1419 };
        static uint8_t plain[LEN], slab[PACKETS][LEN + CIPHER_TAG_MAX];
        size_t stride = LEN + cipher->tag_len;
        uint8_t *memory = &slab[0][0];
        struct scheduled schedule;
        struct key key;

        randombytes_buf(&key, sizeof key);
        randombytes_buf(plain, sizeof plain);
        cipher->schedule(schedule.bytes, &key);
        for (unsigned i = 0; i < PACKETS; i++)
                cipher->seal(memory + (i * 3 % PACKETS) * stride, plain, LEN, i * 3 % PACKETS, schedule.bytes);
        for (unsigned i = 0; i < PACKETS; i++) {
                unsigned which = i * 2 % PACKETS;
                assert_true(cipher->open(memory + which * stride, stride, which, schedule.bytes));
        }
        for (unsigned i = 0; i < PACKETS; i++)
                assert_memory_equal(memory + i * stride, plain, LEN);
}

static void neighbours(void **state)
{
        (void)state;
        assert_true(cipher_each(neighbours_of) >= 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(random_lengths),
                cmocka_unit_test(boundaries),
                cmocka_unit_test(neighbours),
        };

        return cmocka_run_group_tests_name("cipher rows", tests, cipher_setup, NULL);
}
