/* How two Adits agree on a child, row by row of the states in docs/session-upgrade.md. `a` begins the parents, if
 * nothing else is said. What happens where one of them is silent is test_exchange_silence.c's. */
#include "tests/unit/proto/upgrade_pair.h"

static void check_sender(const struct side *side, bool child, bool mlkem)
{
        const struct session *current = side->peer->sessions.current;
        struct peer_status status;

        engine_peer_status(side->peer, &status);
        assert_ptr_equal(side->peer->sessions.sender, child ? current->child : current);
        assert_ptr_equal(status.cipher, child ? cipher_find(CIPHER_CHACHA20_POLY1305) : cipher_default());
        assert_int_equal(status.mlkem, mlkem);
}

/* HELLO, HELLO, OFFER, ACCEPT, and the child. */
static void strangers(bool kem)
{
        struct adits *x = adits_new(kem);

        TELLS(x->a, NONE);
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO");
        check(x->a, EXCHANGE_ASKED, UPGRADE_STATE_NO_ANSWER, false);
        assert_int_equal(due(x, x->a, TIMER_UPGRADE), SECONDS(40));
        check_sender(x->a, false, false);

        carry(x, x->a);
        check(x->b, EXCHANGE_NEW, UPGRADE_STATE_PENDING, false);
        assert_int_equal(due(x, x->b, TIMER_UPGRADE), SECONDS(1));
        assert_int_equal(carry(x, x->a), DROP_NONE);
        SAYS(x, x->b, "HELLO");
        check(x->b, EXCHANGE_NEW, UPGRADE_STATE_PENDING, true);

        assert_int_equal(carry(x, x->b), DROP_NONE);
        SAYS(x, x->a, kem ? "OFFER+" : "OFFER");
        check(x->a, EXCHANGE_OFFERED, UPGRADE_STATE_PENDING, true);
        assert_int_equal(due(x, x->a, TIMER_UPGRADE), RTO);

        assert_int_equal(carry(x, x->a), DROP_NONE);
        SAYS(x, x->b, kem ? "ACCEPT+" : "ACCEPT");
        check(x->b, EXCHANGE_ACCEPTED, UPGRADE_STATE_PENDING, true);
        check_sender(x->b, false, false); /* the child is not known to be there */
        assert_false(timer_armed(&x->b->peer->timers, TIMER_UPGRADE));

        assert_int_equal(carry(x, x->b), DROP_NONE);
        SAYS(x, x->a, "c:empty");
        check(x->a, EXCHANGE_USING, UPGRADE_STATE_PENDING, true);
        check_sender(x->a, false, false); /* it was not heard on the child */
        assert_int_equal(due(x, x->a, TIMER_UPGRADE), RTO);
        assert_int_equal(x->a->engine->works.taken, 0);
        assert_int_equal(x->events_a[EFFECT_UPGRADED], 0);

        assert_int_equal(carry(x, x->a), DROP_NONE);
        SAYS(x, x->b, "c:empty");
        check(x->b, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
        check_sender(x->b, true, kem);
        assert_int_equal(x->events_b[EFFECT_UPGRADED], 1);
        assert_int_equal(due(x, x->b, TIMER_PARENT), SECONDS(10));

        assert_int_equal(carry(x, x->b), DROP_NONE);
        SAYS(x, x->a, "");
        check_sender(x->a, true, kem);
        check(x->a, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
        assert_int_equal(x->events_a[EFFECT_UPGRADED], 1);
        assert_int_equal(due(x, x->a, TIMER_PARENT), SECONDS(10));
        assert_false(timer_armed(&x->a->peer->timers, TIMER_UPGRADE));
        assert_int_equal(all_drops(x->a) + all_drops(x->b), 0);

        assert_true(user_packet(x, x->a, 100));
        SAYS(x, x->a, "c:data");
        carry(x, x->a);
        assert_int_equal(x->p->delivered, 100);
        assert_true(user_packet(x, x->b, 100));
        carry(x, x->b);
        assert_int_equal(x->p->delivered, 100);
        adits_free(x);
}

static void test_strangers(void **state)
{
        (void)state;
        strangers(false);
}

static void test_strangers_with_mlkem(void **state)
{
        (void)state;
        NEEDS_MLKEM();
        strangers(true);
}

/* A frame is never the first packet of a session. */
static void test_first_words_come_behind(void **state)
{
        static const struct {
                bool packet, require, known;
                const char *words;
        } rows[] = {
                { false, false, false, "empty HELLO" }, { true, false, false, "data HELLO" },
                { true, true, false, "empty HELLO" },   { false, false, true, "empty OFFER" },
                { true, false, true, "data OFFER" },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                struct adits *x = adits_new(false);

                if (rows[i].require) use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
                if (rows[i].known) make_known(x);
                if (rows[i].packet) {
                        assert_false(user_packet(x, x->a, 100));
                        lose(x, x->a);
                }
                meet(x, x->a);
                SAYS(x, x->a, rows[i].words);
                adits_free(x);
        }
}

/* The second session: no HELLO any more, and the old child is shown to be there. */
static void test_known(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        upgrade_all(x, x->a);
        meet(x, x->a);
        SAYS(x, x->a, "empty oldc:empty OFFER");
        carry_all(x);
        check(x->a, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
        meet(x, x->b); /* and the other way round */
        SAYS(x, x->b, "empty oldc:empty OFFER");
        carry_all(x);
        check(x->b, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
        assert_int_equal(x->events_a[EFFECT_UPGRADED], 3);
        assert_int_equal(all_drops(x->a) + all_drops(x->b), 0);
        adits_free(x);
}

/* Lost answers: the same OFFER draws the same ACCEPT; another one nothing. */
static void test_answers_again(void **state)
{
        struct adits *x = adits_new(false);
        const struct upgrade_frame other = offer_of(77, 0);
        uint8_t first[32];
        struct datagram d;

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        for (unsigned i = 0; i < 5; i++) {
                SAYS(x, x->a, "OFFER");
                assert_int_equal(carry(x, x->a), DROP_NONE);
                SAYS(x, x->b, "ACCEPT");
                if (i) assert_memory_equal(x->from_b.list[0].plain, first, sizeof first);
                else memcpy(first, x->from_b.list[0].plain, sizeof first);
                if (i == 4) break;
                lose(x, x->b);
                advance(x, sends_at[i + 1] - sends_at[i]);
        }
        d = seal_frame(x->a, &other);
        assert_int_equal(hand(x, x->b, &d), DROP_RX_UPGRADE_UNEXPECTED);
        assert_int_equal(drops(x->b, DROP_RX_UPGRADE_UNEXPECTED), 1);
        SAYS(x, x->b, "ACCEPT");
        STATE(x->b, ACCEPTED);
        assert_int_equal(x->b->engine->store.children.taken, 1);
        carry_all(x);
        check(x->a, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
        check(x->b, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
        adits_free(x);
}

/* What the peer can has changed since we heard of it. */
static void test_offer_ruled_out(void **state)
{
        static const struct {
                uint8_t flags, chacha, aes;
                enum upgrade_state upgrade;
        } rows[] = {
                { UPGRADE_REQUIRE, 100, 0, UPGRADE_STATE_PEER_WANTS_KEM },
                { 0, 0, 100, UPGRADE_STATE_NO_CIPHER },
                { 0, 100, 0, UPGRADE_STATE_PENDING }, /* any other HELLO: ignored */
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                const struct upgrade_frame hello = hello_of(rows[i].flags, 0, rows[i].chacha, rows[i].aes);
                bool ignored = rows[i].upgrade == UPGRADE_STATE_PENDING;
                struct adits *x = adits_new(false);
                struct datagram d;

                make_known(x);
                meet(x, x->a);
                carry(x, x->a);
                lose(x, x->a);
                d = seal_frame(x->b, &hello);
                assert_int_equal(hand(x, x->a, &d), DROP_NONE);
                SAYS(x, x->a, "");
                check(x->a, ignored ? EXCHANGE_OFFERED : EXCHANGE_OFF, rows[i].upgrade, true);
                assert_int_equal(due(x, x->a, TIMER_UPGRADE), ignored ? RTO : UINT64_MAX);
                adits_free(x);
        }
}

/* Of a peer that lost its ML-KEM: without, once; a second HELLO that rules that out, too, is the end. */
static void test_offers_again_without_mlkem(void **state)
{
        const struct upgrade_frame hello = hello_of(UPGRADE_REQUIRE, 0, 100, 0);
        struct upgrade_frame first;
        struct datagram d;

        (void)state;
        NEEDS_MLKEM();
        for (unsigned twice = 0; twice < 2; twice++) {
                struct adits *x = adits_new(true);

                make_known(x);
                x->b->engine->mlkem = false;
                meet(x, x->a);
                SAYS(x, x->a, "empty OFFER+");
                carry(x, x->a);
                memcpy(&first, x->from_a.list[0].plain, sizeof first);
                assert_int_equal(carry(x, x->a), DROP_NONE);
                SAYS(x, x->b, "HELLO");
                STATE(x->b, NEW);
                assert_int_equal(carry(x, x->b), DROP_NONE);
                SAYS(x, x->a, "OFFER");
                assert_memory_not_equal(x->from_a.list[0].plain + 4, &first.header.index, sizeof first.header.index);
                if (!twice) {
                        carry_all(x);
                        check(x->a, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
                        check_sender(x->a, true, false);
                } else {
                        d = seal_frame(x->b, &hello);
                        assert_int_equal(hand(x, x->a, &d), DROP_NONE);
                        SAYS(x, x->a, "OFFER");
                        check(x->a, EXCHANGE_OFF, UPGRADE_STATE_REFUSED, true);
                }
                adits_free(x);
        }
}

/* What the responder's policy or machine does not allow is answered by a HELLO, five times at most. */
static void test_offer_refused(void **state)
{
        const struct upgrade_frame offer = offer_of(77, 0);
        struct datagram d;

        (void)state;
        for (unsigned require = 0; require < 2; require++) {
                struct adits *x = adits_new(false);

                if (require) use_policy(x, x->b, false, POST_QUANTUM_REQUIRE);
                else abilities(x->b, false, true, false);
                meet(x, x->a);
                carry(x, x->a);
                lose(x, x->a);
                for (unsigned i = 0; i < 7; i++) {
                        d = seal_frame(x->a, &offer);
                        assert_int_equal(hand(x, x->b, &d), DROP_NONE);
                        SAYS(x, x->b, i < 5 ? "HELLO" : "");
                        lose(x, x->b);
                }
                check(x->b, EXCHANGE_NEW, require ? UPGRADE_STATE_PEER_NO_KEM : UPGRADE_STATE_NO_CIPHER, true);
                assert_int_equal(x->b->engine->store.children.taken, 0);
                assert_int_equal(x->b->engine->works.taken, 0);
                adits_free(x);
        }
}

/* The initiator has to hear on the child, and one answer may be lost: what comes on it is answered, at most each
 * 100 ms, 16 times. */
static void test_answers_on_the_child(void **state)
{
        struct adits *x = adits_new(false);
        struct session *child;
        struct datagram d;
        unsigned answers;

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        carry(x, x->b);
        carry(x, x->a);
        SAYS(x, x->b, "c:empty");
        child = x->a->peer->sessions.current->child;
        d = seal_on(x->a, child, "", 0);
        hand(x, x->b, &d);
        SAYS(x, x->b, "c:empty");
        for (answers = 1; answers < 30; answers++) {
                advance(x, MILLISECONDS(100) - 1);
                d = seal_on(x->a, child, "", 0);
                hand(x, x->b, &d);
                assert_int_equal(x->from_b.count, answers < 16 ? answers : 16);
                advance(x, 1);
                d = seal_on(x->a, child, "", 0);
                hand(x, x->b, &d);
                assert_int_equal(x->from_b.count, answers < 16 ? answers + 1 : 16);
        }
        for (unsigned i = 0; i < 15; i++) /* and any of them will do */
                letter_take(x, x->b);
        carry(x, x->b);
        STATE(x->a, ESTABLISHED);
        adits_free(x);
}

/* One EFFECT_FRAME, one frame. */
static void test_said_once(void **state)
{
        struct adits *x = adits_new(false);
        uint8_t datagram[FRAME_MAX + DATA_OVERHEAD];
        struct tx tx;

        (void)state;
        assert_false(engine_frame_next(x->a->engine, x->p->now, x->a->peer, &tx, datagram));
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO");
        assert_false(engine_frame_next(x->a->engine, x->p->now, x->a->peer, &tx, datagram));
        adits_free(x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_strangers),
                cmocka_unit_test(test_strangers_with_mlkem),
                cmocka_unit_test(test_first_words_come_behind),
                cmocka_unit_test(test_known),
                cmocka_unit_test(test_answers_again),
                cmocka_unit_test(test_offer_ruled_out),
                cmocka_unit_test(test_offers_again_without_mlkem),
                cmocka_unit_test(test_offer_refused),
                cmocka_unit_test(test_said_once),
                cmocka_unit_test(test_answers_on_the_child),
        };

        return RUN_ADITS(tests);
}
