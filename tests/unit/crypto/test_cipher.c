#include "tests/unit/crypto/cipher_each.h"

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

#ifdef crypto_aead_aegis256_KEYBYTES
/* draft-irtf-cfrg-aegis-aead, AEGIS-256, vectors 1 and 2: with other nonces than ours, so asked of libsodium directly.
 * Then the nonce of the row: zeros, and the counter at the end. */
static void aegis_256(void **state)
{
        const struct cipher *cipher = cipher_find(CIPHER_AEGIS_256);
        uint8_t key[32] = { 0x10, 0x01 }, nonce[32] = { 0x10, 0x00, 0x02 }, text[16] = { 0 }, out[16 + 32],
                row[16 + 32];

        (void)state;
        crypto_aead_aegis256_encrypt(out, NULL, text, sizeof text, NULL, 0, NULL, nonce, key);
        assert_hex(out, sizeof out,
                   "754fc3d8c973246dcc6d741412a4b2361181a1d18091082bf0266f66297d167d2e68b845f61a3b0527d31fc7b7b89f13");
        crypto_aead_aegis256_encrypt(out, NULL, text, 0, NULL, 0, NULL, nonce, key);
        assert_hex(out, 32, "6a348c930adbd654896e1666aad67de989ea75ebaa2b82fb588977b1ffec864a");

        memset(nonce, 0, sizeof nonce);
        unhex(nonce + 24, 8, "0807060504030201");
        crypto_aead_aegis256_encrypt(out, NULL, text, sizeof text, NULL, 0, NULL, nonce, key);
        cipher->seal(row, text, sizeof text, UINT64_C(0x102030405060708), key);
        assert_memory_equal(row, out, sizeof out);
}
#endif

/* With the all-zero key and counter 0. The ciphertexts are RFC 8439, A.1, vector 2 (the key stream of block 1), and
 * test cases 13 and 14 of McGrew and Viega's GCM specification; the tag of the first by Python's cryptography. */
static void published(const struct cipher *cipher)
{
        static const struct {
                uint8_t id;
                size_t len;
                const char *sealed;
        } rows[] = {
                { CIPHER_CHACHA20_POLY1305, 64,
                  "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed29b721769ce64e43d57133b074d839d5"
                  "31ed1f28510afb45ace10a1f4b794d6f75c5180ef52d6921037a3d0af9f0dac8" },
                { CIPHER_AES_256_GCM, 0, "530f8afbc74536b9a963b4f1c4cb738b" },
                { CIPHER_AES_256_GCM, 16, "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919" },
        };
        static const struct key key;
        struct scheduled schedule;
        uint8_t data[64 + CIPHER_TAG_MAX];

        cipher->schedule(schedule.bytes, &key);
        for (size_t i = 0; i < ROWS(rows); i++) {
                if (rows[i].id != cipher->id) continue;
                memset(data, 0, sizeof data);
                cipher->seal(data, data, rows[i].len, 0, schedule.bytes);
                assert_hex(data, rows[i].len + cipher->tag_len, rows[i].sealed);
        }
}

static void published_vectors(void **state)
{
        (void)state;
        assert_true(cipher_each(published) >= 2);
}

/* Computed with Python's cryptography: nonce = 4 zero bytes, then the counter, little endian; plaintext 0, 1, 2... */
static const struct {
        uint64_t counter;
        size_t len;
        const char *sealed[2]; /* ChaCha20-Poly1305, AES-256-GCM */
} nonces[] = {
        { UINT64_C(0x0), 0, { "1fad2e304d33771bab8365266c58691e", "18364e8c89e6aec0a015d74ec5aac12b" } },
        { UINT64_C(0x1),
          16,
          { "59558a8bb70b360b013f58f7021958658b030fe7db8147ea58ffb2c55e7f4f43",
            "f3da91f5103384dd89b5a5370b1650623d00c6c7a5437232750a349f02f747d0" } },
        { UINT64_C(0x102030405060708),
          64,
          { "4f9c6af53d4e19d78c4843b16789d7de08b8c1fa2ca8862e64caf432524a32fe1d4dc196cf647568ad7412bd82f255aca80c"
            "f41befab6cf87d5abb5d31941a46872fe26e90e9e75518c82fec5ced802b",
            "2f3e4e0d21f256fecc29d15293ca8f8aa335ef8659baa8b04650fb699a0113894f5d1a417e77e47f8869c331a2c203dbbb16"
            "c161ddfd40f2d810dace905db0a1ece4a3cf6c04c97fa676a2df4b47d537" } },
        { UINT64_C(0x100000000),
          33,
          { "407b9f8ab9759501997cb12748870b780c79738775945c86f78b96d1f4afb025d66b8646a29c2e76634504c57ac0a85086",
            "3bf0e0d654f851ed8f92b797636f362f0fcd92b337400a4725707b146556e381bf991df13dc4a0fba4f5ef603cbf09963f" } },
        { UINT64_C(0xffffffffffffdffe),
          1,
          { "3354c0e7ce5a0df5af91233a4f0a5e7edc", "a72f5a2418923fc6994539cea8c151ec6a" } },
};

