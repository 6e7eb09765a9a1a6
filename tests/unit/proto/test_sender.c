/* What user packets go out with, and what becomes of those that wait. */
#include "tests/unit/proto/upgrade_pair.h"
#include "daemon/proto/sender.h"
#include "daemon/proto/worker.h"

/* ---- The choice -------------------------------------------------------------------------------------------------- */

enum child { NONE, MADE, MADE_KEM, USED, USED_KEM, DEAF_KEM }; /* used: by both sides. Deaf: it does not send */
enum place { WAITS, PARENT, CHILD, OLD };

static struct session *child_of(struct session *child, enum child is, uint64_t born)
{
        *child = (struct session){
                .cipher = cipher_default(),
                .upgraded = true,
                .born = born,
                .sending = is != DEAF_KEM,
                .established = is == USED || is == USED_KEM,
                .mlkem = is == MADE_KEM || is == USED_KEM || is == DEAF_KEM,
        };
        return is == NONE ? NULL : child;
}

static const struct {
        enum child child, old;
        bool heard, needs, holds, next;
        unsigned age; /* of the current session, s */
        enum place place;
} choices[] = {
        /* auto: what both sides have used, else the parent */
        { NONE, NONE, false, false, false, false, 0, PARENT },
        { MADE, NONE, false, false, false, false, 0, PARENT },
        { MADE_KEM, NONE, false, false, false, false, 0, PARENT },
        { USED, NONE, false, false, false, false, 0, CHILD },
        { USED_KEM, NONE, false, false, false, false, 0, CHILD },
        { DEAF_KEM, NONE, false, false, false, false, 0, PARENT },
        { USED, USED, true, false, false, false, 0, CHILD },
        { USED, NONE, false, false, false, false, 179, CHILD },
        { USED, NONE, false, false, false, false, 180, PARENT }, /* and that does not send either */
        /* auto: the one before, while heard, for 5 s, and if no third session is on its way */
        { NONE, USED, false, false, false, false, 0, PARENT },
        { NONE, USED, true, false, false, false, 0, OLD },
        { MADE, USED, true, false, false, false, 4, OLD },
        { NONE, USED, true, false, false, false, 5, PARENT },
        { NONE, USED, true, false, false, true, 0, PARENT },
        { NONE, MADE, true, false, false, false, 0, PARENT },
        { NONE, DEAF_KEM, true, false, false, false, 0, PARENT },
        /* one of the sides requires ML-KEM: a child that has it, though unused, or nothing */
        { NONE, NONE, false, true, false, false, 0, WAITS },
        { NONE, NONE, false, false, true, false, 0, WAITS },
        { USED, NONE, false, true, false, false, 0, WAITS },
        { USED, NONE, false, false, true, false, 0, WAITS },
        { MADE_KEM, NONE, false, true, false, false, 0, CHILD },
        { MADE_KEM, NONE, false, false, true, false, 0, CHILD },
        { USED_KEM, NONE, false, true, false, false, 0, CHILD },
        { DEAF_KEM, NONE, false, true, false, false, 0, WAITS },
        { USED_KEM, NONE, false, true, false, false, 180, WAITS },
        { NONE, USED_KEM, true, true, false, false, 0, OLD },
        { NONE, USED_KEM, true, true, false, false, 100, OLD }, /* as long as it is heard */
        { NONE, USED_KEM, false, true, false, false, 0, WAITS },
        { NONE, USED, true, true, false, false, 0, WAITS },
        { NONE, USED_KEM, true, false, true, false, 4, OLD },
        { NONE, USED_KEM, true, false, true, false, 5, WAITS },
        { NONE, USED_KEM, true, true, false, true, 0, WAITS },
        { USED, USED_KEM, true, true, false, false, 0, OLD },
        { DEAF_KEM, USED_KEM, true, true, false, false, 0, OLD },
};

