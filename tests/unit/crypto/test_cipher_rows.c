#include "tests/unit/crypto/cipher_each.h"

#include <stdlib.h>

/* Each implementation against the first of its cipher, libsodium's one-shot call, on random input: where a packet lies,
 * how long it is, and what is done to it. */
enum { LONG_LEN = 65519, GUARD = 64, EVERY_LEN = 2100 };

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

/* After a refusal a byte is as it came from the wire, or wiped: with 0xd0, says AES-256-GCM of libsodium since 1.0.19.
 */
static void assert_no_plaintext(const uint8_t *data, const uint8_t *wire, size_t len)
{
        for (size_t i = 0; i < len; i++)
                if (data[i] != wire[i] && data[i] != 0 && data[i] != 0xd0)
                        fail_msg("byte %zu of %zu was decrypted", i, len);
}

/* Opens what is refused, from memory of its own with guards. */
static void assert_refused(const struct cipher *cipher, const uint8_t *wire, size_t len, size_t offset,
                           uint64_t counter, const struct scheduled *schedule)
{
        struct guarded data = guarded_new(len, offset);

        memcpy(data.packet, wire, len);
        assert_false(cipher->open(data.packet, len, counter, schedule->bytes));
        assert_no_plaintext(data.packet, wire, len);
        guarded_check_free(&data);
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

enum damage { DAMAGE_COUNTER, DAMAGE_KEY, DAMAGE_CUT, DAMAGES };

static void check_refused(const struct sealed *sealed, size_t offset, enum damage damage)
{
        size_t len = sealed->len + sealed->cipher->tag_len;
        struct scheduled schedule = sealed->schedule;
        uint64_t counter = sealed->counter;
        struct key key = sealed->key;

        if (damage == DAMAGE_COUNTER) counter ^= UINT64_C(1) << randombytes_uniform(64);
        if (damage == DAMAGE_KEY) {
                key.bytes[randombytes_uniform(KEY_LEN)] ^= (uint8_t)(1 << randombytes_uniform(8));
                sealed->cipher->schedule(schedule.bytes, &key);
        }
        if (damage == DAMAGE_CUT) len -= 1 + randombytes_uniform((uint32_t)len);
        assert_refused(sealed->cipher, sealed->bytes, len, offset, counter, &schedule);
}

/* With one bit of byte `at` wrong, of the text or of the tag. */
static void check_byte(struct sealed *sealed, size_t offset, size_t at)
{
        uint8_t bit = (uint8_t)(1 << randombytes_uniform(8));

        sealed->bytes[at] ^= bit;
        assert_refused(sealed->cipher, sealed->bytes, sealed->len + sealed->cipher->tag_len, offset, sealed->counter,
                       &sealed->schedule);
        sealed->bytes[at] ^= bit;
}

static void one_length(const struct cipher *cipher, size_t len, bool every_byte)
{
        struct sealed *sealed = aligned_alloc(CIPHER_SCHEDULE_ALIGN, sizeof *sealed);
        size_t offset = randombytes_uniform(64), sealed_len = len + cipher->tag_len;

        assert_non_null(sealed);
        sealed_make(sealed, cipher, len);
        check_seal(sealed, offset, false);
        check_seal(sealed, offset, true);
        check_open(sealed, offset);
        for (unsigned damage = 0; damage < DAMAGES; damage++)
                check_refused(sealed, offset, damage);
        for (size_t at = 0; every_byte && at < sealed_len; at++)
                check_byte(sealed, offset, at);
        if (len) check_byte(sealed, offset, randombytes_uniform((uint32_t)len));
        check_byte(sealed, offset, len + randombytes_uniform(cipher->tag_len));
        free(sealed);
}

static void every_length_of(const struct cipher *cipher)
{
        for (size_t len = 0; len <= EVERY_LEN; len++)
                one_length(cipher, len, false);
}

static void every_length(void **state)
{
        (void)state;
        assert_true(cipher_each(every_length_of) >= 2);
}

/* Tampered with in every byte. The lengths are where an implementation changes its way: blocks, strides of eight
 * blocks, the end of the padded one's memory. */
static void every_byte_of(const struct cipher *cipher)
{
        static const size_t lens[] = { 0, 1, 15, 16, 17, 63, 64, 65, 128, 255, 256, 257, 1420, 1953, 1954, 2100 };

        for (size_t i = 0; i < ROWS(lens); i++)
                one_length(cipher, lens[i], true);
        one_length(cipher, 9000, false);
        one_length(cipher, LONG_LEN, false);
}

static void every_byte(void **state)
{
        (void)state;
        assert_true(cipher_each(every_byte_of) >= 2);
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
                cmocka_unit_test(every_length),
                cmocka_unit_test(every_byte),
                cmocka_unit_test(neighbours),
        };

        return cmocka_run_group_tests_name("cipher rows", tests, cipher_setup, NULL);
}
