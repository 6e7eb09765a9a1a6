#include "crypto/cookie.h"

#include "tests/unit/crypto/vectors.h"

#include <stdlib.h>

/* 192.0.2.1 port 51820, and what differs from it in one thing. */
static const uint8_t here[] = { 192, 0, 2, 1, 0x14, 0xca, 0x6c };
static const uint8_t other_port[] = { 192, 0, 2, 1, 0x14, 0xca, 0x6d };
static const uint8_t other_host[] = { 192, 0, 2, 2, 0x14, 0xca, 0x6c };
static const uint64_t start = UINT64_C(1000000000000);

/* A responder under load and one who calls it, with the keys of the known answers. */
struct scene {
        struct key public_key;
        struct cookie_checker checker;
        struct cookie_jar jar;
        struct message_initiation msg;
        struct message_cookie_reply reply;
        uint8_t nonce[MESSAGE_NONCE_LEN];
};

static const char initiation_hex[] = "010000000403020164b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d484661"
                                     "58a0e4ca242d151ca97ab90159a98b6"
                                     "7e616625e68b4065d357376b6598e644ad7d678c0295d22de4cb43d5135581edd695c959bd027dbf8"
                                     "990523878e3ce7f8c67d519d93dae92"
                                     "08c7bca5cd97debacd6ee33d25a365c13676e2cf00000000000000000000000000000000";

static void scene_init(struct scene *s)
{
        struct key private_key;
        uint8_t secret[KDF_HASH_LEN];

        memset(s, 0, sizeof *s);
        count_up(private_key.bytes, KEY_LEN, 0x21);
        count_up(secret, sizeof secret, 0xc0);
        count_up(s->nonce, sizeof s->nonce, 0x10);
        assert_true(key_public_from_private(&s->public_key, &private_key));
        cookie_checker_init(&s->checker, &s->public_key, secret, start);
        cookie_jar_init(&s->jar, &s->public_key);
        assert_int_equal(unhex(&s->msg, sizeof s->msg, initiation_hex), sizeof s->msg);
        memset(&s->msg.macs, 0xee, sizeof s->msg.macs);
}

static void send_at(struct scene *s, uint64_t now)
{
        cookie_add_macs(&s->jar, now, &s->msg, sizeof s->msg);
}

static enum cookie_verdict check_at(struct scene *s, uint64_t now, const uint8_t address[sizeof here])
{
        return cookie_check(&s->checker, now, &s->msg, sizeof s->msg, address, sizeof here);
}

static void reply_at(struct scene *s, uint64_t now)
{
        cookie_reply_create(&s->checker, now, &s->msg, sizeof s->msg, here, sizeof here, s->nonce, &s->reply);
}

/* The caller now holds a cookie given at `now`. */
static void obtain_cookie(struct scene *s, uint64_t now)
{
        send_at(s, now);
        assert_int_equal(check_at(s, now, here), COOKIE_VALID_MAC1_ONLY);
        reply_at(s, now);
        assert_true(cookie_consume_reply(&s->jar, now, &s->reply));
}

/* By another implementation, in Python, with an HChaCha20 of its own. */
static void known_answers(void **state)
{
        struct scene s;

        (void)state;
        scene_init(&s);
        send_at(&s, start);
        assert_hex(&s.msg, sizeof s.msg, initiation_hex);
        reply_at(&s, start);
        assert_hex(
                &s.reply, sizeof s.reply,
                "0300000004030201101112131415161718191a1b1c1d1e1f2021222324252627ab6d13aa47e11bd33843a87b63c889a7f514"
                "79054e926a336b7a8c4f8a89badc");
        assert_true(cookie_consume_reply(&s.jar, start, &s.reply));
        assert_hex(s.jar.cookie, sizeof s.jar.cookie, "3e08c1d9a577b4a20f8b8e37c3be01c3");
        send_at(&s, start);
        assert_hex(s.msg.macs.mac2, sizeof s.msg.macs.mac2, "b7bc0aaf5a6dce98121e539dcd48933d");
}

static void cookie_is_of_one_address(void **state)
{
        struct scene s;

        (void)state;
        scene_init(&s);
        obtain_cookie(&s, start);
        send_at(&s, start);
        assert_int_equal(check_at(&s, start, here), COOKIE_VALID);
        assert_int_equal(check_at(&s, start, other_port), COOKIE_VALID_MAC1_ONLY);
        assert_int_equal(check_at(&s, start, other_host), COOKIE_VALID_MAC1_ONLY);
}

