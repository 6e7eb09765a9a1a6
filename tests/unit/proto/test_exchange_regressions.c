/* Sequences of a session upgrade that went wrong once, as reviews of it found. */
#include "tests/unit/proto/upgrade_pair.h"

/* "Without a key, sessions do not send any more" (config.c): nor do children that come of them after that. */
static void test_child_after_the_private_key(void **state)
{
        const struct key none = { { 0 } };

        (void)state;
        for (unsigned stage = 0; stage < 3; stage++) {
                struct adits *x = adits_new(false);
                struct side *side = stage == 1 ? x->b : x->a;

                make_known(x);
                meet(x, x->a);
                carry(x, x->a);
                carry(x, x->a);                 /* OFFER */
                if (stage) carry(x, x->b);      /* ACCEPT: a uses it */
                if (stage == 2) carry(x, x->a); /* b has answered on it */
                assert_int_equal(side->peer->exchange.state, stage == 0   ? EXCHANGE_OFFERED
                                                             : stage == 1 ? EXCHANGE_ACCEPTED
                                                                          : EXCHANGE_USING);
                engine_set_private_key(side->engine, x->p->now, &none);
                assert_false(user_packet(x, side, 100));
                lose(x, side);
                carry_all(x);
                if (user_packet(x, side, 100)) fail_msg("stage %u: %s", stage, says(x, side));
                adits_free(x);
        }
}

/* A session that was not confirmed for 40 s has no exporter any more: no child may come of zeros. */
static void test_offer_confirms_after_the_exporter_is_gone(void **state)
{
        const struct upgrade_frame offer = offer_of(77, 0);
        struct adits *x = adits_new(false);
        struct datagram d;

        (void)state;
        meet(x, x->a);
        lose(x, x->a); /* all that it says */
        advance(x, SECONDS(41));
        assert_true(sodium_is_zero(x->b->peer->sessions.next->keys.exporter.bytes, KEY_LEN));
        d = seal_frame(x->a, &offer);
        hand(x, x->b, &d);
        assert_null(strstr(says(x, x->b), "ACCEPT"));
        assert_int_equal(x->b->engine->store.children.taken, 0);
        adits_free(x);
}

/* The same where Upgrade was off when the initiation came, and is not when the session is confirmed. */
static void test_switched_on_before_the_session_is_confirmed(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        x->b->peer->acquaintance.known = false;
        use_policy(x, x->b, true, POST_QUANTUM_AUTO);
        meet(x, x->a);
        SAYS(x, x->a, "empty OFFER");
        use_policy(x, x->b, false, POST_QUANTUM_AUTO);
        carry(x, x->a);
        carry(x, x->a);
        assert_null(strstr(says(x, x->b), "ACCEPT"));
        assert_int_equal(x->b->engine->store.children.taken, 0);
        adits_free(x);
}

/* By the return of the call nothing is said any more but the farewell of the next session, which may take its time. */
static void test_off_ends_what_is_being_said(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        meet(x, x->a);
        SAYS(x, x->a, "empty OFFER");
        lose(x, x->a);
        use_policy(x, x->a, true, POST_QUANTUM_AUTO);
        advance(x, SECONDS(4));
        assert_null(strstr(says(x, x->a), "OFFER"));
        adits_free(x);
}

/* With require the old child serves only while it is heard: when the new one falls silent 5 s later, it is not. */
static void test_old_child_not_heard_for_seconds(void **state)
{
        struct adits *x;

        (void)state;
        NEEDS_MLKEM();
        x = adits_new(true);
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        upgrade_all(x, x->a);
        meet(x, x->a);
        SAYS(x, x->a, "empty oldc:empty OFFER+");
        carry(x, x->a);
        carry(x, x->a);
        SAYS(x, x->b, "oldc:empty");
        carry(x, x->b); /* a hears it */
        carry(x, x->a);
        SAYS(x, x->b, "ACCEPT+");
        carry(x, x->b);
        STATE(x->a, USING);
        lose(x, x->a); /* and now b is gone */
        for (unsigned i = 0; i < 6; i++) {
                advance(x, SECONDS(1));
                lose(x, x->a);
                lose(x, x->b);
        }
        STATE(x->a, OFF);
        if (user_packet(x, x->a, 100)) fail_msg("%s", says(x, x->a));
        assert_int_equal(x->a->peer->staged.count, 1);
        adits_free(x);
}

