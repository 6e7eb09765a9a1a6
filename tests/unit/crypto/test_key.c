#include "crypto/key.h"

#include "tests/unit/crypto/vectors.h"

static struct key key_of(const char *hex)
{
        struct key key;

        assert_int_equal(unhex(key.bytes, KEY_LEN, hex), KEY_LEN);
        return key;
}

/* RFC 7748, 6.1. */
static void x25519_diffie_hellman(void **state)
{
        struct key a = key_of("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        struct key b = key_of("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        struct key public_a, public_b, shared;

        (void)state;
        assert_true(key_public_from_private(&public_a, &a));
        assert_true(key_public_from_private(&public_b, &b));
        assert_hex(public_a.bytes, KEY_LEN, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_hex(public_b.bytes, KEY_LEN, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        assert_true(key_agree(&shared, &a, &public_b));
        assert_hex(shared.bytes, KEY_LEN, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_true(key_agree(&shared, &b, &public_a));
        assert_hex(shared.bytes, KEY_LEN, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
}

/* RFC 7748, 5.2. */
static void x25519_iterated(void **state)
{
        struct key k = { { 9 } }, u = k, next;

        (void)state;
        for (int i = 0; i < 1000; i++) {
                assert_true(key_agree(&next, &k, &u));
                u = k;
                k = next;
                if (i == 0)
                        assert_hex(k.bytes, KEY_LEN,
                                   "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
        }
        assert_hex(k.bytes, KEY_LEN, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* The public keys of small order that Wycheproof's X25519 set has, each with and without its top bit. */
static void low_order_is_refused(void **state)
{
        static const char *const points[] = {
                "0000000000000000000000000000000000000000000000000000000000000000",
                "0100000000000000000000000000000000000000000000000000000000000000",
                "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        };
        struct key private_key, shared;

        (void)state;
        for (size_t i = 0; i < 2 * ROWS(points); i++) {
                struct key point = key_of(points[i / 2]);

                if (i % 2) point.bytes[31] |= 0x80;
                key_generate_private(&private_key);
                memset(&shared, 0xaa, sizeof shared);
                assert_false(key_agree(&shared, &private_key, &point));
                assert_true(key_is_zero(&shared));
        }
}

static void zero_private_has_no_public(void **state)
{
        struct key public_key;

        (void)state;
        memset(&public_key, 0xaa, sizeof public_key);
        assert_false(key_public_from_private(&public_key, &(struct key){ { 0 } }));
        assert_true(key_is_zero(&public_key));
}

static void generated_keys(void **state)
{
        struct key a, b, clamped;

        (void)state;
        for (int i = 0; i < 100; i++) {
                key_generate_private(&a);
                key_generate_private(&b);
                assert_false(key_equal(&a, &b));
                assert_int_equal(a.bytes[0] & 7, 0);
                assert_int_equal(a.bytes[31] & 0xc0, 0x40);
                clamped = a;
                key_clamp(&clamped);
                assert_true(key_equal(&a, &clamped));
                key_generate_preshared(&a);
                key_generate_preshared(&b);
                assert_false(key_equal(&a, &b));
        }
        memset(&a, 0xff, sizeof a);
        key_clamp(&a);
        assert_hex(a.bytes, KEY_LEN, "f8ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
}

static void comparisons_see_every_bit(void **state)
{
        struct key a, b;

        (void)state;
        key_generate_private(&a);
        for (int bit = 0; bit < 8 * KEY_LEN; bit++) {
                b = a;
                assert_true(key_equal(&a, &b));
                b.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(key_equal(&a, &b));
                b = (struct key){ { 0 } };
                assert_true(key_is_zero(&b));
                b.bytes[bit / 8] = (uint8_t)(1 << bit % 8);
                assert_false(key_is_zero(&b));
        }
}

static void text_round_trips(void **state)
{
        char base64[KEY_BASE64_LEN], hex[KEY_HEX_LEN];
        struct key key, back;

        (void)state;
        count_up(key.bytes, KEY_LEN, 0xf0);
        key_to_base64(base64, &key);
        assert_string_equal(base64, "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8=");
        key_to_hex(hex, &key);
        assert_string_equal(hex, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f");
        assert_true(key_from_hex(&back, "F0f1F2F3F4F5F6F7F8F9FAFBFCFDFEFF000102030405060708090A0B0C0D0E0F", 64));
        assert_true(key_equal(&key, &back));
        for (int i = 0; i < 1000; i++) {
                key_generate_preshared(&key);
                key_to_base64(base64, &key);
                assert_true(key_from_base64(&back, base64, strlen(base64)));
                assert_true(key_equal(&key, &back));
                key_to_hex(hex, &key);
                assert_true(key_from_hex(&back, hex, strlen(hex)));
                assert_true(key_equal(&key, &back));
        }
}

static void bad_text_is_refused(void **state)
{
        static const char *const base64[] = {
                "",
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8",   /* no padding */
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8==", /* too much of it */
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg9=",  /* unused bits set: 01, 10, 11 */
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg+=",
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg/=",
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8A", /* 33 bytes */
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg==", /* 31 bytes */
                "8PHy8_T19vf4-fr7_P3-_wABAgMEBQYHCAkKCwwNDg8=", /* the URL alphabet */
                "8PHy8/T19vf4+fr7/P3 /wABAgMEBQYHCAkKCwwNDg8=",
                "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8\n",
                "=PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8=",
                " 8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8=",
        };
        static const char *const hex[] = {
                "",
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0",
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0f0",
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e0g",
                "0xf0f1f2f3f4f5f6f7f8f9fafbfcfdfeff000102030405060708090a0b0c0d0e",
                "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff 00102030405060708090a0b0c0d0e0f",
        };
        struct key key, before;

        (void)state;
        key_generate_preshared(&key);
        before = key;
        for (size_t i = 0; i < ROWS(base64); i++) {
                if (key_from_base64(&key, base64[i], strlen(base64[i]))) fail_msg("took '%s'", base64[i]);
        }
        for (size_t i = 0; i < ROWS(hex); i++) {
                if (key_from_hex(&key, hex[i], strlen(hex[i]))) fail_msg("took '%s'", hex[i]);
        }
        assert_memory_equal(&key, &before, sizeof key);
}

/* Text within a line has no NUL after it, and one inside it is no end. */
static void length_is_obeyed(void **state)
{
        static const char line[] = "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8= # the office";
        char with_nul[] = "8PHy8/T19vf4+fr7/P3+/wABAgMEBQYHCAkKCwwNDg8=";
        struct key key;

        (void)state;
        assert_true(key_from_base64(&key, line, 44));
        assert_false(key_from_base64(&key, line, 45));
        assert_false(key_from_base64(&key, line, 43));
        with_nul[20] = '\0';
        assert_false(key_from_base64(&key, with_nul, 44));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(x25519_diffie_hellman), cmocka_unit_test(x25519_iterated),
                cmocka_unit_test(low_order_is_refused),  cmocka_unit_test(zero_private_has_no_public),
                cmocka_unit_test(generated_keys),        cmocka_unit_test(comparisons_see_every_bit),
                cmocka_unit_test(text_round_trips),      cmocka_unit_test(bad_text_is_refused),
                cmocka_unit_test(length_is_obeyed),
        };

        return cmocka_run_group_tests_name("key", tests, sodium_setup, NULL);
}
