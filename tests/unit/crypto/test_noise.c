#include "crypto/noise.h"

#include "crypto/cipher.h"
#include "crypto/cookie.h"
#include "tests/unit/crypto/vectors.h"

enum { INITIATOR_INDEX = 0x01020304, RESPONDER_INDEX = 0xa1a2a3a4 };

/* Two peers that know each other, with the keys of the known answers below. */
struct pair {
        struct identity self_i, self_r;
        struct handshake i, r;
        struct key ephemeral_i, ephemeral_r;
        uint8_t timestamp[MESSAGE_TIMESTAMP_LEN], newest[MESSAGE_TIMESTAMP_LEN];
        struct message_initiation initiation;
        struct message_response response;
        struct session_keys keys_i, keys_r;
};

static void counted_identity(struct identity *self, unsigned first)
{
        struct key private_key;

        count_up(private_key.bytes, KEY_LEN, first);
        assert_true(noise_identity_init(self, &private_key));
}

static void pair_init(struct pair *p, bool preshared)
{
        memset(p, 0, sizeof *p);
        counted_identity(&p->self_i, 0x01);
        counted_identity(&p->self_r, 0x21);
        count_up(p->ephemeral_i.bytes, KEY_LEN, 0x41);
        count_up(p->ephemeral_r.bytes, KEY_LEN, 0x61);
        count_up(p->timestamp, sizeof p->timestamp, 0xa0);
        if (preshared) {
                count_up(p->i.preshared_key.bytes, KEY_LEN, 0x81);
                p->r.preshared_key = p->i.preshared_key;
        }
        assert_true(noise_precompute(&p->i, &p->self_i, &p->self_r.public_key));
        assert_true(noise_precompute(&p->r, &p->self_r, &p->self_i.public_key));
}

static void add_mac1(const struct key *receiver_public, void *message, size_t len)
{
        struct cookie_jar jar;

        cookie_jar_init(&jar, receiver_public);
        cookie_add_macs(&jar, 0, message, len);
}

static void initiate(struct pair *p)
{
        assert_true(noise_create_initiation(&p->i, &p->self_i, &p->ephemeral_i, INITIATOR_INDEX, p->timestamp,
                                            &p->initiation));
        add_mac1(&p->self_r.public_key, &p->initiation, sizeof p->initiation);
}

static enum noise_verdict receive_initiation(struct pair *p, const struct message_initiation *msg)
{
        struct noise_initiation peeked;

        memset(&peeked, 0, sizeof peeked);
        if (!noise_peek_initiation(&p->self_r, msg, &peeked)) {
                assert_true(sodium_is_zero((uint8_t *)&peeked, sizeof peeked));
                return NOISE_FORGED;
        }
        return noise_consume_initiation(&p->r, &peeked, p->newest);
}

static void respond(struct pair *p)
{
        assert_int_equal(receive_initiation(p, &p->initiation), NOISE_ACCEPTED);
        assert_true(noise_create_response(&p->r, &p->ephemeral_r, RESPONDER_INDEX, &p->response, &p->keys_r));
        add_mac1(&p->self_i.public_key, &p->response, sizeof p->response);
}

