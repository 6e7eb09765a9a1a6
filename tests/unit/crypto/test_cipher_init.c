#include "crypto/cipher_rows.h"
#include "tests/unit/crypto/cipher_each.h"

#include <pthread.h>

/* ---- The choice, by a clock of the test's own -------------------------------------------------------------------- */

/* cipher_init reads the clock twice for each sound row, in the order of the table, round after round. */
static unsigned sound_rows, fast_row, readings;
static uint64_t ticks;

static uint64_t partial_clock(void)
{
        unsigned row = readings / 2 % sound_rows, round = readings / 2 / sound_rows;
        uint64_t disturbed = round % 2 ? 30 : 1; /* every other round; the least of all is the cost */

        if (readings++ % 2) ticks += disturbed * (row == fast_row ? 8 * 100 : 8 * 1000);
        return ticks;
}

static unsigned count_sound(const struct cipher *rows[])
{
        const struct cipher *cipher;
        unsigned count = 0;

        for (size_t i = 0; (cipher = cipher_row(i)); i++)
                if (cipher_cost(cipher)) rows[count++] = cipher;
        return count;
}

static void before_init(void **state)
{
        const struct cipher *cipher;

        (void)state;
        assert_string_equal(cipher_default()->implementation, "libsodium");
        for (size_t i = 0; (cipher = cipher_row(i)); i++) {
                assert_int_equal(cipher_cost(cipher), 0);
                assert_false(cipher_choose(cipher));
                assert_false(cipher_prefer(cipher->implementation));
                if (strcmp(cipher->implementation, "ipsec-mb") == 0) assert_false(cipher->available());
        }
}

/* All that this machine has is sound, or ipsec-mb and libsodium disagree. */
static void everything_agrees(void **state)
{
        const struct cipher *cipher;

        (void)state;
        cipher_init(1, stopped_clock);
        for (size_t i = 0; (cipher = cipher_row(i)); i++)
                assert_int_equal(cipher_cost(cipher), cipher->available() ? 1 : 0);
        assert_string_equal(cipher_default()->implementation, "libsodium"); /* a tie is the reference's */
}

static void the_fastest_is_chosen(void **state)
{
        const struct cipher *rows[16];

        (void)state;
        cipher_init(1, stopped_clock);
        sound_rows = count_sound(rows);
        assert_in_range(sound_rows, 2, ROWS(rows));
        for (fast_row = 0; fast_row < sound_rows; fast_row++) {
                readings = 0;
                cipher_init(1, partial_clock);
                for (unsigned i = 0; i < sound_rows; i++) {
                        assert_int_equal(cipher_cost(rows[i]), i == fast_row ? 100 : 1000);
                        assert_true(rows[i]->id != rows[fast_row]->id || cipher_find(rows[i]->id) == rows[fast_row]);
                        assert_non_null(cipher_find(rows[i]->id));
                }
        }
}

static void the_choice_can_be_made_by_hand(void **state)
{
        const struct cipher *rows[16];

        (void)state;
        cipher_init(1, stopped_clock);
        sound_rows = count_sound(rows);
        for (unsigned i = 0; i < sound_rows; i++) {
                assert_true(cipher_choose(rows[i]));
                assert_ptr_equal(cipher_find(rows[i]->id), rows[i]);
        }
        assert_false(cipher_choose(NULL));

        cipher_init(1, stopped_clock); /* decides anew */
        assert_string_equal(cipher_default()->implementation, "libsodium");
}

static void an_implementation_can_be_preferred(void **state)
{
        const char *names[] = { "libsodium", "libsodium padded", "ipsec-mb" };
        const struct cipher *rows[16], *before[CIPHER_IDS];

        (void)state;
        for (size_t n = 0; n < ROWS(names); n++) {
                bool had[CIPHER_IDS] = { false }, any = false;

                cipher_init(1, stopped_clock);
                sound_rows = count_sound(rows);
                for (uint8_t id = 0; id < CIPHER_IDS; id++)
                        before[id] = cipher_find(id);
                for (unsigned i = 0; i < sound_rows; i++)
                        if (strcmp(rows[i]->implementation, names[n]) == 0) any = had[rows[i]->id] = true;
                assert_int_equal(cipher_prefer(names[n]), any);
                for (uint8_t id = 0; id < CIPHER_IDS; id++) {
                        if (had[id]) assert_string_equal(cipher_find(id)->implementation, names[n]);
                        else assert_ptr_equal(cipher_find(id), before[id]);
                }
        }
        assert_true(cipher_prefer("libsodium") && cipher_prefer("padded"));
        assert_string_equal(cipher_default()->implementation, "libsodium padded");
        assert_false(cipher_prefer("openssl") || cipher_prefer("") || cipher_prefer("libsodium "));
        assert_string_equal(cipher_default()->implementation, "libsodium padded");
}

static void the_implementations_are_listed_once(void **state)
{
        char text[64], cut[12];
        const char *at;

        (void)state;
        cipher_init(1, stopped_clock);
        assert_ptr_equal(cipher_implementations(text, sizeof text), text);
        assert_ptr_equal(strstr(text, "libsodium, libsodium padded"), text);
        at = strstr(text, ", ipsec-mb");
        assert_int_equal(!!at, cipher_prefer("ipsec-mb"));
        assert_true(!at || strcmp(at, ", ipsec-mb") == 0);
        assert_string_equal(cipher_implementations(cut, sizeof cut), "libsodium, ");
}