static void test_choice(void **state)
{
        struct adits *x = adits_new(false);
        struct peer *peer = x->a->peer;

        (void)state;
        for (unsigned i = 0; i < ROWS(choices); i++) {
                uint64_t born = SECONDS(5000);
                struct session child, old_child, next = { .born = born };
                struct session old = { .cipher = cipher_default(), .sending = true, .born = born - SECONDS(1) };
                struct session current = { .cipher = cipher_default(), .sending = true, .born = born };
                struct session *const places[] = { NULL, &current, &child, &old_child };

                current.child = child_of(&child, choices[i].child, born);
                old.child = child_of(&old_child, choices[i].old, old.born);
                for (unsigned promoted = 0; promoted < 2; promoted++) { /* the old one in its parent's place */
                        peer->sessions.current = &current;
                        peer->sessions.previous = promoted && old.child ? &old_child : &old;
                        peer->sessions.next = choices[i].next ? &next : NULL;
                        peer->exchange.old_heard = choices[i].heard;
                        peer->we_require = choices[i].needs;
                        peer->they_require = choices[i].holds;
                        x->a->engine->now = born + SECONDS(choices[i].age);
                        sender_publish(x->a->engine, peer, NULL);
                        if (peer->sessions.sender != places[choices[i].place]) fail_msg("row %u", i);
                }
        }
        peer->sessions.current = peer->sessions.previous = peer->sessions.next = peer->sessions.sender = NULL;
        adits_free(x);
}

/* ---- The child of the session before ----------------------------------------------------------------------------- */

/* Heard in each second of it, it serves for 5 s, looked at once a second. */
static void test_old_child_while_heard(void **state)
{
        struct adits *x = adits_new(false);
        uint64_t born;

        (void)state;
        upgrade_all(x, x->a);
        meet(x, x->a);
        born = x->p->now;
        SAYS(x, x->a, "empty oldc:empty OFFER");
        assert_true(user_packet(x, x->a, 100));
        SAYS(x, x->a, "empty oldc:empty OFFER data"); /* b may have been started anew */
        carry(x, x->a);
        assert_true(user_packet(x, x->b, 100));
        SAYS(x, x->b, "data");
        lose(x, x->b);
        carry(x, x->a);
        SAYS(x, x->b, "oldc:empty"); /* we have it, too */
        assert_true(user_packet(x, x->b, 100));
        SAYS(x, x->b, "oldc:empty oldc:data");
        lose(x, x->a);
        carry(x, x->b);
        assert_true(user_packet(x, x->a, 100));
        SAYS(x, x->a, "oldc:data");
        for (unsigned i = 0; i < 12; i++) {
                if (strcmp(says(x, x->a), "oldc:data") == 0) carry(x, x->a);
                lose(x, x->b);
                user_packet(x, x->b, 100);
                if (strcmp(says(x, x->b), "oldc:data") == 0) carry(x, x->b);
                advance(x, MILLISECONDS(500));
                lose(x, x->a);
                user_packet(x, x->a, 100);
                if (x->p->now < born + SECONDS(5)) SAYS(x, x->a, "oldc:data");
                if (x->p->now >= born + SECONDS(6)) SAYS(x, x->a, "data");
        }
        adits_free(x);
}

static void test_old_child_not_heard_any_more(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        upgrade_all(x, x->a);
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        carry(x, x->b);
        assert_true(x->a->peer->exchange.old_heard);
        advance(x, SECONDS(2));
        lose(x, x->a);
        user_packet(x, x->a, 100);
        SAYS(x, x->a, "data");
        adits_free(x);
}

/* With require it is taken for there, for a second: nothing else may carry what comes meanwhile. */
static void test_old_child_taken_for_there(void **state)
{
        struct adits *x;

        (void)state;
        NEEDS_MLKEM();
        x = adits_new(true);
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        upgrade_all(x, x->a);
        meet(x, x->a);
        lose(x, x->a);
        advance(x, SECONDS(1) - 1);
        lose(x, x->a);
        assert_true(user_packet(x, x->a, 100));
        SAYS(x, x->a, "oldc:data");
        advance(x, 1);
        assert_false(user_packet(x, x->a, 100));
        assert_int_equal(x->a->peer->staged.count, 1);
        adits_free(x);
}