/* By another implementation of the paper's section 5.4, in Python, on hashlib and cryptography. */
static void known_answers(void **state)
{
        static const struct {
                bool preshared;
                const char *response, *i_to_r, *r_to_i, *exporter, *h;
        } rows[] = {
                { true,
                  "02000000a4a3a2a104030201244fe3b963e899dd295baffce248d3530f3a9a7479ba063002680ebfe7adad490ca1"
                  "a0246225e3e9d8e82ef9af568c5d4400d964c77c67e448dc93cffc4cf82700000000000000000000000000000000",
                  "248a29611829aaf7ee8bc8e87df805c1019f08f82d80eb79b7625821ba0a1317",
                  "848308e622b3e15e5ebc5312111efc31082e86c85e9ee93fe8c5aa7f972cc9c3",
                  "ce0b8b1fc52f08bb12eeb0e5a8ca9e6d1e56ace71cd6533f989deec883c499fc",
                  "c2c1b90df64dc8b12ef3e70bac03e53c684866fa494886a60b24a1cac503abd2" },
                { false,
                  "02000000a4a3a2a104030201244fe3b963e899dd295baffce248d3530f3a9a7479ba063002680ebfe7adad495f0d"
                  "ce0444fa15c464778a2cf45b8e773ba6dad1512112a8f4130ac7c338a0bc00000000000000000000000000000000",
                  "c5f330b6dc92c8bd4124800733b33cd9d7e5dd2ac8c782e1b558f9b2b60804d8",
                  "df0e53eac779a4c1ab023907c8dda549efdbf8ca9a4ce931ba1d27a2a8be73f9",
                  "e1d48f159ce79f7b35617b124972ca8286cfd0347da44afb5a69041016cd3edd",
                  "e8c61802b664d2f89dc052d9d2741432b004401d365dabb76abedfcf92047aa6" },
        };

        (void)state;
        for (size_t n = 0; n < ROWS(rows); n++) {
                struct pair p;

                pair_init(&p, rows[n].preshared);
                initiate(&p);
                assert_hex(
                        &p.initiation, sizeof p.initiation,
                        "010000000403020164b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466158a0e4ca242"
                        "d151ca97ab90159a98b67e616625e68b4065d357376b6598e644ad7d678c0295d22de4cb43d5135581edd695c959"
                        "bd027dbf8990523878e3ce7f8c67d519d93dae9208c7bca5cd97debacd6ee33d25a365c13676e2cf000000000000"
                        "00000000000000000000");
                respond(&p);
                assert_hex(&p.response, sizeof p.response, rows[n].response);
                assert_true(noise_consume_response(&p.i, &p.response, &p.self_i, &p.keys_i));
                assert_hex(p.keys_i.send.bytes, KEY_LEN, rows[n].i_to_r);
                assert_hex(p.keys_i.receive.bytes, KEY_LEN, rows[n].r_to_i);
                assert_hex(p.keys_i.exporter.bytes, KEY_LEN, rows[n].exporter);
                assert_hex(p.keys_i.h, sizeof p.keys_i.h, rows[n].h);
        }
}

static void both_roles_agree(void **state)
{
        struct pair p;

        (void)state;
        for (int n = 0; n < 20; n++) {
                uint8_t packet[100 + CIPHER_TAG_MAX] = "an inner packet";
                struct key private_key;

                pair_init(&p, n % 2);
                key_generate_private(&private_key);
                assert_true(noise_identity_init(&p.self_i, &private_key));
                key_generate_private(&private_key);
                assert_true(noise_identity_init(&p.self_r, &private_key));
                key_generate_private(&p.ephemeral_i);
                key_generate_private(&p.ephemeral_r);
                assert_true(noise_precompute(&p.i, &p.self_i, &p.self_r.public_key));
                assert_true(noise_precompute(&p.r, &p.self_r, &p.self_i.public_key));

                initiate(&p);
                respond(&p);
                assert_true(noise_consume_response(&p.i, &p.response, &p.self_i, &p.keys_i));
                assert_int_equal(p.i.remote_index, RESPONDER_INDEX);
                assert_int_equal(p.i.local_index, INITIATOR_INDEX);
                assert_int_equal(p.r.remote_index, INITIATOR_INDEX);
                assert_int_equal((uint32_t)p.r.local_index, (uint32_t)RESPONDER_INDEX);
                assert_true(key_equal(&p.keys_i.send, &p.keys_r.receive));
                assert_true(key_equal(&p.keys_i.receive, &p.keys_r.send));
                assert_true(key_equal(&p.keys_i.exporter, &p.keys_r.exporter));
                assert_memory_equal(p.keys_i.h, p.keys_r.h, sizeof p.keys_i.h);
                assert_false(key_equal(&p.keys_i.send, &p.keys_i.receive));
                assert_true(key_is_zero(&p.i.ephemeral_private)); /* nothing is left to compute the keys again */
                assert_true(sodium_is_zero((uint8_t *)&p.i.state, sizeof p.i.state));
                assert_true(sodium_is_zero((uint8_t *)&p.r.state, sizeof p.r.state));

                cipher_default()->seal(packet, packet, 100, 0, &p.keys_i.send);
                assert_true(cipher_default()->open(packet, 100 + cipher_default()->tag_len, 0, &p.keys_r.receive));
                assert_string_equal((char *)packet, "an inner packet");
        }
}