/* A zero mac2, which everyone without a cookie sends, is not taken for a right one, and any other is neither. */
static void mac2_is_not_inverted(void **state)
{
        struct scene s;

        (void)state;
        scene_init(&s);
        send_at(&s, start);
        assert_true(sodium_is_zero(s.msg.macs.mac2, sizeof s.msg.macs.mac2));
        assert_int_equal(check_at(&s, start, here), COOKIE_VALID_MAC1_ONLY);
        obtain_cookie(&s, start);
        send_at(&s, start);
        for (size_t bit = 0; bit < 8 * MESSAGE_MAC_LEN; bit++) {
                s.msg.macs.mac2[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(check_at(&s, start, here), COOKIE_VALID_MAC1_ONLY);
                s.msg.macs.mac2[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_int_equal(check_at(&s, start, here), COOKIE_VALID);
}

static void mac1_covers_all_before_it(void **state)
{
        struct scene s;
        uint8_t *bytes = (uint8_t *)&s.msg;

        (void)state;
        scene_init(&s);
        obtain_cookie(&s, start);
        send_at(&s, start);
        for (size_t bit = 0; bit < 8 * offsetof(struct message_initiation, macs.mac2); bit++) {
                bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_int_equal(check_at(&s, start, here), COOKIE_INVALID_MAC1);
                bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
}

static void only_handshake_lengths(void **state)
{
        struct scene s;

        (void)state;
        scene_init(&s);
        for (size_t len = 0; len <= 200; len++) {
                enum cookie_verdict expected = len == 148 || len == 92 ? COOKIE_VALID_MAC1_ONLY : COOKIE_INVALID_MAC1;
                uint8_t *bytes = malloc(len ? len : 1); /* its exact size, for the sanitizer to guard */

                assert_non_null(bytes);
                memset(bytes, 0, len);
                if (len >= MESSAGE_MAC_LEN) kdf_mac(bytes, s.jar.mac1_key, KDF_HASH_LEN, NULL, 0); /* mac1 of nothing */
                cookie_add_macs(&s.jar, start, bytes, len);
                assert_int_equal(cookie_check(&s.checker, start, bytes, len, here, sizeof here), expected);
                free(bytes);
        }
}

/* The secret lasts two minutes from its birth, a cookie two minutes from its arrival. */
static void lifetimes(void **state)
{
        static const struct {
                uint64_t given, used; /* after the start */
                bool sent;            /* the caller still uses its cookie */
                bool valid;           /* and the responder takes it */
        } rows[] = {
                { 0, 0, true, true },
                { 0, COOKIE_LIFETIME - 1, true, true },
                { 0, COOKIE_LIFETIME, false, false },
                { COOKIE_LIFETIME - 1, COOKIE_LIFETIME - 1, true, true },
                { COOKIE_LIFETIME - 1, COOKIE_LIFETIME, true, false }, /* made of the secret before */
                { COOKIE_LIFETIME, COOKIE_LIFETIME + COOKIE_LIFETIME / 2, true, true },
                { 10 * COOKIE_LIFETIME, 11 * COOKIE_LIFETIME - 1, true, true },
        };

        (void)state;
        for (size_t i = 0; i < ROWS(rows); i++) {
                struct scene s;

                scene_init(&s);
                obtain_cookie(&s, start + rows[i].given);
                send_at(&s, start + rows[i].used);
                assert_int_equal(!sodium_is_zero(s.msg.macs.mac2, sizeof s.msg.macs.mac2), rows[i].sent);
                assert_int_equal(check_at(&s, start + rows[i].used, here),
                                 rows[i].valid ? COOKIE_VALID : COOKIE_VALID_MAC1_ONLY);
        }
}

static void renewed_secret_differs(void **state)
{
        struct scene s;
        uint8_t first[KDF_HASH_LEN], second[KDF_HASH_LEN];

        (void)state;
        scene_init(&s);
        send_at(&s, start);
        memcpy(first, s.checker.secret, sizeof first);
        check_at(&s, start + COOKIE_LIFETIME - 1, here);
        assert_memory_equal(s.checker.secret, first, sizeof first);
        check_at(&s, start + COOKIE_LIFETIME, here);
        memcpy(second, s.checker.secret, sizeof second);
        assert_memory_not_equal(second, first, sizeof first);
        check_at(&s, start + 2 * COOKIE_LIFETIME, here);
        assert_memory_not_equal(s.checker.secret, second, sizeof second);
        assert_memory_not_equal(s.checker.secret, first, sizeof first);
}

/* A message with a wrong mac1 is no reason to renew anything. */
static void forged_mac1_changes_nothing(void **state)
{
        struct scene s;
        struct cookie_checker before;

        (void)state;
        scene_init(&s);
        before = s.checker;
        assert_int_equal(check_at(&s, start + 5 * COOKIE_LIFETIME, here), COOKIE_INVALID_MAC1);
        assert_memory_equal(&s.checker, &before, sizeof before);
}

static void reply_must_fit(void **state)
{
        struct scene s;
        struct cookie_jar before;
        uint8_t *bytes = (uint8_t *)&s.reply;

        (void)state;
        scene_init(&s);
        send_at(&s, start);
        reply_at(&s, start);

        /* One flipped bit anywhere; the receiver index is how the caller found this jar. */
        before = s.jar;
        for (size_t bit = 0; bit < 8 * sizeof s.reply; bit++) {
                if (bit / 8 >= 4 && bit / 8 < 8) continue;
                bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                assert_false(cookie_consume_reply(&s.jar, start, &s.reply));
                bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_memory_equal(&s.jar, &before, sizeof before);

        /* To a mac1 that was never sent, though all else is right. */
        s.msg.macs.mac1[0] ^= 1;
        reply_at(&s, start);
        assert_false(cookie_consume_reply(&s.jar, start, &s.reply));
        s.msg.macs.mac1[0] ^= 1;

        /* To the message before the last. */
        reply_at(&s, start);
        s.msg.sender = le32_put(5);
        send_at(&s, start);
        assert_false(cookie_consume_reply(&s.jar, start, &s.reply));

        /* The right one is taken once. */
        reply_at(&s, start);
        assert_true(cookie_consume_reply(&s.jar, start, &s.reply));
        before = s.jar;
        assert_false(cookie_consume_reply(&s.jar, start + 1, &s.reply));
        assert_memory_equal(&s.jar, &before, sizeof before);
}

static void unasked_reply_is_refused(void **state)
{
        struct scene s;

        (void)state;
        scene_init(&s);
        memset(&s.msg.macs, 0, sizeof s.msg.macs); /* what a new jar's last mac1 looks like */
        reply_at(&s, start);
        assert_false(cookie_consume_reply(&s.jar, start, &s.reply));
        assert_false(s.jar.has_cookie);
}

static void reply_to_a_response(void **state)
{
        struct scene s;
        struct message_response msg = { .type = le32_put(MESSAGE_RESPONSE), .sender = le32_put(0xfeedbeef) };

        (void)state;
        scene_init(&s);
        cookie_add_macs(&s.jar, start, &msg, sizeof msg);
        assert_int_equal(cookie_check(&s.checker, start, &msg, sizeof msg, here, sizeof here), COOKIE_VALID_MAC1_ONLY);
        cookie_reply_create(&s.checker, start, &msg, sizeof msg, here, sizeof here, s.nonce, &s.reply);
        assert_true(le32_get(s.reply.receiver) == 0xfeedbeef);
        assert_true(cookie_consume_reply(&s.jar, start, &s.reply));
        cookie_add_macs(&s.jar, start, &msg, sizeof msg);
        assert_int_equal(cookie_check(&s.checker, start, &msg, sizeof msg, here, sizeof here), COOKIE_VALID);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_answers),          cmocka_unit_test(cookie_is_of_one_address),
                cmocka_unit_test(mac2_is_not_inverted),   cmocka_unit_test(mac1_covers_all_before_it),
                cmocka_unit_test(only_handshake_lengths), cmocka_unit_test(lifetimes),
                cmocka_unit_test(renewed_secret_differs), cmocka_unit_test(forged_mac1_changes_nothing),
                cmocka_unit_test(reply_must_fit),         cmocka_unit_test(unasked_reply_is_refused),
                cmocka_unit_test(reply_to_a_response),
        };

        return cmocka_run_group_tests_name("cookie", tests, sodium_setup, NULL);
}
