/* Where the other one says nothing, or nothing any more: who sends what how often, who is a stranger then, and what
 * policy makes of it. */
#include "tests/unit/proto/upgrade_pair.h"

/* Five times, the same bytes; the third exchange in a row without an answer makes a stranger of it. */
static void test_offer_without_answer(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        for (unsigned miss = 1; miss <= 3; miss++) {
                uint64_t start;

                meet(x, x->a);
                start = x->p->now;
                while (x->from_a.count > 1)
                        letter_take(x, x->a); /* the empty one */
                advance(x, SENDS_END - 1);
                SAYS(x, x->a, "OFFER OFFER OFFER OFFER OFFER");
                for (unsigned i = 0; i < 5; i++) {
                        assert_int_equal(x->from_a.list[i].at - start, sends_at[i]);
                        assert_memory_equal(x->from_a.list[i].plain, x->from_a.list[0].plain, 32);
                }
                check(x->a, EXCHANGE_OFFERED, UPGRADE_STATE_PENDING, true);
                assert_int_equal(x->a->peer->acquaintance.misses, miss - 1);
                advance(x, 1);
                check(x->a, EXCHANGE_OFFERED, UPGRADE_STATE_SILENT, miss < 3);
                assert_int_equal(x->events_a[EFFECT_UPGRADE_LOST], miss == 3);
                lose(x, x->a);
                advance(x, SECONDS(40) - SENDS_END - 1); /* an answer may be late */
                check(x->a, EXCHANGE_OFFERED, UPGRADE_STATE_SILENT, miss < 3);
                advance(x, 1);
                check(x->a, EXCHANGE_OFF, UPGRADE_STATE_SILENT, miss < 3);
                SAYS(x, x->a, "");
        }
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO");
        adits_free(x);
}

/* After the five a HELLO draws the OFFER once more, and its ACCEPT is as good as an early one. */
static void test_late_answer(void **state)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0);
        struct adits *x = adits_new(false);
        uint8_t first[32];
        struct datagram d;

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        memcpy(first, x->from_a.list[0].plain, sizeof first);
        advance(x, SENDS_END);
        lose(x, x->a);
        lose(x, x->b);
        d = seal_frame(x->b, &hello);
        assert_int_equal(hand(x, x->a, &d), DROP_NONE);
        SAYS(x, x->a, "OFFER");
        assert_memory_equal(x->from_a.list[0].plain, first, sizeof first);
        carry_all(x);
        check(x->a, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
        assert_int_equal(x->a->peer->acquaintance.misses, 0);
        adits_free(x);
}

static void test_answer_forgives_misses(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        for (unsigned i = 0; i < 2; i++) {
                meet(x, x->a);
                lose(x, x->a);
                advance(x, SECONDS(4));
                lose(x, x->a);
        }
        assert_int_equal(x->a->peer->acquaintance.misses, 2);
        upgrade_all(x, x->a);
        assert_int_equal(x->a->peer->acquaintance.misses, 0);
        adits_free(x);
}

static void test_rto(void **state)
{
        static const struct {
                uint64_t round_trip, rto;
        } rows[] = {
                { MILLISECONDS(1), MILLISECONDS(100) },     { MILLISECONDS(50), MILLISECONDS(100) },
                { MILLISECONDS(51), MILLISECONDS(102) },    { MILLISECONDS(500), SECONDS(1) },
                { MILLISECONDS(3000), MILLISECONDS(1000) },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                struct adits *x = adits_new(false);

                make_known(x);
                user_packet(x, x->a, 100);
                carry(x, x->a);
                pass_time(x->p, rows[i].round_trip);
                carry(x, x->b);
                SAYS(x, x->a, "data OFFER");
                assert_int_equal(due(x, x->a, TIMER_UPGRADE), rows[i].rto);
                adits_free(x);
        }
}

/* The responder waits a second for the other's first word. */
static void test_responder_asks(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->a, true, POST_QUANTUM_AUTO);
        meet(x, x->a);
        SAYS(x, x->a, "empty");
        carry(x, x->a);
        advance(x, SECONDS(1) - 1);
        SAYS(x, x->b, "");
        TELLS(x->b, PENDING);
        advance(x, 1);
        SAYS(x, x->b, "HELLO");
        check(x->b, EXCHANGE_NEW, UPGRADE_STATE_NO_ANSWER, false);
        advance(x, SECONDS(60));
        SAYS(x, x->b, "HELLO");
        check(x->b, EXCHANGE_OFF, UPGRADE_STATE_NO_ANSWER, false);
        adits_free(x);
}

