#include "daemon/proto/tai64n.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define S    UINT64_C(1000000000)
#define STEP (UINT64_C(1) << TAI64N_WHITEN_BITS) /* 0x01000000 */

static void test_bytes(void **state)
{
        /* The label of 1970 is 0x4000000000000000 + 10 (https://cr.yp.to/libtai/tai64.html). */
        static const struct {
                uint64_t wall;
                uint8_t bytes[MESSAGE_TIMESTAMP_LEN];
        } rows[] = {
                { S, { 0x40, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0 } },
                { S + STEP - 1, { 0x40, 0, 0, 0, 0, 0, 0, 11, 0, 0, 0, 0 } },
                { S + STEP, { 0x40, 0, 0, 0, 0, 0, 0, 11, 1, 0, 0, 0 } },
                { 2 * S - 1, { 0x40, 0, 0, 0, 0, 0, 0, 11, 59, 0, 0, 0 } }, /* 59 * 2^24 < 10^9 < 60 * 2^24 */
                { 1000 * S, { 0x40, 0, 0, 0, 0, 0, 3, 0xf2, 0, 0, 0, 0 } },
        };

        (void)state;
        for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
                struct tai64n clock = { 0 };
                uint8_t out[MESSAGE_TIMESTAMP_LEN];

                tai64n_stamp(&clock, rows[i].wall, out);
                assert_memory_equal(out, rows[i].bytes, sizeof out);
        }
}

/* Whatever the wall clock does: stand still, jump ahead ten years, fall back to 1970. */
static void test_never_goes_back(void **state)
{
        static const uint64_t walls[] = { 5 * S, 5 * S, 5 * S + 1, 4 * S, 6 * S,        315360000 * S,
                                          7 * S, 0,     0,         8 * S, 315360001 * S };
        uint8_t last[MESSAGE_TIMESTAMP_LEN] = { 0 }, out[MESSAGE_TIMESTAMP_LEN];
        struct tai64n clock = { 0 };

        (void)state;
        for (unsigned i = 0; i < sizeof walls / sizeof *walls; i++) {
                tai64n_stamp(&clock, walls[i], out);
                assert_true(memcmp(out, last, sizeof out) > 0);
                memcpy(last, out, sizeof last);
        }
        srand(3);
        for (unsigned i = 0; i < 10000; i++) {
                tai64n_stamp(&clock, 315360000 * S + (uint64_t)rand() % (10 * S), out);
                assert_true(memcmp(out, last, sizeof out) > 0);
                memcpy(last, out, sizeof last);
        }
}

/* The nanoseconds carry into the seconds. */
static void test_carry(void **state)
{
        static const uint8_t expected[MESSAGE_TIMESTAMP_LEN] = { 0x40, 0, 0, 0, 0, 0, 0, 13, 0, 0, 0, 0 };
        struct tai64n clock = { .last = 3 * S - 1 };
        uint8_t out[MESSAGE_TIMESTAMP_LEN];

        (void)state;
        tai64n_stamp(&clock, 0, out);
        assert_memory_equal(out, expected, sizeof out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes),
                cmocka_unit_test(test_never_goes_back),
                cmocka_unit_test(test_carry),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
