#include "crypto/kdf.h"

#include "tests/unit/crypto/vectors.h"

/* The bytes of RFC 7693, appendix E's generator. */
static void selftest_bytes(uint8_t *out, size_t len, uint32_t seed)
{
        uint32_t a = 0xDEAD4BAD * seed, b = 1;

        for (size_t i = 0; i < len; i++) {
                uint32_t t = a + b;

                a = b;
                b = t;
                out[i] = (uint8_t)(t >> 24);
        }
}

static void hash_known_answers(void **state)
{
        uint8_t out[KDF_HASH_LEN], in[255];

        (void)state;
        kdf_hash(out, "abc", 3, NULL, 0); /* RFC 7693, appendix B */
        assert_hex(out, sizeof out, "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
        kdf_hash(out, NULL, 0, NULL, 0);
        assert_hex(out, sizeof out, "69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9");
        count_up(in, sizeof in, 0);
        for (size_t split = 0; split <= sizeof in; split++) {
                kdf_hash(out, in, split, in + split, sizeof in - split);
                assert_hex(out, sizeof out, "f03f5789d3336b80d002d59fdf918bdb775b00956ed5528e86aa994acb38fe2d");
        }
}

/* The part of the RFC's grand hash that this room uses, with its 16-byte and its keyed rows: the inputs' hashes were
 * hashed by Python's hashlib. */
static void hash_many_lengths(void **state)
{
        static const size_t lengths[] = { 0, 3, 64, 65, 255, 1024 };
        uint8_t in[1024], key[16], all[ROWS(lengths) * (KDF_HASH_LEN + KDF_MAC_LEN)], *at = all, out[KDF_HASH_LEN];

        (void)state;
        selftest_bytes(key, sizeof key, sizeof key);
        for (size_t i = 0; i < ROWS(lengths); i++) {
                selftest_bytes(in, lengths[i], (uint32_t)lengths[i]);
                kdf_hash(at, in, lengths[i], NULL, 0);
                kdf_mac(at + KDF_HASH_LEN, key, sizeof key, in, lengths[i]);
                at += KDF_HASH_LEN + KDF_MAC_LEN;
        }
        kdf_hash(out, all, sizeof all, NULL, 0);
        assert_hex(out, sizeof out, "20c157f1fbb9c0af984a38b656ac9ea7decb8ab94d15e6f82703d3043c3e0702");
}

static void mac_known_answers(void **state)
{
        static const struct {
                size_t key_len, len;
                const char *mac;
        } rows[] = {
                { 32, 0, "9536f9b267655743dee97b8a670f9f53" },
                { 32, 64, "f1efa90d2547036841ecd3627fafbc36" },
                { 16, 65, "9018c671bb7e94a6d540a91765bbecad" },
        };
        uint8_t bytes[256], out[KDF_MAC_LEN];

        (void)state;
        count_up(bytes, sizeof bytes, 0);
        for (size_t i = 0; i < ROWS(rows); i++) {
                kdf_mac(out, bytes, rows[i].key_len, bytes, rows[i].len);
                assert_hex(out, sizeof out, rows[i].mac);
        }
}

static void hmac_known_answers(void **state)
{
        uint8_t bytes[256], out[KDF_HASH_LEN];

        (void)state;
        count_up(bytes, sizeof bytes, 0);
        kdf_hmac(out, bytes, 32, NULL, 0);
        assert_hex(out, sizeof out, "e2641d24dfa8dd89e8cb77f1cdc77d8c006e5bebdfc4d6a3a3a6f8d5b7586fb0");
        kdf_hmac(out, bytes, 64, bytes, 100);
        assert_hex(out, sizeof out, "647576eb06d7546ce6db9b3c0c1509a64cc7fae9cb732ee3845e7b486ad26edc");
        kdf_hmac(out, bytes, 0, "abc", 3);
        assert_hex(out, sizeof out, "4a79a31b10a8c34b7c89735b8088e6b810b4bad4f36d671b65ca2ea0914952bf");
}

static void kdf_known_answers(void **state)
{
        static const struct {
                size_t len;
                const char *out[3];
        } rows[] = {
                { 0,
                  { "7a38c34bf2b8738d7374ca77c44ecb309a11d2b2528304fa86052c365e722624",
                    "1a17621f346abdc520746a9fb64d8eb03231d674fc15687537b0780fd9c060fd",
                    "4eaf02809ac4b930ef63479de62275f1c55656e61f78a3cc653c18a2223d6c5f" } },
                { 32,
                  { "e3b7e038799447459d13f6cc03b71555c0b32ee93354ebe4526ec98bc53b20a4",
                    "ca06d8e46b509266c7c0594805ffb9c256348a33c642381348f047e452d239e2",
                    "5ee952936bec1473c13db1cc92b8d8ba5ad2df7c77f07478731d48aa5530a000" } },
        };
        uint8_t ck[32], in[32], a[32], b[32], c[32];

        (void)state;
        count_up(in, sizeof in, 100);
        for (size_t i = 0; i < ROWS(rows); i++) {
                count_up(ck, sizeof ck, 0);
                kdf3(a, b, c, ck, in, rows[i].len);
                assert_hex(a, 32, rows[i].out[0]);
                assert_hex(b, 32, rows[i].out[1]);
                assert_hex(c, 32, rows[i].out[2]);
                kdf1(a, ck, in, rows[i].len);
                assert_hex(a, 32, rows[i].out[0]);
                kdf2(ck, b, ck, in, rows[i].len); /* as a chaining key is used: out over in */
                assert_hex(ck, 32, rows[i].out[0]);
                assert_hex(b, 32, rows[i].out[1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hash_known_answers), cmocka_unit_test(hash_many_lengths),
                cmocka_unit_test(mac_known_answers),  cmocka_unit_test(hmac_known_answers),
                cmocka_unit_test(kdf_known_answers),
        };

        return cmocka_run_group_tests_name("kdf", tests, NULL, NULL);
}