/* An OFFER that is 40 s late is over, and `adit show` does not call it pending. */
static void test_not_pending_for_ever(void **state)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0);
        struct adits *x = adits_new(false);
        struct datagram d;

        (void)state;
        x->a->peer->acquaintance.probes = 3;
        x->a->peer->acquaintance.probed_at = x->p->now;
        meet(x, x->a);
        carry(x, x->a);
        advance(x, SECONDS(39));
        lose(x, x->b);
        d = seal_frame(x->b, &hello);
        assert_int_equal(hand(x, x->a, &d), DROP_NONE);
        SAYS(x, x->a, "OFFER");
        advance(x, SECONDS(60));
        STATE(x->a, OFF);
        assert_int_not_equal(upgrade_of(x->a), UPGRADE_STATE_PENDING);
        adits_free(x);
}

/* 10 s after both sides have used a child its parent's keys are gone, whatever came meanwhile. */
static void test_parent_goes_beside_a_new_session(void **state)
{
        struct adits *x = adits_new(false);
        struct session_keys keys;
        uint64_t end;

        (void)state;
        upgrade_all(x, x->a);
        keys = x->a->peer->sessions.current->keys;
        end = x->p->now + SECONDS(10);
        advance(x, SECONDS(9));
        upgrade_all(x, x->a);
        advance(x, end - x->p->now);
        assert_false(holds(x->a, &keys.send, KEY_LEN));
        assert_false(holds(x->a, &keys.receive, KEY_LEN));
        adits_free(x);
}

/* That user packets are refused calls for a handshake; after the link was down as well as before. */
static void test_refused_again_after_the_link_was_down(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->a, true, POST_QUANTUM_AUTO);
        use_policy(x, x->b, false, POST_QUANTUM_REQUIRE);
        for (unsigned i = 0; i < 2; i++) {
                meet(x, x->a);
                user_packet(x, x->a, 100);
                carry(x, x->a);
                assert_int_equal(carry(x, x->a), DROP_RX_NOT_POST_QUANTUM);
                if (!timer_armed(&x->b->peer->timers, TIMER_HELD)) fail_msg("%s", i ? "the second time" : "the first");
                lose(x, x->b);
                engine_set_up(x->b->engine, x->p->now, false);
                engine_set_up(x->b->engine, x->p->now, true);
        }
        adits_free(x);
}

/* A child that is not answered three times puts offers off for an hour, but not towards one that takes nothing without
 * ML-KEM: nothing at all would pass meanwhile. And it is told. */
static void test_one_that_requires_is_not_shunned(void **state)
{
        (void)state;
        for (unsigned they_require = 0; they_require < 2; they_require++) {
                struct adits *x = adits_new(false);

                make_known(x);
                x->a->peer->acquaintance.misses = 2;
                meet(x, x->a);
                carry(x, x->a);
                carry(x, x->a);
                carry(x, x->b);
                lose(x, x->a);
                x->a->peer->initiate_not_before = 0;
                advance(x, SECONDS(5));
                assert_true(x->a->peer->acquaintance.shunned);
                assert_int_equal(x->events_a[EFFECT_UPGRADE_LOST], 1);
                lose(x, x->a);
                lose(x, x->b);
                x->a->engine->mlkem = mlkem_available();
                x->a->peer->they_require = they_require;
                x->a->peer->acquaintance.told = false;
                meet(x, x->a);
                SAYS(x, x->a, !they_require ? "empty" : mlkem_available() ? "empty OFFER+" : "empty HELLO");
                adits_free(x);
        }
}

