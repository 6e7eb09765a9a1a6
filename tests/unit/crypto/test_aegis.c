#include "tests/unit/crypto/cipher_each.h"

/* AEGIS-256 has one row and nothing to compare it with, so here it is once more, as draft-irtf-cfrg-aegis-aead writes
 * it down: byte by byte, not in constant time, and in the draft's own names. */
typedef struct block {
        uint8_t b[16];
} block;

struct aegis {
        block S[6];
};

static const block C0 = { { 0x00, 0x01, 0x01, 0x02, 0x03, 0x05, 0x08, 0x0d, 0x15, 0x22, 0x37, 0x59, 0x90, 0xe9, 0x79,
                            0x62 } };
static const block C1 = { { 0xdb, 0x3d, 0x18, 0x55, 0x6d, 0xc2, 0x2f, 0xf1, 0x20, 0x11, 0x31, 0x42, 0x73, 0xb5, 0x28,
                            0xdd } };

static block xor_blocks(block a, block b)
{
        for (unsigned i = 0; i < 16; i++)
                a.b[i] ^= b.b[i];
        return a;
}

static block and_blocks(block a, block b)
{
        for (unsigned i = 0; i < 16; i++)
                a.b[i] &= b.b[i];
        return a;
}

/* FIPS 197: the field, the S-box as it is defined (inverse, then the affine map), and one round. */
static uint8_t times(uint8_t a, uint8_t b)
{
        uint8_t product = 0;

        for (; b; b >>= 1) {
                if (b & 1) product ^= a;
                a = (uint8_t)(a << 1 ^ (a & 0x80 ? 0x1b : 0));
        }
        return product;
}

static uint8_t sbox[256];

static void make_sbox(void)
{
        for (unsigned x = 0; x < 256; x++) {
                uint8_t inverse = 0;
                while (x && times((uint8_t)x, inverse) != 1)
                        inverse++;
                unsigned twice = inverse | (unsigned)inverse << 8;
                sbox[x] = (uint8_t)(inverse ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7 ^ 0x63);
        }
}

static block AESRound(block in, block rk)
{
        block out;

        for (unsigned column = 0; column < 4; column++) {
                uint8_t s[4];
                for (unsigned row = 0; row < 4; row++)
                        s[row] = sbox[in.b[4 * ((column + row) % 4) + row]];
                for (unsigned row = 0; row < 4; row++)
                        out.b[4 * column + row] = (uint8_t)(times(s[row], 2) ^ times(s[(row + 1) % 4], 3) ^
                                                            s[(row + 2) % 4] ^ s[(row + 3) % 4]);
        }
        return xor_blocks(out, rk);
}

static void Update(struct aegis *state, block M)
{
        struct aegis old = *state;

        state->S[0] = AESRound(old.S[5], xor_blocks(old.S[0], M));
        for (unsigned i = 1; i < 6; i++)
                state->S[i] = AESRound(old.S[i - 1], old.S[i]);
}

static void Init(struct aegis *state, const uint8_t *key, const uint8_t *nonce)
{
        block k[2], kn[2];

        memcpy(k, key, sizeof k);
        memcpy(kn, nonce, sizeof kn);
        kn[0] = xor_blocks(k[0], kn[0]);
        kn[1] = xor_blocks(k[1], kn[1]);
        *state = (struct aegis){ { kn[0], kn[1], C1, C0, xor_blocks(k[0], C0), xor_blocks(k[1], C1) } };
        for (unsigned i = 0; i < 4; i++) {
                Update(state, k[0]);
                Update(state, k[1]);
                Update(state, kn[0]);
                Update(state, kn[1]);
        }
}

static block padded_block(const uint8_t *bytes, size_t len)
{
        block padded = { { 0 } };

        memcpy(padded.b, bytes, len < 16 ? len : 16);
        return padded;
}

static block Enc(struct aegis *state, block xi)
{
        const block *S = state->S;
        block z = xor_blocks(xor_blocks(S[1], S[4]), xor_blocks(S[5], and_blocks(S[2], S[3])));

        Update(state, xi);
        return xor_blocks(xi, z);
}

/* The 256-bit tag. */
static void Finalize(struct aegis *state, uint8_t *tag, uint64_t ad_len, uint64_t msg_len)
{
        const block *S = state->S;
        block t;

        for (unsigned i = 0; i < 8; i++) {
                t.b[i] = (uint8_t)(8 * ad_len >> 8 * i);
                t.b[8 + i] = (uint8_t)(8 * msg_len >> 8 * i);
        }
        t = xor_blocks(S[3], t);
        for (unsigned i = 0; i < 7; i++)
                Update(state, t);
        block left = xor_blocks(S[0], xor_blocks(S[1], S[2])), right = xor_blocks(S[3], xor_blocks(S[4], S[5]));
        memcpy(tag, left.b, 16);
        memcpy(tag + 16, right.b, 16);
}

struct text {
        uint8_t bytes[64];
        size_t len;
};

static void Encrypt(uint8_t *out, const uint8_t *msg, size_t len, const struct text *ad, const uint8_t *nonce,
                    const uint8_t *key)
{
        struct aegis state;

        Init(&state, key, nonce);
        for (size_t i = 0; i < ad->len; i += 16)
                Update(&state, padded_block(ad->bytes + i, ad->len - i));
        for (size_t i = 0; i < len; i += 16) {
                block ci = Enc(&state, padded_block(msg + i, len - i));
                memcpy(out + i, ci.b, len - i < 16 ? len - i : 16);
        }
        Finalize(&state, out + len, ad->len, len);
}