static void nonce_rows(const struct cipher *cipher)
{
        struct scheduled schedule;
        uint8_t data[256], out[256];
        struct key key;

        if (cipher->id > CIPHER_AES_256_GCM) return;
        count_up(key.bytes, KEY_LEN, 7);
        cipher->schedule(schedule.bytes, &key);
        for (size_t i = 0; i < ROWS(nonces); i++) {
                size_t len = nonces[i].len, sealed_len = len + cipher->tag_len;
                count_up(data, len, 0);
                cipher->seal(out, data, len, nonces[i].counter, schedule.bytes);
                assert_hex(out, sealed_len, nonces[i].sealed[cipher->id]);

                cipher->seal(data, data, len, nonces[i].counter, schedule.bytes); /* in place */
                assert_memory_equal(data, out, sealed_len);
                assert_true(cipher->open(out, sealed_len, nonces[i].counter, schedule.bytes));
                count_up(data, len, 0);
                assert_memory_equal(out, data, len);
        }
}

static void wireguard_nonce(void **state)
{
        (void)state;
        assert_true(cipher_each(nonce_rows) >= 2);
}

static void forged(const struct cipher *cipher)
{
        uint8_t plain[100], sealed[100 + CIPHER_TAG_MAX], copy[sizeof sealed];
        size_t len = sizeof plain + cipher->tag_len;
        struct scheduled schedule, other;
        struct key key;

        count_up(key.bytes, KEY_LEN, 8);
        cipher->schedule(other.bytes, &key);
        count_up(key.bytes, KEY_LEN, 7);
        cipher->schedule(schedule.bytes, &key);
        count_up(plain, sizeof plain, 0);
        cipher->seal(sealed, plain, sizeof plain, 5, schedule.bytes);
        for (size_t bit = 0; bit < 8 * len; bit++) {
                memcpy(copy, sealed, len);
                copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(cipher->open(copy, len, 5, schedule.bytes));
                assert_memory_not_equal(copy, plain, 16); /* nothing unverified came out */
        }
        for (size_t cut = 1; cut <= len; cut++) {
                memcpy(copy, sealed, len);
                assert_false(cipher->open(copy, len - cut, 5, schedule.bytes));
        }
        memcpy(copy, sealed, len);
        assert_false(cipher->open(copy, len, 6, schedule.bytes));
        memcpy(copy, sealed, len);
        assert_false(cipher->open(copy, len, 5 + (UINT64_C(1) << 32), schedule.bytes));
        memcpy(copy, sealed, len);
        assert_false(cipher->open(copy, len, 5, other.bytes));
        memcpy(copy, sealed, len);
        assert_true(cipher->open(copy, len, 5, schedule.bytes));
}

static void forged_is_refused(void **state)
{
        (void)state;
        assert_true(cipher_each(forged) >= 2);
}

static void the_table(void **state)
{
        const struct cipher *cipher = cipher_default();
        struct key key, schedule;

        (void)state;
        assert_true(cipher->available());
        assert_int_equal(cipher->id, CIPHER_CHACHA20_POLY1305);
        assert_ptr_equal(cipher_find(CIPHER_CHACHA20_POLY1305), cipher);
#ifndef crypto_aead_aegis256_KEYBYTES
        assert_null(cipher_find(CIPHER_AEGIS_256));
#endif
        assert_null(cipher_find(CIPHER_IDS));
        assert_null(cipher_find(255));
        assert_int_equal(CIPHER_CHACHA20_POLY1305, 0); /* on the wire between two Adits */
        assert_int_equal(CIPHER_AES_256_GCM, 1);
        assert_int_equal(CIPHER_AEGIS_256, 2);

        count_up(key.bytes, KEY_LEN, 0); /* a struct key is a schedule, of every row */
        for (size_t i = 0; (cipher = cipher_row(i)); i++) {
                if (cipher->id != CIPHER_CHACHA20_POLY1305 || !cipher->available()) continue;
                assert_int_equal(cipher->schedule_len, sizeof key);
                cipher->schedule(&schedule, &key);
                assert_memory_equal(&schedule, &key, sizeof key);
        }
}

static void a_row_s_sizes(const struct cipher *cipher)
{
        static const uint8_t nonce_lens[CIPHER_IDS] = { 12, 12, 32 }, tag_lens[CIPHER_IDS] = { 16, 16, 32 };

        assert_int_equal(cipher->key_len, KEY_LEN);
        assert_int_equal(cipher->nonce_len, nonce_lens[cipher->id]);
        assert_int_equal(cipher->tag_len, tag_lens[cipher->id]);
        assert_in_range(cipher->tag_len, 16, CIPHER_TAG_MAX);
        assert_in_range(cipher->schedule_len, KEY_LEN, CIPHER_SCHEDULE_MAX);
}

static void sizes(void **state)
{
        (void)state;
        assert_true(cipher_each(a_row_s_sizes) >= 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(rfc_8439),
#ifdef crypto_aead_aegis256_KEYBYTES
                cmocka_unit_test(aegis_256),
#endif
                cmocka_unit_test(published_vectors),
                cmocka_unit_test(wireguard_nonce),
                cmocka_unit_test(forged_is_refused),
                cmocka_unit_test(the_table),
                cmocka_unit_test(sizes),
        };

        return cmocka_run_group_tests_name("cipher", tests, cipher_setup, NULL);
}
