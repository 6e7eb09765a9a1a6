#include "crypto/cipher.h"

#include "tests/unit/crypto/vectors.h"

/* RFC 8439, 2.8.2: with additional data and a constant before the counter, so libsodium's call under the table is asked
 * directly; the rows below then hold the table to that call. */
static void rfc_8439(void **state)
{
        static const char text[] =
                "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
                "future, sunscreen would be it.";
        uint8_t key[32], nonce[12], ad[12], out[sizeof text - 1 + 16];

        (void)state;
        count_up(key, sizeof key, 0x80);
        unhex(nonce, sizeof nonce, "070000004041424344454647");
        unhex(ad, sizeof ad, "50515253c0c1c2c3c4c5c6c7");
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, (const uint8_t *)text, sizeof text - 1, ad, sizeof ad,
                                                  NULL, nonce, key);
        assert_hex(out, sizeof out,
                   "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b"
                   "1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                   "3ff4def08e4b7a9de576d26586cec64b6116"
                   "1ae10b594f09e26a7e902ecbd0600691");
}

/* Computed with Python's cryptography: nonce = 4 zero bytes, then the counter, little endian. */
static void wireguard_nonce(void **state)
{
        static const struct {
                uint64_t counter;
                size_t len;
                const char *sealed;
        } rows[] = {
                { UINT64_C(0x0), 0, "1fad2e304d33771bab8365266c58691e" },
                { UINT64_C(0x1), 16, "59558a8bb70b360b013f58f7021958658b030fe7db8147ea58ffb2c55e7f4f43" },
                { UINT64_C(0x102030405060708), 64,
                  "4f9c6af53d4e19d78c4843b16789d7de08b8c1fa2ca8862e64caf432524a32fe1d4dc196cf647568ad7412bd82f255aca80c"
                  "f41befab6cf87d5abb5d31941a46872fe26e90e9e75518c82fec5ced802b" },
                { UINT64_C(0x100000000), 33,
                  "407b9f8ab9759501997cb12748870b780c79738775945c86f78b96d1f4afb025d66b8646a29c2e76634504c57ac0a8508"
                  "6" },
                { UINT64_C(0xffffffffffffdffe), 1, "3354c0e7ce5a0df5af91233a4f0a5e7edc" },
        };
        const struct cipher *cipher = cipher_default();
        uint8_t data[256], out[256];
        struct key key;

        (void)state;
        count_up(key.bytes, KEY_LEN, 7);
        for (size_t i = 0; i < ROWS(rows); i++) {
                count_up(data, rows[i].len, 0);
                cipher->seal(out, data, rows[i].len, rows[i].counter, &key);
                assert_hex(out, rows[i].len + cipher->tag_len, rows[i].sealed);

                cipher->seal(data, data, rows[i].len, rows[i].counter, &key); /* in place */
                assert_memory_equal(data, out, rows[i].len + cipher->tag_len);
                assert_true(cipher->open(out, rows[i].len + cipher->tag_len, rows[i].counter, &key));
                count_up(data, rows[i].len, 0);
                assert_memory_equal(out, data, rows[i].len);
        }
}

static void forged_is_refused(void **state)
{
        const struct cipher *cipher = cipher_default();
        uint8_t plain[100], sealed[100 + CIPHER_TAG_MAX], copy[sizeof sealed];
        size_t len = sizeof plain + cipher->tag_len;
        struct key key, other;

        (void)state;
        count_up(key.bytes, KEY_LEN, 7);
        count_up(other.bytes, KEY_LEN, 8);
        count_up(plain, sizeof plain, 0);
        cipher->seal(sealed, plain, sizeof plain, 5, &key);
        for (size_t bit = 0; bit < 8 * len; bit++) {
                memcpy(copy, sealed, len);
                copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(cipher->open(copy, len, 5, &key));
                assert_memory_not_equal(copy, plain, 16); /* nothing unverified came out */
        }
        for (size_t cut = 1; cut <= len; cut++) {
                memcpy(copy, sealed, len);
                assert_false(cipher->open(copy, len - cut, 5, &key));
        }
        memcpy(copy, sealed, len);
        assert_false(cipher->open(copy, len, 6, &key));
        memcpy(copy, sealed, len);
        assert_false(cipher->open(copy, len, 5 + (UINT64_C(1) << 32), &key));
        memcpy(copy, sealed, len);
        assert_false(cipher->open(copy, len, 5, &other));
        memcpy(copy, sealed, len);
        assert_true(cipher->open(copy, len, 5, &key));
}

static void the_table(void **state)
{
        const struct cipher *cipher = cipher_default();

        (void)state;
        assert_true(cipher->available());
        assert_ptr_equal(cipher_find(CIPHER_CHACHA20_POLY1305), cipher);
        assert_null(cipher_find(0));
        assert_null(cipher_find(255));
        assert_int_equal(cipher->key_len, KEY_LEN);
        assert_int_equal(cipher->nonce_len, 12);
        assert_in_range(cipher->tag_len, 16, CIPHER_TAG_MAX);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rfc_8439),
                cmocka_unit_test(wireguard_nonce),
                cmocka_unit_test(forged_is_refused),
                cmocka_unit_test(the_table),
        };

        return cmocka_run_group_tests_name("cipher", tests, sodium_setup, NULL);
}