/* ---- The draft's vectors, all with one key and nonce ------------------------------------------------------------- */

static const uint8_t draft_key[32] = { 0x10, 0x01 }, draft_nonce[32] = { 0x10, 0x00, 0x02 };

static const struct {
        const char *ad, *msg, *ct, *tag;
} draft[] = {
        { "", "00000000000000000000000000000000", "754fc3d8c973246dcc6d741412a4b236",
          "1181a1d18091082bf0266f66297d167d2e68b845f61a3b0527d31fc7b7b89f13" },
        { "", "", "", "6a348c930adbd654896e1666aad67de989ea75ebaa2b82fb588977b1ffec864a" },
        { "0001020304050607", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
          "f373079ed84b2709faee373584585d60accd191db310ef5d8b11833df9dec711",
          "b7d28d0c3c0ebd409fd22b44160503073a547412da0854bfb9723020dab8da1a" },
        { "0001020304050607", "000102030405060708090a0b0c0d", "f373079ed84b2709faee37358458",
          "8c1cc703c81281bee3f6d9966e14948b4a175b2efbdc31e61a98b4465235c2d9" },
        { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272829",
          "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
          "57754a7d09963e7c787583a2e7b859bb24fa1e04d49fd550b2511a358e3bca252a9b1b8b30cc4a67",
          "a3aca270c006094d71c20e6910b5161c0826df233d08919a566ec2c05990f734" },
};

static void draft_vectors(void **state)
{
        (void)state;
        for (size_t i = 0; i < ROWS(draft); i++) {
                struct text ad, msg;
                uint8_t out[96];

                ad.len = unhex(ad.bytes, sizeof ad.bytes, draft[i].ad);
                msg.len = unhex(msg.bytes, sizeof msg.bytes, draft[i].msg);
                Encrypt(out, msg.bytes, msg.len, &ad, draft_nonce, draft_key);
                assert_hex(out, msg.len, draft[i].ct);
                assert_hex(out + msg.len, 32, draft[i].tag);
#ifdef crypto_aead_aegis256_KEYBYTES
                crypto_aead_aegis256_encrypt(out, NULL, msg.bytes, msg.len, ad.bytes, ad.len, NULL, draft_nonce,
                                             draft_key);
                assert_hex(out, msg.len, draft[i].ct);
                assert_hex(out + msg.len, 32, draft[i].tag);
#endif
        }
}

/* Vectors 6 to 9: the fourth with key and nonce exchanged, and a bit of the text, the additional data, the tag wrong.
 */
#ifdef crypto_aead_aegis256_KEYBYTES
static void draft_refusals(void **state)
{
        uint8_t sealed[14 + 32], ad[8], out[14];

        (void)state;
        unhex(sealed, 14, draft[3].ct);
        unhex(sealed + 14, 32, draft[3].tag);
        unhex(ad, sizeof ad, draft[3].ad);
        assert_int_equal(crypto_aead_aegis256_decrypt(out, NULL, NULL, sealed, sizeof sealed, ad, sizeof ad,
                                                      draft_nonce, draft_key),
                         0);
        assert_hex(out, sizeof out, draft[3].msg);
        assert_int_equal(crypto_aead_aegis256_decrypt(out, NULL, NULL, sealed, sizeof sealed, ad, sizeof ad, draft_key,
                                                      draft_nonce),
                         -1);
        uint8_t *wrong[] = { sealed + 13, ad + 7, sealed + 14 + 31 };
        for (size_t i = 0; i < ROWS(wrong); i++) {
                uint8_t right = *wrong[i];
                *wrong[i] = (uint8_t)(i == 1 ? 8 : right ^ 1);
                assert_int_equal(crypto_aead_aegis256_decrypt(out, NULL, NULL, sealed, sizeof sealed, ad, sizeof ad,
                                                              draft_nonce, draft_key),
                                 -1);
                *wrong[i] = right;
        }
}
#endif

/* ---- The row ----------------------------------------------------------------------------------------------------- */

static void every_length(void **state)
{
        const struct cipher *cipher = cipher_find(CIPHER_AEGIS_256);
        static uint8_t plain[2100], expected[sizeof plain + 32], out[sizeof expected];
        static const struct text no_ad;
        struct key key, schedule;
        uint8_t nonce[32] = { 0 };

        (void)state;
        if (!cipher) return; /* test_sodium.c knows whether that is right */
        randombytes_buf(plain, sizeof plain);
        randombytes_buf(&key, sizeof key);
        cipher->schedule(&schedule, &key);
        for (size_t len = 0; len <= sizeof plain; len++) {
                randombytes_buf(nonce + 24, 8);
                uint64_t counter = 0;
                for (unsigned i = 0; i < 8; i++)
                        counter |= (uint64_t)nonce[24 + i] << 8 * i;
                Encrypt(expected, plain, len, &no_ad, nonce, key.bytes);
                cipher->seal(out, plain, len, counter, &schedule);
                assert_memory_equal(out, expected, len + 32);
                assert_true(cipher->open(out, len + 32, counter, &schedule));
                assert_memory_equal(out, plain, len);
        }
}

static int setup(void **state)
{
        make_sbox();
        return cipher_setup(state);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(draft_vectors),
#ifdef crypto_aead_aegis256_KEYBYTES
                cmocka_unit_test(draft_refusals),
#endif
                cmocka_unit_test(every_length),
        };

        return cmocka_run_group_tests_name("aegis", tests, setup, NULL);
}
