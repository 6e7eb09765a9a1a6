/* What an authentic but hostile peer, or somebody on the way, can do with frames of the session upgrade. */
#include "tests/unit/proto/upgrade_pair.h"

/* ---- Malformed --------------------------------------------------------------------------------------------------- */

static struct datagram from_a(struct adits *x, const void *plain, size_t len)
{
        x->b->peer->sessions.current->frames = 0; /* the limit is another test's */
        return seal_on(x->a, x->a->peer->sessions.current, plain, len);
}

static void test_truncated(void **state)
{
        const bool kem = mlkem_available();
        struct letter offer;
        struct adits *x = said(true, kem, &offer);

        (void)state;
        assert_string_equal(offer.word, kem ? "OFFER+" : "OFFER");
        for (size_t len = 1; len < offer.plain_len; len++) {
                struct datagram d = from_a(x, offer.plain, len);

                check_frame_refused(x, x->b, &d, DROP_RX_UPGRADE_BAD, false);
        }
        memset(offer.plain + offer.plain_len, 0, 64);
        for (size_t more = 1; more <= 64; more++) {
                struct datagram d = from_a(x, offer.plain, offer.plain_len + more);

                check_frame_refused(x, x->b, &d, DROP_RX_UPGRADE_BAD, false);
        }
        assert_int_equal(hand(x, x->b, &offer.d), DROP_NONE); /* after all that the real one is taken */
        SAYS(x, x->b, kem ? "ACCEPT+" : "ACCEPT");
        adits_free(x);
}

static void test_malformed(void **state)
{
        static const struct {
                uint8_t at, value;
        } rows[] = {
                { 0, 0x00 }, { 0, 0x02 }, { 0, 0x0f }, { 1, 0 },   { 1, 3 },  { 1, 4 },
                { 1, 255 },  { 2, 0 },    { 2, 15 },   { 2, 17 },  { 2, 32 }, { 3, 1 },
                { 3, 255 },  { 8, 1 },    { 8, 2 },    { 8, 255 }, { 16, 1 }, { 31, 128 },
        };
        struct letter offer;
        struct adits *x = said(true, false, &offer);

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                uint8_t plain[32];
                struct datagram d;

                memcpy(plain, offer.plain, sizeof plain);
                plain[rows[i].at] = rows[i].value;
                d = from_a(x, plain, sizeof plain);
                check_frame_refused(x, x->b, &d, DROP_RX_UPGRADE_BAD, false);
        }
        assert_int_equal(drops(x->b, DROP_RX_UPGRADE_BAD), ROWS(rows));
        adits_free(x);
}

/* Somebody on the way: nothing but its tag's count changes. And none is taken twice. */
static void test_damaged_and_repeated(void **state)
{
        struct letter offer;
        struct adits *x = said(true, mlkem_available(), &offer);

        (void)state;
        for (size_t at = 8; at < offer.d.len; at += at < 64 ? 1 : 13) {
                struct datagram d = offer.d;

                d.bytes[at] ^= (uint8_t)(1 << at % 8);
                d.from = endpoint_of("203.0.113.9", 9);
                check_frame_refused(x, x->b, &d, DROP_RX_BAD_TAG, false);
        }
        assert_int_equal(hand(x, x->b, &offer.d), DROP_NONE);
        lose(x, x->b);
        check_frame_refused(x, x->b, &offer.d, DROP_RX_REPLAY, false);
        adits_free(x);
}

/* ---- Out of turn ------------------------------------------------------------------------------------------------- */

enum { HELLO_OK = 1, OFFER_OK = 2, ACCEPT_OK = 4 };

static void asked(struct adits *x)
{
        (void)x;
}

static void offered(struct adits *x)
{
        carry(x, x->b); /* HELLO */
}

static void accepted(struct adits *x)
{
        offered(x);
        carry(x, x->a);
}

static void using(struct adits *x)
{
        accepted(x);
        carry(x, x->b);
}

static void established(struct adits *x)
{
        using(x);
        carry_all(x);
}

static void late(struct adits *x)
{
        advance(x, SECONDS(42));
}

static const struct {
        void (*go)(struct adits *x);
        bool initiator;
        enum exchange_state state;
        unsigned takes;
} turns[] = {
        { asked, true, EXCHANGE_ASKED, HELLO_OK }, { offered, true, EXCHANGE_OFFERED, HELLO_OK },
        { using, true, EXCHANGE_USING, 0 },        { established, true, EXCHANGE_ESTABLISHED, 0 },
        { late, true, EXCHANGE_OFF, 0 },           { asked, false, EXCHANGE_NEW, HELLO_OK | OFFER_OK },
        { accepted, false, EXCHANGE_ACCEPTED, 0 }, { established, false, EXCHANGE_ESTABLISHED, 0 },
        { late, false, EXCHANGE_OFF, 0 },
};