/* A known one that says nothing is missed by a responder, too: after another 3 s. */
static void test_responder_misses(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->a, true, POST_QUANTUM_AUTO);
        make_known(x);
        x->a->peer->acquaintance.known = false; /* no farewell */
        for (unsigned miss = 1; miss <= 3; miss++) {
                meet(x, x->a);
                carry_all(x);
                advance(x, SECONDS(1));
                SAYS(x, x->b, "HELLO");
                lose(x, x->b);
                advance(x, SECONDS(3) - 1);
                assert_int_equal(x->b->peer->acquaintance.misses, miss - 1);
                advance(x, 1);
                check(x->b, EXCHANGE_NEW, UPGRADE_STATE_SILENT, miss < 3);
                assert_int_equal(x->b->peer->acquaintance.misses, miss % 3);
                assert_int_equal(x->events_b[EFFECT_UPGRADE_LOST], miss == 3);
                SAYS(x, x->b, "");
        }
        adits_free(x);
}

/* What a known one last said rules every OFFER out: it is asked whether that still holds, once, and is to answer. */
static void test_asks_whether_that_still_holds(void **state)
{
        static const struct {
                bool require; /* ours, without ML-KEM */
                uint8_t flags, chacha, aes;
                enum upgrade_state why;
        } rows[] = {
                { false, 0, 0, 100, UPGRADE_STATE_NO_CIPHER },
                { false, UPGRADE_REQUIRE, 100, 0, UPGRADE_STATE_PEER_WANTS_KEM },
                { true, 0, 100, 0, UPGRADE_STATE_PEER_NO_KEM },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                for (unsigned answer = 0; answer < 3; answer++) { /* none, the same, another */
                        const struct upgrade_frame same = hello_of(rows[i].flags, 0, rows[i].chacha, rows[i].aes);
                        const struct upgrade_frame hello = answer == 1 ? same : hello_of(0, 0, 100, 0);
                        struct adits *x = adits_new(false);
                        struct datagram d;

                        if (rows[i].require) use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
                        x->a->peer->acquaintance = (struct acquaintance){ .known = true,
                                                                          .told = true,
                                                                          .costs = { rows[i].chacha, rows[i].aes } };
                        x->a->peer->they_require = rows[i].flags;
                        meet(x, x->a);
                        SAYS(x, x->a, "empty HELLO");
                        check(x->a, EXCHANGE_ASKED, rows[i].why, true);
                        carry(x, x->a);
                        lose(x, x->a);
                        d = seal_frame(x->b, &hello);
                        if (answer) hand(x, x->a, &d);
                        if (answer == 2 && !rows[i].require) {
                                SAYS(x, x->a, "OFFER");
                        } else if (answer) {
                                SAYS(x, x->a, "");
                                check(x->a, EXCHANGE_OFF, rows[i].why, true);
                        } else if (!rows[i].require) {
                                advance(x, SECONDS(3) - 1);
                                check(x->a, EXCHANGE_ASKED, rows[i].why, true);
                                advance(x, 1);
                                check(x->a, EXCHANGE_OFF, UPGRADE_STATE_SILENT, true);
                                assert_int_equal(x->a->peer->acquaintance.misses, 1);
                        }
                        adits_free(x);
                }
        }
}

/* Any frame of the initiator's is an answer. */
static void test_responder_forgives_misses(void **state)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0);
        struct adits *x = adits_new(false);
        struct datagram d;

        (void)state;
        x->b->peer->acquaintance.misses = 2;
        meet(x, x->a);
        lose(x, x->a);
        d = seal_frame(x->a, &hello);
        hand(x, x->b, &d);
        assert_int_equal(x->b->peer->acquaintance.misses, 0);
        adits_free(x);
}

/* Its HELLO is answered by an initiator that is OFF, unless that has nothing left to offer from. */
static void test_hello_to_one_that_is_off(void **state)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0);

        (void)state;
        for (unsigned late = 0; late < 2; late++) {
                struct adits *x = adits_new(false);
                struct datagram d;

                x->a->peer->acquaintance.probes = 3;
                x->a->peer->acquaintance.probed_at = x->p->now;
                meet(x, x->a);
                SAYS(x, x->a, "empty");
                carry(x, x->a);
                check(x->a, EXCHANGE_OFF, UPGRADE_STATE_NO_ANSWER, false);
                advance(x, SECONDS(40) - !late);
                lose(x, x->b);
                d = seal_frame(x->b, &hello);
                assert_int_equal(hand(x, x->a, &d), late ? DROP_RX_UPGRADE_UNEXPECTED : DROP_NONE);
                SAYS(x, x->a, late ? "" : "OFFER");
                assert_int_equal(x->a->peer->exchange.state, late ? EXCHANGE_OFF : EXCHANGE_OFFERED);
                adits_free(x);
        }
}