/* A replayed or late packet from before the new session proves nothing. */
static void test_old_child_heard_before(void **state)
{
        struct adits *x = adits_new(false);
        struct letter late;

        (void)state;
        upgrade_all(x, x->a);
        user_packet(x, x->a, 100);
        carry(x, x->a);
        user_packet(x, x->b, 100);
        carry(x, x->b);
        user_packet(x, x->a, 100);
        late = letter_take(x, x->a);
        hand(x, x->b, &late.d);
        meet(x, x->a);
        carry(x, x->a); /* the empty one: b's current */
        assert_int_equal(hand(x, x->b, &late.d), DROP_RX_REPLAY);
        user_packet(x, x->a, 100);
        user_packet(x, x->b, 100);
        SAYS(x, x->a, "oldc:empty OFFER data");
        SAYS(x, x->b, "data");
        adits_free(x);
}

/* ---- What waits -------------------------------------------------------------------------------------------------- */

/* With nothing that may carry it: in order, behind each other, and at most 128. */
static void test_waits_in_order(void **state)
{
        struct adits *x = adits_new(false);
        uint8_t packet[INNER_LEN];
        enum drop reason;
        struct tx tx;

        (void)state;
        use_policy(x, x->b, true, POST_QUANTUM_AUTO);
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        meet(x, x->a);
        carry_all(x);
        for (unsigned i = 0; i < STAGED_MAX + 10; i++) {
                assert_false(user_packet(x, x->a, 100 + i));
                assert_int_equal(x->p->reason, DROP_NONE);
        }
        SAYS(x, x->a, "");
        assert_int_equal(drops(x->a, DROP_TX_NOT_POST_QUANTUM), 10);
        assert_int_equal(all_drops(x->a), 10);
        inner_packet(packet, "10.0.0.1", "10.0.0.2", INNER_LEN);
        assert_int_equal(worker_route(x->a->engine, x->p->now, packet, sizeof packet, 1, &tx, &reason), ROUTE_OWNER);
        engine_waited(tx.peer);

        use_policy(x, x->a, false, POST_QUANTUM_AUTO); /* the parent carries them from now on */
        assert_ptr_equal(x->a->peer->sessions.sender, x->a->peer->sessions.current);
        assert_int_equal(worker_route(x->a->engine, x->p->now, packet, sizeof packet, 1, &tx, &reason), ROUTE_OWNER);
        engine_waited(tx.peer);
        assert_int_equal(due(x, x->a, TIMER_HELD), 0);
        x->p->fx.count = 0;
        engine_tick(x->a->engine, x->p->now, x->p->wall, &x->p->fx);
        assert_int_equal(had(x->p, EFFECT_FLUSH), 1);
        for (unsigned i = 0; i < STAGED_MAX; i++) {
                struct datagram d;

                assert_true(next_staged(x->p, x->a, &d));
                assert_true(receive(x->p, x->b, &d));
                assert_int_equal(x->p->delivered, 110 + i);
        }
        assert_int_equal(x->a->peer->waiting, 0);
        assert_int_equal(worker_route(x->a->engine, x->p->now, packet, sizeof packet, 1, &tx, &reason), ROUTE_SEND);
        adits_free(x);
}

/* A fresh packet between the choice and the flush goes behind those that wait. */
static void test_fresh_ones_go_behind(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->b, true, POST_QUANTUM_AUTO);
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        meet(x, x->a);
        carry_all(x);
        for (unsigned i = 0; i < 3; i++)
                assert_false(user_packet(x, x->a, 100 + i));
        use_policy(x, x->a, false, POST_QUANTUM_AUTO);
        assert_false(user_packet(x, x->a, 103)); /* asks for the flush, too: collect() did it */
        SAYS(x, x->a, "data data data data");
        for (unsigned i = 0; i < 4; i++) {
                carry(x, x->a);
                assert_int_equal(x->p->delivered, 100 + i);
        }
        adits_free(x);
}

