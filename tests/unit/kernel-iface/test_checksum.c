/* Every way of summing that this machine has, against byte by byte. */
#include "kernel-iface/checksum.h"
#include "kernel-iface/offload.h"
#include "tests/unit/kernel-iface/test_offload.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Bytes at the very end of their memory, so that the address sanitizer sees a read too far. */
static void check(const struct checksum_method *method, size_t len, size_t shift, int pattern)
{
        uint8_t *bytes = (uint8_t *)malloc(shift + len ? shift + len : 1) + shift;

        for (size_t i = 0; i < len; i++)
                bytes[i] = pattern < 0 ? (uint8_t)draw(256) : (uint8_t)pattern;
        uint16_t folded = checksum_fold(method ? method->sum(bytes, len) : checksum_sum(bytes, len));
        assert_int_equal(ntohs(folded), naive(bytes, len, 0));
        assert_int_equal(ntohs(offload_checksum(bytes, len, 0)), (uint16_t)~naive(bytes, len, 0));
        free(bytes - shift);
}

static void test_lengths_and_alignments(void **state)
{
        size_t count;
        const struct checksum_method *methods = checksum_methods(&count);

        (void)state;
        for (size_t i = 0; i <= count; i++) {
                const struct checksum_method *method = i < count ? &methods[i] : NULL;
                for (size_t len = 0; len < 600; len++)
                        check(method, len, len % 37, len % 3 ? -1 : len % 2 ? 0xff : 0);
                for (int round = 0; round < 2000; round++)
                        check(method, draw(4000), draw(64), -1);
                for (size_t len = 65530; len < 65540; len++) /* where a lane would overflow first */
                        check(method, len, 1, 0xff);
                check(method, 1 << 20, 0, 0xff);
        }
        assert_true(count >= 1);
        print_message("# %zu methods, in use: %s\n", count, methods[count - 1].name);
}

static void test_fold(void **state)
{
        static const struct {
                uint64_t sum;
                uint16_t folded;
        } rows[] = {
                { 0, 0 },
                { 0xffff, 0xffff },
                { 0x10000, 1 },
                { 0x1fffe, 0xffff },
                { 0xffffffff, 0xffff },
                { 0x100000000, 1 },
                { 0x1ffff0000, 1 },
                { UINT64_MAX, 0xffff },
                { UINT64_MAX - 1, 0xfffe },
                { 0xffffffff00000001, 1 },
                { 0x8000800080008000, 2 },
        };

        (void)state;
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
                assert_int_equal(checksum_fold(rows[i].sum), rows[i].folded);
}

/* A sum taken in two parts, the first of them even. */
static void test_going_on(void **state)
{
        uint8_t bytes[300];

        (void)state;
        for (int round = 0; round < 1000; round++) {
                size_t len = draw(sizeof bytes), cut = draw((uint32_t)len + 1) & ~1u;
                fill(bytes, len);
                uint16_t first = (uint16_t)~offload_checksum(bytes, cut, 0);
                assert_int_equal(offload_checksum(bytes + cut, len - cut, first), offload_checksum(bytes, len, 0));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lengths_and_alignments),
                cmocka_unit_test(test_fold),
                cmocka_unit_test(test_going_on),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