/* Strangers are asked in three sessions, then once an hour, and once more where the peer is elsewhere. */
static void test_probing(void **state)
{
        const struct endpoint elsewhere = endpoint_of("192.0.2.3", 1000);
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->b, true, POST_QUANTUM_AUTO);
        for (unsigned i = 0; i < 4; i++) {
                meet(x, x->a);
                SAYS(x, x->a, i < 3 ? "empty HELLO" : "empty");
                carry_all(x);
                check(x->a, i < 3 ? EXCHANGE_ASKED : EXCHANGE_OFF, UPGRADE_STATE_NO_ANSWER, false);
                pass_time(x->p, SECONDS(1));
        }
        assert_int_equal(drops(x->b, DROP_RX_NOT_IP), 3); /* as a WireGuard does */

        engine_peer_set_endpoint(x->a->peer, &elsewhere.remote);
        assert_int_equal(x->a->peer->acquaintance.probes, 2);
        x->b->at = elsewhere;
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO");
        carry_all(x);
        meet(x, x->a);
        SAYS(x, x->a, "empty");
        carry_all(x);

        pass_time(x->p, x->a->peer->acquaintance.probed_at + SECONDS(3600) - x->p->now - 3 * DELAY - 1);
        meet(x, x->a);
        SAYS(x, x->a, "empty");
        carry_all(x);
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO");
        carry_all(x);
        meet(x, x->a);
        SAYS(x, x->a, "empty");
        carry_all(x);

        adits_free(x);
}

static void test_probing_by_the_responder(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->a, true, POST_QUANTUM_AUTO);
        for (unsigned i = 0; i < 4; i++) {
                meet(x, x->a);
                carry_all(x);
                advance(x, SECONDS(1));
                SAYS(x, x->b, i < 3 ? "HELLO" : "");
                carry_all(x);
        }
        adits_free(x);
}

/* What was an Adit is asked every ten minutes. */
static void test_probing_of_one_that_was_lost(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        x->a->peer->acquaintance = (struct acquaintance){ .once = true, .probes = 3, .probed_at = x->p->now };
        pass_time(x->p, SECONDS(600) - 3 * DELAY - 1);
        meet(x, x->a);
        SAYS(x, x->a, "empty");
        lose(x, x->a);
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO");
        adits_free(x);
}

/* An accepted child that is silent: five empty ones, then a handshake; the third time no OFFER for an hour. */
static void unanswered_child(unsigned time)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0);
        struct adits *x = adits_new(false);
        struct datagram d;
        uint64_t start;

        make_known(x);
        x->a->peer->acquaintance.misses = (uint8_t)(time - 1);
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        carry(x, x->b);
        STATE(x->a, USING);
        start = x->p->now;
        x->a->peer->initiate_not_before = 0; /* that was 50 ms ago */
        advance(x, SENDS_END - 1);
        SAYS(x, x->a, "c:empty c:empty c:empty c:empty c:empty");
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(x->from_a.list[i].at - start, sends_at[i]);
        lose(x, x->a);
        assert_true(user_packet(x, x->a, 100));
        SAYS(x, x->a, "data");
        carry(x, x->a);
        assert_int_equal(x->p->delivered, 100);
        advance(x, 1);
        SAYS(x, x->a, "initiation");
        check(x->a, EXCHANGE_OFF, UPGRADE_STATE_UNUSED, true);
        assert_false(x->a->peer->sessions.current->child->sending);
        lose(x, x->a);
        lose(x, x->b);
        if (time < 3) {
                meet(x, x->a);
                SAYS(x, x->a, "empty OFFER");
        }
        for (unsigned i = 0; time == 3 && i < 2; i++) {
                pass_time(x->p, i ? start + SENDS_END + SECONDS(3600) - x->p->now : SECONDS(3600) - 4 * DELAY);
                meet(x, x->a);
                SAYS(x, x->a, i ? "empty OFFER" : "empty");
                carry(x, x->a);
                lose(x, x->a);
                if (i) break;
                TELLS(x->a, UNUSED);
                d = seal_frame(x->b, &hello);
                assert_int_equal(hand(x, x->a, &d), DROP_RX_UPGRADE_UNEXPECTED);
                SAYS(x, x->a, "");
        }
        adits_free(x);
}

static void test_using_without_answer(void **state)
{
        (void)state;
        for (unsigned time = 1; time <= 3; time++)
                unanswered_child(time);
}

