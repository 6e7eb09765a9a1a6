/* ECN between the inner and the outer header. */
#include "daemon/data/lane.h"

#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

enum { NOT_ECT, ECT1, ECT0, CE };

static void make4(uint8_t packet[20], uint8_t tos)
{
        static const uint8_t bare[20] = { 0x45, 0, 0, 20, 1, 2, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };

        memcpy(packet, bare, sizeof bare);
        packet[1] = tos;
        uint16_t sum = offload_checksum(packet, 20, 0);
        memcpy(packet + 10, &sum, 2);
}

static void test_outward(void **state)
{
        static const uint8_t outer_of[] = { [NOT_ECT] = NOT_ECT, [ECT1] = ECT1, [ECT0] = ECT0, [CE] = ECT0 };

        (void)state;
        for (uint8_t inner = 0; inner < 4; inner++) {
                uint8_t v4[20], v6[40] = { 0x60, (uint8_t)(inner << 4) };
                make4(v4, 0xb8 | inner); /* the DSCP does not matter */
                assert_int_equal(ecn_outward(v4), outer_of[inner]);
                assert_int_equal(ecn_outward(v6), outer_of[inner]);
        }
}

static void test_inward(void **state)
{
        (void)state;
        for (uint8_t outer = 0; outer < 4; outer++)
                for (uint8_t inner = 0; inner < 4; inner++) {
                        uint8_t expected = outer == CE && inner != NOT_ECT ? CE : inner;
                        uint8_t v4[20], wanted[20], v6[40] = { 0x6f, (uint8_t)(inner << 4 | 0x8f) };
                        make4(v4, 0xb8 | inner);
                        make4(wanted, 0xb8 | expected); /* its checksum counted anew */
                        ecn_inward(v4, 20, outer);
                        assert_memory_equal(v4, wanted, 20);
                        ecn_inward(v6, 40, outer);
                        assert_int_equal(v6[0], 0x6f);
                        assert_int_equal(v6[1], 0x8f | expected << 4);
                }
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_outward), cmocka_unit_test(test_inward) };

        return cmocka_run_group_tests_name("ECN", tests, NULL, NULL);
}