/* ---- The self-test, on rows that lie ----------------------------------------------------------------------------- */

enum lie {
        LIE_NONE,
        LIE_TEXT,
        LIE_TAG,
        LIE_LONG_ONES,
        LIE_IN_PLACE,     /* another tag, and it takes that too */
        LIE_OUT_OF_PLACE, /* the same */
        LIE_OPENS_ALL,
        LIE_OPENS_NONE,
        LIE_PLAINTEXT,
        LIES,
};

static enum lie lie;

static void lying_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *schedule)
{
        bool same = out == in;

        cipher_chacha_sodium.seal(out, in, len, counter, schedule);
        if (lie == LIE_TEXT && len) out[len / 2] ^= 1;
        if (lie == LIE_TAG) out[len + 15] ^= 0x80;
        if (lie == LIE_LONG_ONES && len > 1472) out[len - 1] ^= 1;
        if (lie == (same ? LIE_IN_PLACE : LIE_OUT_OF_PLACE)) out[len] ^= 1;
}

static bool lying_open(uint8_t *data, size_t len, uint64_t counter, const void *schedule)
{
        static uint8_t again[1 << 13];
        bool good;

        memcpy(again, data, len);
        good = cipher_chacha_sodium.open(data, len, counter, schedule);
        if (!good && (lie == LIE_IN_PLACE || lie == LIE_OUT_OF_PLACE)) {
                memcpy(data, again, len);
                data[len - 16] ^= 1;
                good = cipher_chacha_sodium.open(data, len, counter, schedule);
        }
        if (lie == LIE_PLAINTEXT && good && len > 16) data[0] ^= 1;
        return lie == LIE_OPENS_ALL || (good && lie != LIE_OPENS_NONE);
}

static void a_row_that_lies_is_found_out(void **state)
{
        struct cipher liar = cipher_chacha_sodium;

        (void)state;
        liar.seal = lying_seal;
        liar.open = lying_open;
        for (lie = LIE_NONE; lie < LIES; lie++)
                assert_int_equal(cipher_agrees(&liar, &cipher_chacha_sodium), lie == LIE_NONE);
        lie = LIE_NONE;
        liar.tag_len = 15;
        assert_false(cipher_agrees(&liar, &cipher_chacha_sodium));
}

/* ---- Threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 6, PACKETS = 300 };

struct worker {
        pthread_t thread;
        uint8_t first;
        bool ok;
};

static bool same_as_reference(const struct cipher *cipher, const struct key *key, uint64_t counter, size_t len)
{
        const struct cipher *reference = cipher_first(cipher->id);
        struct scheduled schedule, reference_schedule;
        uint8_t data[1500 + CIPHER_TAG_MAX], expected[sizeof data];

        cipher->schedule(schedule.bytes, key);
        reference->schedule(reference_schedule.bytes, key);
        memset(data, (int)counter, len);
        reference->seal(expected, data, len, counter, reference_schedule.bytes);
        cipher->seal(data, data, len, counter, schedule.bytes);
        if (memcmp(data, expected, len + cipher->tag_len) != 0) return false;
        data[0] ^= 1;
        if (cipher->open(data, len + cipher->tag_len, counter, schedule.bytes)) return false;
        return cipher->open(expected, len + cipher->tag_len, counter, schedule.bytes);
}

static void *work(void *argument)
{
        struct worker *worker = argument;
        const struct cipher *cipher;
        struct key key;

        count_up(key.bytes, KEY_LEN, worker->first);
        worker->ok = true;
        for (unsigned n = 0; n < PACKETS; n++)
                for (size_t i = 0; (cipher = cipher_row(i)); i++)
                        if (cipher->available())
                                worker->ok &= same_as_reference(cipher, &key, n, (n * 37 + worker->first) % 1500);
        return NULL;
}

/* More threads than cipher_init was told of: some have no manager of ipsec-mb, and all get the same bytes. */
static void threads_do_not_disturb_each_other(void **state)
{
        struct worker workers[THREADS];

        (void)state;
        cipher_init(3, stopped_clock);
        for (unsigned i = 0; i < THREADS; i++) {
                workers[i].first = (uint8_t)(1 + i * 40);
                assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
        }
        for (unsigned i = 0; i < THREADS; i++) {
                assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
                assert_true(workers[i].ok);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(before_init),
                cmocka_unit_test(everything_agrees),
                cmocka_unit_test(the_fastest_is_chosen),
                cmocka_unit_test(the_choice_can_be_made_by_hand),
                cmocka_unit_test(an_implementation_can_be_preferred),
                cmocka_unit_test(the_implementations_are_listed_once),
                cmocka_unit_test(a_row_that_lies_is_found_out),
                cmocka_unit_test(threads_do_not_disturb_each_other),
        };

        return cmocka_run_group_tests_name("cipher init", tests, sodium_setup, NULL);
}