/* Neither sends nor answers: to the other it is a WireGuard. */
static void test_off(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->a, true, POST_QUANTUM_AUTO);
        meet(x, x->b);
        SAYS(x, x->b, "empty HELLO");
        carry(x, x->b);
        assert_int_equal(carry(x, x->b), DROP_RX_NOT_IP);
        SAYS(x, x->a, "");
        check(x->a, EXCHANGE_OFF, UPGRADE_STATE_OFF_HERE, false);
        advance(x, SECONDS(60));
        SAYS(x, x->a, "");
        SAYS(x, x->b, "");
        meet(x, x->a);
        SAYS(x, x->a, "empty");
        adits_free(x);
}

/* Who switches it off says so once, in the session that is begun for that; the other does not ask again. */
static void test_farewell(void **state)
{
        (void)state;
        for (unsigned responder = 0; responder < 2; responder++) {
                struct adits *x = adits_new(false);
                struct side *initiator;

                upgrade_all(x, x->a);
                use_policy(x, x->a, true, POST_QUANTUM_AUTO);
                assert_int_equal(due(x, x->a, TIMER_HELD), 0);
                timer_stop(&x->a->peer->timers, TIMER_HELD); /* meet() begins it */
                initiator = responder ? x->b : x->a;
                meet(x, initiator);
                SAYS(x, initiator, responder ? "empty oldc:empty OFFER" : "empty HELLO");
                carry(x, initiator);
                if (responder) SAYS(x, x->a, "HELLO");
                carry_all(x);
                check(x->a, EXCHANGE_OFF, UPGRADE_STATE_OFF_HERE, false);
                check(x->b, EXCHANGE_OFF, UPGRADE_STATE_NO_ANSWER, false);
                assert_int_equal(x->b->peer->acquaintance.misses, 0);
                for (unsigned i = 0; i < 2; i++) {
                        pass_time(x->p, SECONDS(60));
                        meet(x, i ? x->a : x->b);
                        SAYS(x, i ? x->a : x->b, "empty");
                        carry_all(x);
                        advance(x, SECONDS(2));
                        SAYS(x, x->b, "");
                }
                adits_free(x);
        }
}

/* With require nobody gives up under a parent. */
static void test_require_goes_on_asking(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        use_policy(x, x->b, true, POST_QUANTUM_AUTO);
        meet(x, x->a);
        carry(x, x->a);
        advance(x, SECONDS(60));
        SAYS(x, x->a, "HELLO HELLO HELLO HELLO HELLO");
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(x->from_a.list[i].at - x->from_a.list[0].at, i * SECONDS(5));
        check(x->a, EXCHANGE_ASKED, UPGRADE_STATE_NO_ANSWER, false);
        adits_free(x);
}

static void test_require_goes_on_offering(void **state)
{
        (void)state;
        NEEDS_MLKEM();
        for (unsigned answered = 0; answered < 2; answered++) {
                struct adits *x = adits_new(true);

                make_known(x);
                use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
                meet(x, x->a);
                carry(x, x->a);
                advance(x, SENDS_END + SECONDS(20));
                assert_int_equal(x->from_a.count, 10);
                for (unsigned i = 5; i < 10; i++)
                        assert_int_equal(x->from_a.list[i].at - x->from_a.list[0].at, SENDS_END + (i - 5) * SECONDS(5));
                assert_memory_equal(x->from_a.list[9].plain, x->from_a.list[0].plain, 1200);
                check(x->a, EXCHANGE_OFFERED, UPGRADE_STATE_SILENT, true);
                lose(x, x->b);
                if (answered) {
                        carry_all(x);
                        check(x->a, EXCHANGE_ESTABLISHED, UPGRADE_STATE_DONE, true);
                } else {
                        advance(x, SECONDS(60));
                        assert_int_equal(x->from_a.count, 16); /* what is looked at */
                        check(x->a, EXCHANGE_OFF, UPGRADE_STATE_SILENT, true);
                }
                adits_free(x);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_offer_without_answer),
                cmocka_unit_test(test_late_answer),
                cmocka_unit_test(test_answer_forgives_misses),
                cmocka_unit_test(test_rto),
                cmocka_unit_test(test_responder_asks),
                cmocka_unit_test(test_responder_misses),
                cmocka_unit_test(test_asks_whether_that_still_holds),
                cmocka_unit_test(test_responder_forgives_misses),
                cmocka_unit_test(test_hello_to_one_that_is_off),
                cmocka_unit_test(test_probing),
                cmocka_unit_test(test_probing_by_the_responder),
                cmocka_unit_test(test_probing_of_one_that_was_lost),
                cmocka_unit_test(test_using_without_answer),
                cmocka_unit_test(test_off),
                cmocka_unit_test(test_farewell),
                cmocka_unit_test(test_require_goes_on_asking),
                cmocka_unit_test(test_require_goes_on_offering),
        };

        return RUN_ADITS(tests);
}
