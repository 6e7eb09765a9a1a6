#include "crypto/replay.h"

#include "tests/unit/crypto/vectors.h"

#include <stdlib.h>

struct row {
        uint64_t counter;
        bool accepted;
};

static void check_rows(const struct row *rows, size_t count)
{
        struct replay window = { 0 };

        for (size_t i = 0; i < count; i++) {
                if (replay_accept(&window, rows[i].counter) != rows[i].accepted)
                        fail_msg("row %zu: counter %llu was %s", i, (unsigned long long)rows[i].counter,
                                 rows[i].accepted ? "refused" : "accepted");
        }
}

static void boundaries(void **state)
{
        static const struct row rows[] = {
                { 0, true },
                { 0, false },
                { REPLAY_WINDOW, true },
                { 0, false },
                { 1, true },
                { 1, false },
                { REPLAY_WINDOW - 1, true },
                { REPLAY_WINDOW + 1, true }, /* now 1 is too old, 2 is not */
                { 1, false },
                { 2, true },
                { 63, true },
                { 64, true },
                { 63, false },
                { 64, false },
                { REJECT_AFTER_MESSAGES, false }, /* refused and not remembered */
                { 65, true },
                { UINT64_MAX, false },
                { REJECT_AFTER_MESSAGES - 1, true },
                { REJECT_AFTER_MESSAGES - 1, false },
                { REJECT_AFTER_MESSAGES, false },
                { REJECT_AFTER_MESSAGES - REPLAY_WINDOW, true },
                { REJECT_AFTER_MESSAGES - REPLAY_WINDOW - 1, false },
        };

        (void)state;
        assert_true(REJECT_AFTER_MESSAGES == UINT64_C(0xffffffffffffdfff)); /* 2^64 - 2^13 - 1 */
        check_rows(rows, ROWS(rows));
}

/* Counters of 2^32 and more are not those of 2^32 less. */
static void beyond_32_bits(void **state)
{
        const uint64_t wrap = UINT64_C(1) << 32;
        const struct row rows[] = {
                { wrap - 1, true }, { wrap, true }, { wrap + 1, true }, { wrap - 1, false },
                { 0, false },       { 1, false },   { wrap - 2, true },
        };

        (void)state;
        check_rows(rows, ROWS(rows));
}

/* A jump recycles the ring: what was seen at the same place a turn ago does not refuse a new counter. */
static void jumps_forget_old_bits(void **state)
{
        (void)state;
        for (uint64_t jump = 1; jump < 3 * REPLAY_WINDOW; jump += 61) {
                struct replay window = { 0 };

                for (uint64_t c = 0; c < 200; c++)
                        assert_true(replay_accept(&window, c));
                assert_true(replay_accept(&window, 199 + jump));
                for (uint64_t c = 200; c < 199 + jump; c++) {
                        bool in_window = 200 + jump - c <= REPLAY_WINDOW;

                        if (replay_accept(&window, c) != in_window)
                                fail_msg("after a jump of %llu: %llu", (unsigned long long)jump, (unsigned long long)c);
                }
        }
}

/* The stupid one: a list of all that was accepted. */
struct list {
        uint64_t seen[20000];
        size_t count;
        uint64_t highest;
};

static bool list_accept(struct list *list, uint64_t counter)
{
        if (counter >= REJECT_AFTER_MESSAGES) return false;
        if (list->count > 0 && counter <= list->highest && list->highest - counter >= REPLAY_WINDOW) return false;
        for (size_t i = 0; i < list->count; i++) {
                if (list->seen[i] == counter) return false;
        }
        list->seen[list->count++] = counter;
        if (list->count == 1 || counter > list->highest) list->highest = counter;
        return true;
}

/* Knuth's generator (MMIX): a failure names the seed that brings it back. */
static uint32_t below(uint64_t *random, uint32_t bound)
{
        *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (uint32_t)(*random >> 33) % bound;
}

/* Mostly near the newest, at times far behind or a leap ahead. */
static uint64_t pick_counter(uint64_t *random, uint64_t highest)
{
        uint32_t kind = below(random, 100);

        if (kind < 60) return highest + below(random, 4);
        if (kind < 90) return highest - below(random, 300);
        if (kind < 98) return highest - REPLAY_WINDOW + below(random, 70) - 35;
        return highest + below(random, 2 * REPLAY_WINDOW);
}

static void agrees_with_a_list(void **state)
{
        static const uint64_t starts[] = { 0, 5000, UINT64_C(1) << 32, REJECT_AFTER_MESSAGES - 20000 };
        struct list *list = calloc(1, sizeof *list);
        uint32_t seed = randombytes_random();
        uint64_t random = seed;

        (void)state;
        assert_non_null(list);
        for (size_t s = 0; s < ROWS(starts); s++) {
                struct replay window = { 0 };
                size_t refused = 0;

                *list = (struct list){ .highest = starts[s] };
                for (int i = 0; i < 12000; i++) {
                        uint64_t counter = pick_counter(&random, list->highest);
                        bool expected = list_accept(list, counter);

                        if (replay_accept(&window, counter) != expected)
                                fail_msg("seed %u, start %zu, step %d: %llu", seed, s, i, (unsigned long long)counter);
                        refused += !expected;
                }
                assert_in_range(refused, 100, 11900); /* the input does try both */
        }
        free(list);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(boundaries),
                cmocka_unit_test(beyond_32_bits),
                cmocka_unit_test(jumps_forget_old_bits),
                cmocka_unit_test(agrees_with_a_list),
        };

        return cmocka_run_group_tests_name("replay", tests, sodium_setup, NULL);
}