static void test_waits_until_the_child_is_there(void **state)
{
        struct adits *x;

        (void)state;
        NEEDS_MLKEM();
        x = adits_new(true);
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        for (unsigned i = 0; i < 3; i++)
                assert_false(user_packet(x, x->a, 100 + i));
        lose(x, x->a);
        meet(x, x->a);
        assert_false(user_packet(x, x->a, 103));
        carry(x, x->a);
        carry(x, x->a);
        carry(x, x->b);
        carry(x, x->a);
        SAYS(x, x->a, "");
        carry(x, x->b);
        SAYS(x, x->a, "c:data c:data c:data c:data c:empty");
        for (unsigned i = 0; i < 4; i++) {
                carry(x, x->a);
                assert_int_equal(x->p->delivered, 100 + i);
        }
        assert_int_equal(all_drops(x->a) + all_drops(x->b), 0);
        adits_free(x);
}

/* 5, 10, 20, 40, 80, 120, 120 s, the responder 3 s later; from the fifth on what waits is dropped. */
static void test_waits_for_another_handshake(void **state)
{
        static const unsigned waits[] = { 5, 10, 20, 40, 80, 120, 120 };

        (void)state;
        for (unsigned packet_first = 0; packet_first < 2; packet_first++) {
                struct adits *x = adits_new(false);
                uint64_t last;

                use_policy(x, x->b, true, POST_QUANTUM_AUTO);
                use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
                if (packet_first) user_packet(x, x->a, 100); /* before there is a session */
                lose(x, x->a);
                meet(x, x->a);
                carry_all(x);
                last = x->p->now;
                for (unsigned i = 0; i < ROWS(waits); i++) {
                        if (i || !packet_first) user_packet(x, x->a, 100);
                        advance(x, last + SECONDS(waits[i]) - x->p->now);
                        while (x->from_a.count &&
                               strcmp(x->from_a.list[0].word, "initiation")) /* HELLO, and the like */
                                letter_take(x, x->a);
                        SAYS(x, x->a, "");
                        advance(x, REKEY_TIMEOUT_JITTER);
                        assert_string_equal(x->from_a.list[x->from_a.count - 1].word, "initiation");
                        last = x->from_a.list[x->from_a.count - 1].at;
                        assert_int_equal(drops(x->a, DROP_TX_NOT_POST_QUANTUM), i < 4 ? 0 : i + 1);
                        lose(x, x->b);
                        carry_all(x);
                }
                adits_free(x);
        }
}

static void test_waits_longer_as_responder(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->a, true, POST_QUANTUM_AUTO);
        use_policy(x, x->b, false, POST_QUANTUM_REQUIRE);
        meet(x, x->a);
        carry(x, x->a);
        user_packet(x, x->b, 100);
        assert_true(due(x, x->b, TIMER_HELD) >= SECONDS(8));
        assert_true(due(x, x->b, TIMER_HELD) <= SECONDS(8) + REKEY_TIMEOUT_JITTER);
        adits_free(x);
}

/* ---- What one of them requires ----------------------------------------------------------------------------------- */

/* It takes effect by the return, in both directions, on a session in use. */
static void test_policy_live(void **state)
{
        struct adits *x = adits_new(false);
        struct session *child;

        (void)state;
        upgrade_all(x, x->a);
        child = x->a->peer->sessions.current->child;
        assert_ptr_equal(x->a->peer->sessions.sender, child);
        use_policy(x, x->a, false, POST_QUANTUM_REQUIRE);
        assert_null(x->a->peer->sessions.sender);
        assert_int_equal(due(x, x->a, TIMER_HELD), 0); /* for another session */
        assert_false(user_packet(x, x->a, 100));
        user_packet(x, x->b, 100);
        SAYS(x, x->b, "c:data");
        assert_int_equal(carry(x, x->b), DROP_RX_NOT_POST_QUANTUM);
        assert_int_equal(drops(x->a, DROP_RX_NOT_POST_QUANTUM), 1);
        use_policy(x, x->a, false, POST_QUANTUM_OFF);
        assert_ptr_equal(x->a->peer->sessions.sender, child);
        x->a->peer->initiate_not_before = 0;
        ticked(x, x->a);
        SAYS(x, x->a, "initiation c:data");
        adits_free(x);
}

