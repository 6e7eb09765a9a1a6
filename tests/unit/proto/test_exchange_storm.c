/* Many frames of the session upgrade, from a peer that is hostile: what they draw, and how much. */
#include "tests/unit/proto/upgrade_pair.h"
#include "daemon/proto/worker.h"

static void test_seventeenth(void **state)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0), offer = offer_of(77, 0);
        struct adits *x = adits_new(false);
        struct datagram d;

        (void)state;
        meet(x, x->a);
        carry(x, x->a);
        lose(x, x->a);
        for (unsigned i = 0; i < 16; i++) {
                d = i % 2 ? seal_on(x->a, x->a->peer->sessions.current, "\1", 1) : seal_frame(x->a, &hello);
                assert_int_equal(hand(x, x->b, &d), i % 2 ? DROP_RX_UPGRADE_BAD : DROP_NONE);
        }
        lose(x, x->b);
        for (unsigned i = 0; i < 300; i++) { /* and no count goes round */
                d = seal_frame(x->a, &offer);
                if (i < 3 || i > 250) check_frame_refused(x, x->b, &d, DROP_RX_UPGRADE_LIMIT, false);
                else assert_int_equal(hand(x, x->b, &d), DROP_RX_UPGRADE_LIMIT);
        }
        assert_int_equal(drops(x->b, DROP_RX_UPGRADE_LIMIT), 300);
        assert_true(user_packet(x, x->a, 100)); /* the rest works on */
        carry(x, x->a);
        assert_int_equal(x->p->delivered, 100);
        meet(x, x->a); /* and another parent has its own */
        carry(x, x->a);
        assert_int_equal(carry(x, x->a), DROP_NONE);
        adits_free(x);
}

/* A responder says no more than it is told: by frames, and by bytes. */
static void test_storms_on_the_responder(void **state)
{
        const struct upgrade_frame hello = hello_of(0, 0, 100, 0);

        (void)state;
        for (unsigned kind = 0; kind < 4; kind++) { /* HELLOs, one OFFER, many OFFERs, those that it may not take */
                struct letter offer;
                struct adits *x = said(true, mlkem_available(), &offer);
                uint64_t in = 0, out_before = x->bytes_b;
                unsigned answers = 0;

                if (kind == 3) use_policy(x, x->b, false, POST_QUANTUM_REQUIRE);
                if (kind == 3 && mlkem_available()) x->b->engine->mlkem = false;
                timer_stop(&x->b->peer->timers, TIMER_HELD);
                for (unsigned i = 0; i < 40; i++) {
                        struct datagram d;

                        if (kind == 2) offer.plain[4]++;
                        d = kind ? seal_on(x->a, x->a->peer->sessions.current, offer.plain, offer.plain_len)
                                 : seal_frame(x->a, &hello);
                        in += d.len;
                        hand(x, x->b, &d);
                        answers += x->from_b.count;
                        lose(x, x->b);
                        assert_true(x->bytes_b - out_before <= in);
                        assert_true(answers <= i + 1);
                }
                assert_int_equal(answers, kind == 1 ? 16 : kind == 2 ? 1 : 5);
                assert_int_equal(drops(x->b, DROP_RX_UPGRADE_LIMIT), 24);
                assert_in_range(x->b->engine->store.children.taken, 0, 1);
                adits_free(x);
        }
}

/* An initiator's OFFER is longer than the HELLO that draws it. It has two, and says one again for a HELLO only after
 * its own five, twice. */
static void test_storm_on_the_initiator(void **state)
{
        (void)state;
        for (unsigned silent = 0; silent < 2; silent++) {
                struct adits *x = adits_new(false);
                unsigned answers = 0;

                meet(x, x->a);
                carry(x, x->a);
                lose(x, x->a);
                for (unsigned i = 0; i < 40; i++) {
                        /* costs that change: now this cipher, now that */
                        const struct upgrade_frame hello = hello_of(0, 0, i % 2 && !silent ? 0 : 100, 100);
                        struct datagram d = seal_frame(x->b, &hello);

                        hand(x, x->a, &d);
                        if (i == 0 && silent) {
                                lose(x, x->b);
                                advance(x, SECONDS(5));
                                assert_int_equal(x->from_a.count, 5);
                                lose(x, x->b);
                                lose(x, x->a);
                        }
                        answers += x->from_a.count;
                        lose(x, x->a);
                }
                assert_int_equal(answers, silent ? 2 : 1);
                assert_int_equal(drops(x->a, DROP_RX_UPGRADE_LIMIT), 24);
                adits_free(x);
        }
}