static void test_out_of_turn(void **state)
{
        struct upgrade_frame frames[3] = { hello_of(0, 0, 100, 0), offer_of(77, 0) };

        (void)state;
        frames[2] = frames[0];
        frames[2].header.type = UPGRADE_ACCEPT;
        frames[2].header.length = le16_put(32);
        for (unsigned i = 0; i < ROWS(turns); i++) {
                for (unsigned j = 0; j < ROWS(frames); j++) {
                        struct adits *x = adits_new(false);
                        struct side *side = turns[i].initiator ? x->a : x->b, *other = other_side(x->p, side);
                        struct datagram d;

                        meet(x, x->a);
                        carry(x, x->a);
                        carry(x, x->a); /* b answers by a HELLO */
                        turns[i].go(x);
                        assert_int_equal(side->peer->exchange.state, turns[i].state);
                        lose(x, x->a);
                        lose(x, x->b);
                        d = seal_frame(other, &frames[j]);
                        if (turns[i].takes & 1u << j) {
                                assert_int_equal(hand(x, side, &d), DROP_NONE);
                        } else if (turns[i].state == EXCHANGE_OFFERED && j == 2) {
                                assert_int_equal(hand(x, side, &d), DROP_RX_UPGRADE_BAD); /* its tag */
                                STATE(side, OFF);
                        } else {
                                check_frame_refused(x, side, &d, DROP_RX_UPGRADE_UNEXPECTED, true);
                        }
                        adits_free(x);
                }
        }
}

/* What it said itself comes back: as the datagram it was, and as the peer's words on the same session. */
static void test_reflected(void **state)
{
        struct letter words[2];
        struct adits *x = adits_new(mlkem_available());
        struct datagram d;

        (void)state;
        meet(x, x->a);
        carry(x, x->a);
        words[0] = letter_take(x, x->a); /* HELLO */
        check_frame_refused(x, x->a, &words[0].d, DROP_RX_UNKNOWN_INDEX, false);
        d = seal_on(x->b, x->b->peer->sessions.current, words[0].plain, words[0].plain_len);
        hand(x, x->a, &d);
        words[1] = letter_take(x, x->a); /* OFFER: to whoever says HELLO */
        check_frame_refused(x, x->a, &words[1].d, DROP_RX_UNKNOWN_INDEX, false);
        d = seal_on(x->b, x->b->peer->sessions.current, words[1].plain, words[1].plain_len);
        check_frame_refused(x, x->a, &d, DROP_RX_UPGRADE_UNEXPECTED, true);
        hand(x, x->b, &words[1].d);
        words[0] = letter_take(x, x->b); /* ACCEPT */
        d = seal_on(x->a, x->a->peer->sessions.current, words[0].plain, words[0].plain_len);
        check_frame_refused(x, x->b, &d, DROP_RX_UPGRADE_UNEXPECTED, true);
        hand(x, x->a, &words[0].d);
        carry_all(x);
        STATE(x->a, ESTABLISHED);
        STATE(x->b, ESTABLISHED);
        adits_free(x);
}

/* ---- ACCEPT ------------------------------------------------------------------------------------------------------ */

/* Not a bit of it may be another: the tag is of all of it, and of what was offered. */
static void test_accept_changed(void **state)
{
        struct adits *x = adits_new(mlkem_available());
        struct letter accept;
        void *offered_memory;

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        accept = letter_take(x, x->b);
        offered_memory = snapshot(x->a);
        for (size_t at = 0; at < accept.plain_len; at++) {
                for (unsigned bit = 0; bit < 8; bit++) {
                        struct datagram d;
                        enum drop reason;

                        accept.plain[at] ^= (uint8_t)(1 << bit);
                        d = seal_on(x->b, x->b->peer->sessions.current, accept.plain, accept.plain_len);
                        accept.plain[at] ^= (uint8_t)(1 << bit);
                        reason = hand(x, x->a, &d);
                        if (at == 1 && bit == 1) assert_int_equal(reason, DROP_NONE); /* that is a HELLO */
                        else if (reason == DROP_NONE) fail_msg("byte %zu, bit %u", at, bit);
                        assert_int_equal(x->a->engine->store.children.taken, 0);
                        assert_null(x->a->peer->sessions.current->child);
                        assert_null(strstr(says(x, x->a), "c:"));
                        if (at == 8 || at == 10) assert_int_equal(x->a->peer->exchange.state, EXCHANGE_OFFERED);
                        lose(x, x->a);
                        if (accept.plain_len > 32 && at >= 40 && at < accept.plain_len - 20) bit = 7; /* is slow */
                        memcpy(x->a->memory, offered_memory, x->a->size); /* as if it had not come */
                }
        }
        assert_int_equal(hand(x, x->a, &accept.d), DROP_NONE);
        STATE(x->a, USING);
        free(offered_memory);
        adits_free(x);
}