/* The same policy again is no change. */
static void test_policy_again(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        upgrade_all(x, x->a);
        use_policy(x, x->a, false, POST_QUANTUM_AUTO);
        assert_false(timer_armed(&x->a->peer->timers, TIMER_HELD));
        adits_free(x);
}

/* A peer that says REQUIRE drops what has no ML-KEM: nothing is sent before it says otherwise. */
static void test_peer_requires(void **state)
{
        const struct upgrade_frame require = hello_of(UPGRADE_REQUIRE, UPGRADE_CAN_MLKEM768, 100, 0);
        const struct upgrade_frame relent = hello_of(0, 0, 100, 0);
        struct adits *x = adits_new(false);
        struct datagram d;

        (void)state;
        meet(x, x->b); /* b is the initiator, so that a answers nothing but HELLO */
        carry(x, x->b);
        lose(x, x->b);
        assert_true(user_packet(x, x->a, 100));
        d = seal_frame(x->b, &require);
        hand(x, x->a, &d);
        lose(x, x->a);
        assert_false(user_packet(x, x->a, 100));
        SAYS(x, x->a, "");
        assert_true(user_packet(x, x->b, 100)); /* although it should not: it may come from before */
        carry(x, x->b);
        assert_int_equal(x->p->delivered, 100);
        SAYS(x, x->a, "");
        d = seal_frame(x->b, &relent);
        hand(x, x->a, &d);
        SAYS(x, x->a, "data HELLO");
        adits_free(x);
}

/* It is remembered to the next session, and forgotten when a user packet comes there without ML-KEM. */
static void test_peer_required(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        x->a->peer->they_require = true;
        assert_false(user_packet(x, x->a, 100));
        lose(x, x->a);
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO"); /* it is asked anew */
        carry(x, x->a);
        lose(x, x->a);
        user_packet(x, x->b, 100);
        carry(x, x->b);
        assert_int_equal(x->p->delivered, 100);
        SAYS(x, x->a, "data");
        assert_true(user_packet(x, x->a, 100));
        lose(x, x->a);
        meet(x, x->a); /* and in the next */
        assert_true(user_packet(x, x->a, 100));
        adits_free(x);
}

/* User packets without ML-KEM are dropped and counted; empty ones and frames do their work. */
static void test_refused(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        use_policy(x, x->b, false, POST_QUANTUM_REQUIRE);
        meet(x, x->a);
        user_packet(x, x->a, 100);
        SAYS(x, x->a, "empty HELLO data");
        assert_int_equal(carry(x, x->a), DROP_NONE);
        assert_int_equal(carry(x, x->a), DROP_NONE);
        SAYS(x, x->b, "HELLO");
        assert_int_equal(carry(x, x->a), DROP_RX_NOT_POST_QUANTUM);
        assert_int_equal(x->p->delivered, 0);
        assert_true(due(x, x->b, TIMER_HELD) >= SECONDS(8)); /* that, too, calls for a handshake */
        assert_true(due(x, x->b, TIMER_HELD) <= SECONDS(8) + REKEY_TIMEOUT_JITTER);
        user_packet(x, x->a, 100);
        carry(x, x->a);
        assert_int_equal(drops(x->b, DROP_RX_NOT_POST_QUANTUM), 2);
        carry(x, x->b); /* REQUIRE */
        assert_false(user_packet(x, x->a, 100));
        adits_free(x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_choice),
                cmocka_unit_test(test_old_child_while_heard),
                cmocka_unit_test(test_old_child_not_heard_any_more),
                cmocka_unit_test(test_old_child_taken_for_there),
                cmocka_unit_test(test_old_child_heard_before),
                cmocka_unit_test(test_waits_in_order),
                cmocka_unit_test(test_fresh_ones_go_behind),
                cmocka_unit_test(test_waits_until_the_child_is_there),
                cmocka_unit_test(test_waits_for_another_handshake),
                cmocka_unit_test(test_waits_longer_as_responder),
                cmocka_unit_test(test_policy_live),
                cmocka_unit_test(test_policy_again),
                cmocka_unit_test(test_peer_requires),
                cmocka_unit_test(test_peer_required),
                cmocka_unit_test(test_refused),
        };

        return RUN_ADITS(tests);
}
