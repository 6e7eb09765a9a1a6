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

/* RFC 8439, A.5. Its nonce is as ours are, so its ciphertext is every row's; the tag, which is over additional data
 * too, is libsodium's alone. */
static const char a5_text[] =
        "Internet-Drafts are draft documents valid for a maximum of six months and may be updated, "
        "replaced, or obsoleted by other documents at any time. It is inappropriate to use "
        "Internet-Drafts as reference material or to cite them other than as /\u201cwork in "
        "progress./\u201d";
static const char a5_key[] = "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0";
static const char a5_sealed[] =
        "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0"
        "bdb7b73c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c855"
        "9797a06ef4f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e9"
        "9040c5a40433225ee282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a"
        "0bb2316053fa76991955ebd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130"
        "305beaba2eda04df997b714d6c6f2c29a6ad5cb4022b02709b";
enum { A5_LEN = sizeof a5_text - 1 };

static void rfc_8439_a5_row(const struct cipher *cipher)
{
        uint8_t out[A5_LEN + CIPHER_TAG_MAX];
        struct scheduled schedule;
        struct key key;

        if (cipher->id != CIPHER_CHACHA20_POLY1305) return;
        unhex(key.bytes, KEY_LEN, a5_key);
        cipher->schedule(schedule.bytes, &key);
        cipher->seal(out, (const uint8_t *)a5_text, A5_LEN, UINT64_C(0x0807060504030201), schedule.bytes);
        assert_hex(out, A5_LEN, a5_sealed);
}

static void rfc_8439_a5(void **state)
{
        uint8_t key[32], nonce[12], ad[12], out[A5_LEN + 16];

        (void)state;
        unhex(key, sizeof key, a5_key);
        unhex(nonce, sizeof nonce, "000000000102030405060708");
        unhex(ad, sizeof ad, "f33388860000000000004e91");
        crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, (const uint8_t *)a5_text, A5_LEN, ad, sizeof ad, NULL,
                                                  nonce, key);
        assert_hex(out, A5_LEN, a5_sealed);
        assert_hex(out + A5_LEN, 16, "eead9d67890cbb22392336fea1851f38");
        assert_true(cipher_each(rfc_8439_a5_row) >= 2);
}

/* Test case 15 of McGrew and Viega's GCM specification: no additional data, but another nonce than ours, so asked of
 * libsodium. 13 and 14 are below, of every row. */
static void gcm_15(void **state)
{
        uint8_t key[32], nonce[12], text[64], out[sizeof text + 16];

        (void)state;
        if (!crypto_aead_aes256gcm_is_available()) return;
        unhex(key, sizeof key, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
        unhex(nonce, sizeof nonce, "cafebabefacedbaddecaf888");
        unhex(text, sizeof text,
              "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
              "b16aedf5aa0de657ba637b391aafd255");
        crypto_aead_aes256gcm_encrypt(out, NULL, text, sizeof text, NULL, 0, NULL, nonce, key);
        assert_hex(out, sizeof out,
                   "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
                   "c5f61e6393ba7a0abcc9f662898015adb094dac5d93471bdec1a502270e3cc6c");
}

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

/* All that a row makes of the lengths 0 to 2100, as one hash. By Python's cryptography, which is OpenSSL: key and
 * plaintext count up, from 7 and from the length; the counter is the length times the constant. */
static void every_length_row(const struct cipher *cipher)
{
        static const char *const hashes[] = { "ad8f01391a07d3e226117799f43ccdea3077aaca04bf47e990c6b1e5d245a75f",
                                              "eea5ccf639e45290c289c42c29a3afa40428c789a5298395eee40eb861ccc896" };
        uint8_t data[2100 + CIPHER_TAG_MAX], hash[crypto_hash_sha256_BYTES];
        crypto_hash_sha256_state state;
        struct scheduled schedule;
        struct key key;

        if (cipher->id > CIPHER_AES_256_GCM) return;
        count_up(key.bytes, KEY_LEN, 7);
        cipher->schedule(schedule.bytes, &key);
        crypto_hash_sha256_init(&state);
        for (size_t len = 0; len <= 2100; len++) {
                count_up(data, len, (unsigned)len);
                cipher->seal(data, data, len, len * UINT64_C(0x9e3779b97f4a7c15), schedule.bytes);
                crypto_hash_sha256_update(&state, data, len + cipher->tag_len);
        }
        crypto_hash_sha256_final(&state, hash);
        assert_hex(hash, sizeof hash, hashes[cipher->id]);
}

static void every_length_is_openssl_s(void **state)
{
        (void)state;
        assert_true(cipher_each(every_length_row) >= 2);
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
                cmocka_unit_test(rfc_8439_a5),
                cmocka_unit_test(gcm_15),
                cmocka_unit_test(published_vectors),
                cmocka_unit_test(wireguard_nonce),
                cmocka_unit_test(every_length_is_openssl_s),
                cmocka_unit_test(forged_is_refused),
                cmocka_unit_test(the_table),
                cmocka_unit_test(sizes),
        };

        return cmocka_run_group_tests_name("cipher", tests, cipher_setup, NULL);
}
