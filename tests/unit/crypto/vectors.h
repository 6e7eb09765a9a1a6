#ifndef ADIT_TESTS_UNIT_CRYPTO_VECTORS_H
#define ADIT_TESTS_UNIT_CRYPTO_VECTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

/* What every test of this room needs: bytes from hex, counted-up bytes, and all of cmocka. */

static inline size_t unhex(void *out, size_t size, const char *hex)
{
        size_t len;

        assert_int_equal(sodium_hex2bin(out, size, hex, strlen(hex), " ", &len, NULL), 0);
        return len;
}

static inline void assert_hex(const void *bytes, size_t len, const char *hex)
{
        uint8_t expected[512];

        assert_int_equal(unhex(expected, sizeof expected, hex), len);
        assert_memory_equal(bytes, expected, len);
}

static inline void count_up(void *out, size_t len, unsigned first)
{
        uint8_t *bytes = out;

        for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)(first + i);
}

static inline int sodium_setup(void **state)
{
        (void)state;
        return sodium_init() < 0 ? -1 : 0;
}

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

#endif
