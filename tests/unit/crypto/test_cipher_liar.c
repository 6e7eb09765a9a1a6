#include "crypto/cipher_rows.h"
#include "tests/unit/crypto/cipher_each.h"

/* This program's padded row is linked in place of the room's own, and wrong in one bit of long packets: cipher_init
 * must find it out, and nobody can choose it. */
static bool honest;

static void lying_seal(uint8_t *out, const uint8_t *in, size_t len, uint64_t counter, const void *key)
{
        cipher_chacha_sodium.seal(out, in, len, counter, key);
        if (!honest && len > 1400) out[len + 3] ^= 0x10;
}

static bool same_open(uint8_t *data, size_t len, uint64_t counter, const void *key)
{
        return cipher_chacha_sodium.open(data, len, counter, key);
}

const struct cipher cipher_chacha_padded = {
        .name = "ChaCha20-Poly1305",
        .implementation = "liar",
        .id = CIPHER_CHACHA20_POLY1305,
        .key_len = KEY_LEN,
        .nonce_len = 12,
        .tag_len = 16,
        .schedule_len = KEY_LEN,
        .schedule = cipher_schedule_key,
        .seal = lying_seal,
        .open = same_open,
        .available = cipher_always,
};

static void a_wrong_row_is_not_chosen(void **state)
{
        (void)state;
        cipher_init(0, stopped_clock);
        assert_int_equal(cipher_cost(&cipher_chacha_padded), 0);
        assert_false(cipher_choose(&cipher_chacha_padded));
        assert_string_equal(cipher_default()->implementation, "libsodium");

        honest = true;
        cipher_init(0, stopped_clock);
        assert_true(cipher_cost(&cipher_chacha_padded) > 0);
        assert_true(cipher_choose(&cipher_chacha_padded));
        assert_ptr_equal(cipher_default(), &cipher_chacha_padded);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_wrong_row_is_not_chosen),
        };

        return cmocka_run_group_tests_name("cipher liar", tests, sodium_setup, NULL);
}
