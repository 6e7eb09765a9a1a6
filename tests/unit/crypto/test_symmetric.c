#include "crypto/symmetric.h"

#include "crypto/cipher.h"
#include "tests/unit/crypto/vectors.h"

/* Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s of the cacophony vectors, with its prologue and payloads, played by both
 * parties in the steps that noise.c is written in. */
static const char name[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char prologue_hex[] = "4a6f686e2047616c74";
static const char psk_hex[] = "54686973206973206d7920417573747269616e20706572737065637469766521";
static const char init_static_hex[] = "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1";
static const char init_ephemeral_hex[] = "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char resp_static_hex[] = "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
static const char resp_ephemeral_hex[] = "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";

static const struct {
        const char *payload, *ciphertext;
} messages[] = {
        { "4c756477696720766f6e204d69736573", "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944"
                                              "001e21de9f98ddd8e2ad57527207feb56253c9c94a9e496782ecfcb2a75fbcaf"
                                              "1b52948cc48daefe660c62119ab5000980c84831215f2441eba616548e832985"
                                              "464cf17e51ee93109008399a21f7e13f" },
        { "4d757272617920526f746862617264", "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843"
                                            "cb765f2caef0751b8f007572dab0322217755c0632f365717edbf34d33e87a" },
        { "462e20412e20486179656b", "8153ca9833bc3c1b91a7e66e5f4d4f5b59bf9e64c2f20d15f0bba7" },
        { "4361726c204d656e676572", "07af0c9c86e1b4e80f36b04ff7688d51141af3debd0332f0a705ef" },
        { "4a65616e2d426170746973746520536179", "6ab1467c0448cc78394494abaaf23afce0e234315d6e2624dcbfa8a21c1c4d073d" },
        { "457567656e2042f6686d20766f6e2042617765726b",
          "dfc346c0d2296ae6cf1acf6f12b8456a1dba228cf8d8b774aacf1c47fc53aa80ebc7a4c292" },
};

struct party {
        struct symmetric state;
        struct key static_private, static_public, ephemeral_private, ephemeral_public;
};

static struct key psk;

static void party_init(struct party *party, const char *static_hex, const char *ephemeral_hex)
{
        unhex(party->static_private.bytes, KEY_LEN, static_hex);
        unhex(party->ephemeral_private.bytes, KEY_LEN, ephemeral_hex);
        assert_true(key_public_from_private(&party->static_public, &party->static_private));
        assert_true(key_public_from_private(&party->ephemeral_public, &party->ephemeral_private));
}

static void begin(struct party *party, const struct key *responder_static)
{
        uint8_t prologue[16];
        size_t len = unhex(prologue, sizeof prologue, prologue_hex);

        symmetric_init(&party->state, name, prologue, len);
        symmetric_mix_hash(&party->state, responder_static->bytes, KEY_LEN);
}

static void mix_e(struct symmetric *state, const struct key *ephemeral)
{
        symmetric_mix_hash(state, ephemeral->bytes, KEY_LEN);
        symmetric_mix_key(state, ephemeral->bytes, KEY_LEN);
}

static void first_message(struct party *i, struct party *r)
{
        uint8_t payload[64], expected[128], out[128], opened[64];
        struct key seen;
        size_t len = unhex(payload, sizeof payload, messages[0].payload);
        size_t total = unhex(expected, sizeof expected, messages[0].ciphertext);

        memcpy(out, i->ephemeral_public.bytes, KEY_LEN);
        mix_e(&i->state, &i->ephemeral_public);
        assert_true(symmetric_mix_dh(&i->state, &i->ephemeral_private, &r->static_public));
        symmetric_encrypt_and_hash(&i->state, out + 32, i->static_public.bytes, KEY_LEN);
        assert_true(symmetric_mix_dh(&i->state, &i->static_private, &r->static_public));
        symmetric_encrypt_and_hash(&i->state, out + 80, payload, len);
        assert_int_equal(total, 80 + len + SYMMETRIC_TAG_LEN);
        assert_memory_equal(out, expected, total);

        mix_e(&r->state, &i->ephemeral_public);
        assert_true(symmetric_mix_dh(&r->state, &r->static_private, &i->ephemeral_public));
        assert_true(symmetric_decrypt_and_hash(&r->state, seen.bytes, expected + 32, 48));
        assert_memory_equal(seen.bytes, i->static_public.bytes, KEY_LEN);
        assert_true(symmetric_mix_dh(&r->state, &r->static_private, &seen));
        assert_true(symmetric_decrypt_and_hash(&r->state, opened, expected + 80, total - 80));
        assert_memory_equal(opened, payload, len);
}

static void second_message(struct party *i, struct party *r)
{
        uint8_t payload[64], expected[128], out[128], opened[64];
        size_t len = unhex(payload, sizeof payload, messages[1].payload);
        size_t total = unhex(expected, sizeof expected, messages[1].ciphertext);

        memcpy(out, r->ephemeral_public.bytes, KEY_LEN);
        mix_e(&r->state, &r->ephemeral_public);
        assert_true(symmetric_mix_dh(&r->state, &r->ephemeral_private, &i->ephemeral_public));
        assert_true(symmetric_mix_dh(&r->state, &r->ephemeral_private, &i->static_public));
        symmetric_mix_key_and_hash(&r->state, &psk);
        symmetric_encrypt_and_hash(&r->state, out + 32, payload, len);
        assert_int_equal(total, 32 + len + SYMMETRIC_TAG_LEN);
        assert_memory_equal(out, expected, total);

        mix_e(&i->state, &r->ephemeral_public);
        assert_true(symmetric_mix_dh(&i->state, &i->ephemeral_private, &r->ephemeral_public));
        assert_true(symmetric_mix_dh(&i->state, &i->static_private, &r->ephemeral_public));
        symmetric_mix_key_and_hash(&i->state, &psk);
        assert_true(symmetric_decrypt_and_hash(&i->state, opened, expected + 32, total - 32));
        assert_memory_equal(opened, payload, len);
}

static void cacophony_vector(void **state)
{
        struct party i, r;
        struct key keys[2], exporter, other[2], other_exporter;

        (void)state;
        unhex(psk.bytes, KEY_LEN, psk_hex);
        party_init(&i, init_static_hex, init_ephemeral_hex);
        party_init(&r, resp_static_hex, resp_ephemeral_hex);
        begin(&i, &r.static_public);
        begin(&r, &r.static_public);
        first_message(&i, &r);
        second_message(&i, &r);
        assert_memory_equal(&i.state, &r.state, sizeof i.state);

        symmetric_split(&i.state, &keys[0], &keys[1], &exporter);
        symmetric_split(&r.state, &other[0], &other[1], &other_exporter);
        assert_memory_equal(keys, other, sizeof keys);
        assert_true(key_equal(&exporter, &other_exporter));

        for (size_t m = 2; m < ROWS(messages); m++) { /* transport: by turns, two each way, nonce 0 and 1 */
                uint8_t payload[64], out[64];
                size_t len = unhex(payload, sizeof payload, messages[m].payload);

                cipher_default()->seal(out, payload, len, (m - 2) / 2, &keys[m % 2]);
                assert_hex(out, len + cipher_default()->tag_len, messages[m].ciphertext);
        }
}

static void forged_leaves_the_state(void **state)
{
        struct party i, r;
        struct symmetric before;
        uint8_t sealed[48 + SYMMETRIC_TAG_LEN], opened[48];

        (void)state;
        party_init(&i, init_static_hex, init_ephemeral_hex);
        party_init(&r, resp_static_hex, resp_ephemeral_hex);
        begin(&i, &r.static_public);
        mix_e(&i.state, &i.ephemeral_public);
        before = i.state;
        count_up(opened, sizeof opened, 1);
        symmetric_encrypt_and_hash(&i.state, sealed, opened, sizeof opened);
        assert_memory_not_equal(&i.state, &before, sizeof before);

        sealed[0] ^= 1;
        i.state = before;
        assert_false(symmetric_decrypt_and_hash(&i.state, opened, sealed, sizeof sealed));
        assert_false(symmetric_decrypt_and_hash(&i.state, opened, sealed, SYMMETRIC_TAG_LEN - 1));
        assert_false(symmetric_mix_dh(&i.state, &i.static_private, &(struct key){ { 0 } }));
        assert_memory_equal(&i.state, &before, sizeof before);
        assert_true(sodium_is_zero(opened, sizeof opened)); /* no unverified plaintext */
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(cacophony_vector),
                cmocka_unit_test(forged_leaves_the_state),
        };

        return cmocka_run_group_tests_name("symmetric", tests, sodium_setup, NULL);
}