/* Any bit, as on a bad wire: mac1 refuses, and the handshake is not even asked. mac2 is only for hosts under load. */
static void flipped_bit_fails_mac1(void **state)
{
        struct cookie_checker checker;
        uint8_t secret[KDF_HASH_LEN] = { 1 }, address[] = { 192, 0, 2, 1, 0xca, 0x6c };
        struct pair p;
        uint8_t *bytes = (uint8_t *)&p.initiation;

        (void)state;
        pair_init(&p, true);
        initiate(&p);
        cookie_checker_init(&checker, &p.self_r.public_key, secret, 0);
        for (size_t bit = 0; bit < 8 * sizeof p.initiation; bit++) {
                enum cookie_verdict expected = bit < 8 * offsetof(struct message_initiation, macs.mac2)
                                                       ? COOKIE_INVALID_MAC1
                                                       : COOKIE_VALID_MAC1_ONLY;

                bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(cookie_check(&checker, 0, bytes, sizeof p.initiation, address, sizeof address),
                                 expected);
                bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

/* And by one who knows our public key and so makes a right mac1. The sender's index alone is nobody's to authenticate:
 * a changed one leads nowhere. */
static void flipped_initiation_is_refused(void **state)
{
        struct pair p, before;
        struct message_initiation forged;

        (void)state;
        pair_init(&p, true);
        initiate(&p);
        before = p;
        for (size_t bit = 0; bit < 8 * offsetof(struct message_initiation, macs); bit++) {
                if (bit / 8 >= offsetof(struct message_initiation, sender) &&
                    bit / 8 < offsetof(struct message_initiation, ephemeral))
                        continue;
                forged = p.initiation;
                ((uint8_t *)&forged)[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (receive_initiation(&p, &forged) != NOISE_FORGED) fail_msg("bit %zu", bit);
                assert_memory_equal(&p, &before, sizeof p);
        }
        assert_int_equal(receive_initiation(&p, &p.initiation), NOISE_ACCEPTED);
}

static void flipped_response_is_refused(void **state)
{
        struct pair p, before;
        struct message_response forged;

        (void)state;
        pair_init(&p, true);
        initiate(&p);
        respond(&p);
        before = p;
        for (size_t bit = 0; bit < 8 * offsetof(struct message_response, macs); bit++) {
                if (bit / 8 >= offsetof(struct message_response, sender) &&
                    bit / 8 < offsetof(struct message_response, receiver))
                        continue;
                forged = p.response;
                ((uint8_t *)&forged)[bit / 8] ^= (uint8_t)(1 << bit % 8);
                if (noise_consume_response(&p.i, &forged, &p.self_i, &p.keys_i)) fail_msg("bit %zu", bit);
                assert_memory_equal(&p, &before, sizeof p);
        }
        /* The pending handshake has survived all of them, and is answered once. */
        assert_true(noise_consume_response(&p.i, &p.response, &p.self_i, &p.keys_i));
        before = p;
        assert_false(noise_consume_response(&p.i, &p.response, &p.self_i, &p.keys_i));
        assert_memory_equal(&p, &before, sizeof p);
}

static void timestamp_must_grow(void **state)
{
        struct pair p, before;
        struct message_initiation first, second;

        (void)state;
        pair_init(&p, false);
        initiate(&p);
        first = p.initiation;
        p.timestamp[MESSAGE_TIMESTAMP_LEN - 1]++;
        initiate(&p);
        second = p.initiation;

        assert_int_equal(receive_initiation(&p, &second), NOISE_ACCEPTED);
        assert_memory_equal(p.newest, p.timestamp, sizeof p.newest);
        before = p;
        assert_int_equal(receive_initiation(&p, &second), NOISE_REPLAYED);
        assert_int_equal(receive_initiation(&p, &first), NOISE_REPLAYED);
        assert_memory_equal(&p, &before, sizeof p);

        p.timestamp[0]++; /* big endian: its first byte weighs most */
        p.timestamp[MESSAGE_TIMESTAMP_LEN - 1] = 0;
        initiate(&p);
        assert_int_equal(receive_initiation(&p, &p.initiation), NOISE_ACCEPTED);
}

/* A replayed initiation of the other side does not displace the one that we have sent ourselves. */
static void replay_keeps_our_pending(void **state)
{
        struct pair p;
        struct handshake before;
        struct message_initiation old, ours;

        (void)state;
        pair_init(&p, false);
        initiate(&p);
        respond(&p);
        old = p.initiation;
        assert_true(noise_create_initiation(&p.r, &p.self_r, &p.ephemeral_r, 77, p.timestamp, &ours));
        before = p.r;
        assert_int_equal(receive_initiation(&p, &old), NOISE_REPLAYED);
        assert_memory_equal(&p.r, &before, sizeof before);
        assert_int_equal(p.r.stage, HANDSHAKE_INITIATION_SENT);
}

static void preshared_key_must_match(void **state)
{
        struct pair p, before;

        (void)state;
        pair_init(&p, true);
        p.r.preshared_key.bytes[31] ^= 1;
        initiate(&p);
        respond(&p);
        before = p;
        assert_false(noise_consume_response(&p.i, &p.response, &p.self_i, &p.keys_i));
        assert_memory_equal(&p, &before, sizeof p);

        p.i.preshared_key = p.r.preshared_key; /* an edit counts from the very next step */
        assert_true(noise_consume_response(&p.i, &p.response, &p.self_i, &p.keys_i));
        assert_true(key_equal(&p.keys_i.send, &p.keys_r.receive));
}

static void wrong_keys_are_refused(void **state)
{
        struct identity stranger;
        struct handshake other = { 0 };
        struct noise_initiation peeked;
        struct pair p, before;

        (void)state;
        pair_init(&p, false);
        counted_identity(&stranger, 0x31);
        assert_true(noise_precompute(&other, &p.self_r, &stranger.public_key));
        initiate(&p);
        before = p;
        assert_false(noise_peek_initiation(&stranger, &p.initiation, &peeked)); /* not meant for him */
        assert_true(noise_peek_initiation(&p.self_r, &p.initiation, &peeked));
        assert_int_equal(noise_consume_initiation(&other, &peeked, p.newest), NOISE_FORGED); /* not that peer */

        /* Who knows both public keys can name the peer, but cannot make the timestamp (it takes "ss"). */
        p.i.static_static.bytes[0] ^= 1;
        initiate(&p);
        assert_true(noise_peek_initiation(&p.self_r, &p.initiation, &peeked));
        assert_memory_equal(&peeked.remote_static, &p.self_i.public_key, KEY_LEN);
        assert_int_equal(noise_consume_initiation(&p.r, &peeked, p.newest), NOISE_FORGED);
        assert_memory_equal(&p.r, &before.r, sizeof p.r);
        assert_memory_equal(p.newest, before.newest, sizeof p.newest);
}

/* A peer of low order is a peer, but nothing is ever sent to it, nor believed of it. */
static void low_order_static(void **state)
{
        static const struct key low = { { 1 } };
        struct pair p, before;
        struct message_initiation msg = { 0 };
        struct noise_initiation peeked = { .remote_static = low };

        (void)state;
        pair_init(&p, false);
        assert_false(noise_precompute(&p.i, &p.self_i, &low));
        assert_memory_equal(&p.i.remote_static, &low, sizeof low);
        assert_true(key_is_zero(&p.i.static_static));
        before = p;
        assert_false(noise_create_initiation(&p.i, &p.self_i, &p.ephemeral_i, 1, p.timestamp, &msg));
        assert_true(sodium_is_zero((uint8_t *)&msg, sizeof msg));

        /* With the DH of low order known to be zero anybody can make this message. */
        symmetric_init(&peeked.state, "a name of more than thirty-two characters", NULL, 0);
        {
                struct symmetric forge = peeked.state;

                symmetric_mix_key(&forge, (struct key){ { 0 } }.bytes, KEY_LEN);
                symmetric_encrypt_and_hash(&forge, peeked.encrypted_timestamp, p.timestamp, sizeof p.timestamp);
        }
        assert_int_equal(noise_consume_initiation(&p.i, &peeked, p.newest), NOISE_FORGED);
        assert_memory_equal(&p, &before, sizeof p);
}

/* The opening moves once more, for messages that no honest party makes. */
static void begin_wireguard(struct symmetric *state, const struct key *responder_static)
{
        static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

        symmetric_init(state, "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s", identifier, sizeof identifier - 1);
        symmetric_mix_hash(state, responder_static->bytes, KEY_LEN);
}

static void mix_e(struct symmetric *state, const struct key *ephemeral)
{
        symmetric_mix_hash(state, ephemeral->bytes, KEY_LEN);
        symmetric_mix_key(state, ephemeral->bytes, KEY_LEN);
}

/* Whole but for the ephemeral, by a peer that has all the keys: contributory behaviour is asked of it too. */
static void low_order_ephemeral(void **state)
{
        static const struct key low = { { 1 } };
        struct pair p, before;
        struct symmetric forge;
        struct message_initiation initiation = { .type = le32_put(MESSAGE_INITIATION), .ephemeral = low };
        struct message_response response = { .type = le32_put(MESSAGE_RESPONSE),
                                             .receiver = le32_put(INITIATOR_INDEX),
                                             .ephemeral = low };

        (void)state;
        pair_init(&p, false);
        before = p;
        begin_wireguard(&forge, &p.self_r.public_key);
        mix_e(&forge, &low);
        symmetric_encrypt_and_hash(&forge, initiation.encrypted_static, p.self_i.public_key.bytes, KEY_LEN);
        symmetric_mix_key(&forge, p.i.static_static.bytes, KEY_LEN);
        symmetric_encrypt_and_hash(&forge, initiation.encrypted_timestamp, p.timestamp, sizeof p.timestamp);
        assert_int_equal(receive_initiation(&p, &initiation), NOISE_FORGED);
        assert_memory_equal(&p, &before, sizeof p);

        initiate(&p);
        before = p;
        forge = p.i.state;
        mix_e(&forge, &low);
        symmetric_mix_key_and_hash(&forge, &p.i.preshared_key);
        symmetric_encrypt_and_hash(&forge, response.empty, NULL, 0);
        assert_false(noise_consume_response(&p.i, &response, &p.self_i, &p.keys_i));
        assert_memory_equal(&p, &before, sizeof p);
}

static void without_a_private_key(void **state)
{
        struct identity none;
        struct noise_initiation peeked;
        struct pair p;

        (void)state;
        pair_init(&p, false);
        initiate(&p);
        assert_false(noise_identity_init(&none, &(struct key){ { 0 } }));
        assert_true(sodium_is_zero((uint8_t *)&none, sizeof none));
        assert_false(noise_peek_initiation(&none, &p.initiation, &peeked));
        assert_false(noise_precompute(&p.r, &none, &p.r.remote_static));
        assert_false(p.r.usable);
        assert_memory_equal(&p.r.remote_static, &p.self_i.public_key, KEY_LEN);
        assert_int_equal(receive_initiation(&p, &p.initiation), NOISE_FORGED);
        assert_false(noise_create_initiation(&p.r, &none, &p.ephemeral_r, 1, p.timestamp, &p.initiation));
        assert_true(noise_precompute(&p.r, &p.self_r, &p.r.remote_static)); /* the key comes later */
        respond(&p);
}

/* "No key" is also a number, whose public key everybody knows: it must not work as a private key. */
static void zero_is_no_private_key(void **state)
{
        struct key clamped = { { 0 } }, clamped_public;
        struct message_initiation msg = { .type = le32_put(MESSAGE_INITIATION) };
        struct identity none = { 0 };
        struct noise_initiation peeked;
        struct symmetric forge;
        struct pair p;

        (void)state;
        pair_init(&p, false);
        key_clamp(&clamped);
        assert_true(key_public_from_private(&clamped_public, &clamped));
        assert_true(key_public_from_private(&msg.ephemeral, &p.ephemeral_i));
        begin_wireguard(&forge, &none.public_key);
        mix_e(&forge, &msg.ephemeral);
        assert_true(symmetric_mix_dh(&forge, &p.ephemeral_i, &clamped_public));
        symmetric_encrypt_and_hash(&forge, msg.encrypted_static, p.self_i.public_key.bytes, KEY_LEN);
        assert_false(noise_peek_initiation(&none, &msg, &peeked));
}

/* A peer whose initiation was consumed answers it himself, with the ephemeral key that we do not have yet. */
static void initiation_is_no_response(void **state)
{
        struct message_response msg = { .type = le32_put(MESSAGE_RESPONSE) };
        struct pair p, before;
        struct symmetric forge;

        (void)state;
        pair_init(&p, false);
        initiate(&p);
        forge = p.i.state;
        assert_int_equal(receive_initiation(&p, &p.initiation), NOISE_ACCEPTED);
        assert_memory_equal(&forge, &p.r.state, sizeof forge);
        before = p;

        msg.ephemeral = p.self_i.public_key; /* of which he has the private key */
        mix_e(&forge, &msg.ephemeral);
        assert_true(symmetric_mix_dh(&forge, &p.r.ephemeral_private, &msg.ephemeral));
        assert_true(symmetric_mix_dh(&forge, &p.self_i.private_key, &p.self_r.public_key));
        symmetric_mix_key_and_hash(&forge, &p.i.preshared_key);
        symmetric_encrypt_and_hash(&forge, msg.empty, NULL, 0);
        assert_false(noise_consume_response(&p.r, &msg, &p.self_r, &p.keys_r));
        assert_memory_equal(&p, &before, sizeof p);
}

static void stages_are_kept(void **state)
{
        struct pair p, before;

        (void)state;
        pair_init(&p, true);
        before = p;
        assert_false(noise_create_response(&p.r, &p.ephemeral_r, 1, &p.response, &p.keys_r));
        assert_memory_equal(&p, &before, sizeof p);
        initiate(&p);
        respond(&p);
        before = p;
        assert_false(noise_create_response(&p.r, &p.ephemeral_r, 1, &p.response, &p.keys_r));
        assert_memory_equal(&p, &before, sizeof p);

        noise_reset(&p.i);
        assert_false(noise_consume_response(&p.i, &p.response, &p.self_i, &p.keys_i));
        assert_int_equal(p.i.stage, HANDSHAKE_IDLE);
        assert_true(p.i.usable);
        assert_memory_equal(&p.i.preshared_key, &before.i.preshared_key, KEY_LEN);
        initiate(&p); /* and begins anew */

        assert_int_equal(p.i.stage, HANDSHAKE_INITIATION_SENT);
        assert_true(noise_precompute(&p.i, &p.self_i, &p.self_r.public_key));
        assert_int_equal(p.i.stage, HANDSHAKE_IDLE);
        assert_true(key_is_zero(&p.i.ephemeral_private));

        /* Our own initiation replaces the peer's that we have not answered. */
        p.timestamp[0]++;
        initiate(&p);
        assert_int_equal(receive_initiation(&p, &p.initiation), NOISE_ACCEPTED);
        assert_true(noise_create_initiation(&p.r, &p.self_r, &p.ephemeral_r, 1, p.timestamp, &p.initiation));
        assert_false(noise_create_response(&p.r, &p.ephemeral_r, 1, &p.response, &p.keys_r));
}

/* Only a clamped key is shown, whatever was set. */
static void identity_is_clamped(void **state)
{
        struct identity self;
        struct key raw;

        (void)state;
        memset(&raw, 0xff, sizeof raw);
        assert_true(noise_identity_init(&self, &raw));
        key_clamp(&raw);
        assert_true(key_equal(&self.private_key, &raw));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_answers),
                cmocka_unit_test(both_roles_agree),
                cmocka_unit_test(flipped_bit_fails_mac1),
                cmocka_unit_test(flipped_initiation_is_refused),
                cmocka_unit_test(flipped_response_is_refused),
                cmocka_unit_test(timestamp_must_grow),
                cmocka_unit_test(replay_keeps_our_pending),
                cmocka_unit_test(preshared_key_must_match),
                cmocka_unit_test(wrong_keys_are_refused),
                cmocka_unit_test(low_order_static),
                cmocka_unit_test(low_order_ephemeral),
                cmocka_unit_test(without_a_private_key),
                cmocka_unit_test(zero_is_no_private_key),
                cmocka_unit_test(initiation_is_no_response),
                cmocka_unit_test(stages_are_kept),
                cmocka_unit_test(identity_is_clamped),
        };

        return cmocka_run_group_tests_name("noise", tests, sodium_setup, NULL);
}