/* One that fits another OFFER, another session, or comes from the same keys with the roles changed. */
static void test_accept_of_another_exchange(void **state)
{
        struct adits *x = adits_new(false);
        struct letter accept;
        struct datagram d;

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        accept = letter_take(x, x->b);
        meet(x, x->a);
        carry(x, x->a);
        lose(x, x->a);
        d = seal_on(x->b, x->b->peer->sessions.current, accept.plain, accept.plain_len);
        assert_int_equal(hand(x, x->a, &d), DROP_RX_UPGRADE_BAD);
        STATE(x->a, OFF);
        TELLS(x->a, REFUSED);
        assert_int_equal(x->a->engine->store.children.taken, 0);
        assert_int_equal(hand(x, x->a, &accept.d), DROP_RX_UPGRADE_UNEXPECTED); /* on `previous` */
        adits_free(x);
}

/* A key that is not reduced draws no work, no child, and a HELLO; and it was the last word under this parent. */
static void test_offer_with_a_bad_key(void **state)
{
        struct letter offer;
        struct adits *x;
        struct datagram d;

        (void)state;
        NEEDS_MLKEM();
        x = said(true, true, &offer);
        memset(offer.plain + 16, 0xff, 3);
        d = from_a(x, offer.plain, offer.plain_len);
        assert_int_equal(hand(x, x->b, &d), DROP_NONE);
        SAYS(x, x->b, "HELLO");
        STATE(x->b, OFF);
        TELLS(x->b, REFUSED);
        assert_int_equal(x->b->engine->works.taken, 0);
        assert_int_equal(x->b->engine->store.children.taken, 0);
        assert_true(sodium_is_zero((const uint8_t *)x->b->engine->works.free + sizeof(void *),
                                   x->b->engine->works.item_size - sizeof(void *)));
        lose(x, x->b);
        assert_int_equal(hand(x, x->b, &offer.d), DROP_RX_UPGRADE_UNEXPECTED); /* the true one */
        SAYS(x, x->b, "");
        adits_free(x);
}

/* ---- Other sessions than the parent ------------------------------------------------------------------------------ */

static void test_frames_elsewhere(void **state)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0);
        struct adits *x = adits_new(false);
        struct datagram d;

        (void)state;
        upgrade_all(x, x->a);
        d = seal_on(x->a, x->a->peer->sessions.current->child, &hello, 32);
        check_frame_refused(x, x->b, &d, DROP_RX_NOT_IP, false);
        advance(x, SECONDS(10));
        d = seal_on(x->a, x->a->peer->sessions.current, &hello, 32); /* the child in its parent's place */
        check_frame_refused(x, x->b, &d, DROP_RX_NOT_IP, false);
        lose(x, x->a);
        lose(x, x->b);

        meet(x, x->a);
        carry_all(x);
        meet(x, x->a);
        carry(x, x->a);
        lose(x, x->a);
        d = seal_on(x->a, x->a->peer->sessions.previous, &hello, 32);
        check_frame_refused(x, x->b, &d, DROP_RX_UPGRADE_UNEXPECTED, false);
        adits_free(x);
}

/* An OFFER as a session's first packet confirms it and is heard, unless that session yields to ours. */
static void test_frame_on_next(void **state)
{
        const struct upgrade_frame offer = offer_of(77, 0);

        (void)state;
        for (unsigned yields = 0; yields < 2; yields++) {
                struct adits *x = adits_new(false);
                struct datagram d;

                meet(x, x->a);
                lose(x, x->a);
                if (yields) x->b->peer->sessions.next->yields_until = x->p->now + SECONDS(5);
                d = seal_frame(x->a, &offer);
                assert_int_equal(hand(x, x->b, &d), yields ? DROP_RX_UPGRADE_UNEXPECTED : DROP_NONE);
                SAYS(x, x->b, yields ? "" : "ACCEPT");
                assert_int_equal(x->b->engine->store.children.taken, !yields);
                assert_int_equal(x->b->peer->acquaintance.known, !yields);
                adits_free(x);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_damaged_and_repeated),
                cmocka_unit_test(test_out_of_turn),
                cmocka_unit_test(test_reflected),
                cmocka_unit_test(test_accept_changed),
                cmocka_unit_test(test_accept_of_another_exchange),
                cmocka_unit_test(test_offer_with_a_bad_key),
                cmocka_unit_test(test_frames_elsewhere),
                cmocka_unit_test(test_frame_on_next),
        };

        return RUN_ADITS(tests);
}