/* What is longer than any frame is no frame: it must not fill the mailbox, which is of all peers. */
static void test_frame_that_is_too_long(void **state)
{
        static uint8_t plain[FRAME_MAX + 16] = { 1, 1 };
        struct adits *x = adits_new(false);
        struct datagram d;

        (void)state;
        meet(x, x->a);
        carry_all(x);
        for (unsigned more = 0; more <= 16; more += 16) {
                uint8_t before = x->b->peer->sessions.current->frames;
                d = seal_on(x->a, x->a->peer->sessions.current, plain, FRAME_MAX + more);
                assert_int_equal(hand(x, x->b, &d), DROP_RX_UPGRADE_BAD);
                assert_int_equal(x->b->peer->sessions.current->frames,
                                 before + !more); /* only the first was looked at */
                assert_false(x->b->peer->frame_waits);
        }
        adits_free(x);
}

/* A session that the policy of a moment ago agreed on, and that of now does not let carry anything. */
static void test_not_called_upgraded_under_require(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        upgrade_all(x, x->a);
        TELLS(x->a, DONE);
        x->a->engine->mlkem = true;
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        assert_int_not_equal(upgrade_of(x->a), UPGRADE_STATE_DONE);
        assert_false(user_packet(x, x->a, 100));
        adits_free(x);
}

/* The peer began and has no ML-KEM, which we require: that is the reason, and not that it were no Adit. */
static void test_responder_knows_why(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        x->b->engine->mlkem = true;
        use_policy(x, x->b, false, POST_QUANTUM_REQUIRE);
        meet(x, x->a);
        carry_all(x);
        advance(x, SECONDS(2));
        TELLS(x->a, PEER_WANTS_KEM);
        TELLS(x->b, PEER_NO_KEM);
        adits_free(x);
}

/* What waits for ML-KEM is an event, each time that another handshake is begun for it. */
static void test_waiting_is_told(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        x->a->engine->mlkem = true;
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        meet(x, x->a);
        lose(x, x->a);
        assert_false(user_packet(x, x->a, 100));
        advance(x, SECONDS(4));
        assert_int_equal(x->events_a[EFFECT_HELD], 0);
        advance(x, SECONDS(2));
        assert_int_equal(x->events_a[EFFECT_HELD], 1);
        adits_free(x);
}

/* An OFFER that cannot be accepted for want of room is not tried again: each try costs an encapsulation. */
static void test_no_room_for_an_answer(void **state)
{
        struct adits *x = adits_new(false);
        struct letter offer;

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        offer = letter_take(x, x->a);
        while (pool_take(&x->b->engine->works))
                ;
        assert_int_equal(hand(x, x->b, &offer.d), DROP_NONE);
        SAYS(x, x->b, "HELLO");
        TELLS(x->b, REFUSED);
        advance(x, RTO);
        offer = letter_take(x, x->a);
        assert_int_equal(hand(x, x->b, &offer.d), DROP_RX_UPGRADE_UNEXPECTED);
        adits_free(x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_child_after_the_private_key),
                cmocka_unit_test(test_offer_confirms_after_the_exporter_is_gone),
                cmocka_unit_test(test_switched_on_before_the_session_is_confirmed),
                cmocka_unit_test(test_off_ends_what_is_being_said),
                cmocka_unit_test(test_old_child_not_heard_for_seconds),
                cmocka_unit_test(test_not_pending_for_ever),
                cmocka_unit_test(test_parent_goes_beside_a_new_session),
                cmocka_unit_test(test_refused_again_after_the_link_was_down),
                cmocka_unit_test(test_one_that_requires_is_not_shunned),
                cmocka_unit_test(test_frame_that_is_too_long),
                cmocka_unit_test(test_not_called_upgraded_under_require),
                cmocka_unit_test(test_responder_knows_why),
                cmocka_unit_test(test_waiting_is_told),
                cmocka_unit_test(test_no_room_for_an_answer),
        };

        return RUN_ADITS(tests);
}