/* The owner has one of a peer's frames at a time. */
static void test_one_waits(void **state)
{
        struct letter offer;
        struct adits *x = said(true, false, &offer);
        struct datagram d[4];
        enum drop reason;
        bool wake = false;
        size_t len;
        struct rx rx[4];

        (void)state;
        for (unsigned i = 0; i < 4; i++) {
                d[i] = seal_on(x->a, x->a->peer->sessions.current, offer.plain, offer.plain_len);
                assert_int_equal(worker_find(x->b->engine, x->p->now, d[i].bytes, d[i].len, &rx[i], &reason),
                                 FIND_DATA);
                assert_true(rx_open(&rx[i]));
        }
        for (unsigned i = 0; i < 4; i++) {
                bool taken = i == 0 || i == 2;

                assert_int_equal(worker_accept(x->b->engine, x->p->now, &rx[i], true, &d[i].from, &len, &reason, &wake),
                                 taken ? ACCEPTED_FRAME : ACCEPTED_NOTHING);
                assert_int_equal(reason, taken ? DROP_NONE : DROP_RX_UPGRADE_LIMIT);
                assert_int_equal(x->b->peer->sessions.current->frames, i / 2 + 1);
                if (i == 1) { /* now the owner comes */
                        engine_frame_receive(x->b->engine, x->p->now, x->p->wall, rx[0].peer, worker_index(&rx[0]),
                                             rx[0].plain, rx[0].plain_len, &x->p->fx);
                        collect(x, x->b);
                        SAYS(x, x->b, "ACCEPT");
                }
                if (i == 3) worker_frame_lost(&rx[2]); /* or has no room */
        }
        assert_int_equal(drops(x->b, DROP_RX_UPGRADE_LIMIT), 3);
        assert_false(x->b->peer->frame_waits);
        adits_free(x);
}

/* A flood of handshakes keeps no two Adits apart. */
static void test_under_load(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        meet(x, x->a);
        x->a->engine->load.until = x->b->engine->load.until = x->p->now + SECONDS(10);
        carry_all(x);
        STATE(x->a, ESTABLISHED);
        STATE(x->b, ESTABLISHED);
        adits_free(x);
}

/* No peer's frames are about another peer: not even with the index of its session. */
static void test_other_peers(void **state)
{
        static const struct key other = { { 9 } };
        struct letter offer;
        struct adits *x = said(true, mlkem_available(), &offer);
        struct peer *third = engine_peer_add(x->b->engine, x->p->now, &other), before;
        uint32_t index = worker_index(&(struct rx){ .session = x->b->peer->sessions.current });

        (void)state;
        before = *third;
        engine_frame_receive(x->b->engine, x->p->now, x->p->wall, third, index, offer.plain, offer.plain_len,
                             &x->p->fx);
        assert_int_equal(x->p->fx.count, 0);
        assert_int_equal(drops(x->b, DROP_RX_SESSION_EXPIRED), 1);
        STATE(x->b, NEW);
        assert_int_equal(hand(x, x->b, &offer.d), DROP_NONE);
        carry_all(x);
        STATE(x->a, ESTABLISHED);
        for (unsigned i = 0; i < 20; i++) {
                struct datagram d;

                offer.plain[1] = (uint8_t)(i % 4);
                d = seal_on(x->a, x->a->peer->sessions.current, offer.plain, offer.plain_len);
                hand(x, x->b, &d);
        }
        assert_memory_equal(third, &before, sizeof before);
        adits_free(x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_seventeenth),
                cmocka_unit_test(test_storms_on_the_responder),
                cmocka_unit_test(test_storm_on_the_initiator),
                cmocka_unit_test(test_one_waits),
                cmocka_unit_test(test_under_load),
                cmocka_unit_test(test_other_peers),
        };

        return RUN_ADITS(tests);
}
