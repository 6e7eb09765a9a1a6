/* Who says what when: the table of docs/session-upgrade.md, row by row. `a` begins, unless a test says otherwise. */
#include "tests/unit/proto/upgrade_pair.h"

#include "daemon/proto/exchange_role.h"

/* ---- First meeting, and acquaintances ---------------------------------------------------------------------------- */

static void test_first_meeting(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO"); /* never a frame first */
        STATE(x->a, ASKED);
        TELLS(x->a, NO_ANSWER);
        carry(x, x->a);
        SAYS(x, x->b, "");
        STATE(x->b, NEW);
        carry(x, x->a);
        SAYS(x, x->b, "HELLO");
        assert_true(x->b->peer->acquaintance.known);
        carry(x, x->b);
        SAYS(x, x->a, "OFFER");
        STATE(x->a, OFFERED);
        TELLS(x->a, PENDING);
        carry(x, x->a);
        SAYS(x, x->b, "ACCEPT");
        STATE(x->b, ACCEPTED);
        carry(x, x->b);
        SAYS(x, x->a, "c:empty");
        STATE(x->a, USING);
        TELLS(x->a, PENDING);
        carry(x, x->a);
        SAYS(x, x->b, "c:empty");
        STATE(x->b, ESTABLISHED);
        TELLS(x->b, DONE);
        carry(x, x->b);
        SAYS(x, x->a, "");
        STATE(x->a, ESTABLISHED);
        TELLS(x->a, DONE);
        assert_int_equal(x->events_a[EFFECT_UPGRADED], 1);
        assert_int_equal(x->events_b[EFFECT_UPGRADED], 1);
        adits_free(x);
}

/* Behind what waited for the handshake; and an acquaintance is offered at once. */
static void test_known(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        assert_false(user_packet(x, x->a, 100));
        pass_time(x->p, DELAY);
        carry(x, x->a);
        carry(x, x->b);
        SAYS(x, x->a, "data OFFER");
        carry_all(x);
        TELLS(x->a, DONE);
        TELLS(x->b, DONE);
        adits_free(x);
}

/* The session after that: its first words, and what shows that the old child is still there. */
static void test_renewal(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        upgrade_all(x, x->a);
        advance(x, SECONDS(60));
        lose(x, x->a);
        lose(x, x->b);
        meet(x, x->a);
        SAYS(x, x->a, "empty oldc:empty OFFER");
        carry(x, x->a);
        assert_ptr_equal(x->b->peer->sessions.sender, x->b->peer->sessions.current);
        carry(x, x->a);
        assert_ptr_equal(x->b->peer->sessions.sender, session_upgraded(x->b->peer->sessions.previous));
        SAYS(x, x->b, "oldc:empty");
        carry(x, x->b);
        assert_ptr_equal(x->a->peer->sessions.sender, session_upgraded(x->a->peer->sessions.previous));
        carry_all(x);
        TELLS(x->a, DONE);
        assert_ptr_equal(x->a->peer->sessions.sender, session_upgraded(x->a->peer->sessions.current));
        adits_free(x);
}

static void test_mlkem(void **state)
{
        NEEDS_MLKEM();
        struct adits *x = adits_new(true);
        struct peer_status status;

        (void)state;
        make_known(x);
        meet(x, x->a);
        SAYS(x, x->a, "empty OFFER+");
        carry(x, x->a);
        carry(x, x->a);
        SAYS(x, x->b, "ACCEPT+");
        carry_all(x);
        engine_peer_status(x->b->peer, &status);
        assert_true(status.mlkem);
        assert_int_equal(status.upgrade, UPGRADE_STATE_DONE);
        adits_free(x);
}

/* ---- Silence ------------------------------------------------------------------------------------------------------
 */

static void test_strangers_are_asked_rarely(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        abilities(x->b, false, false, false); /* any WireGuard */
        for (unsigned session = 0; session < 40; session++) {
                bool hourly = session == 2 + 30; /* an hour after the third */

                meet(x, x->a);
                SAYS(x, x->a, session < 3 || hourly ? "empty HELLO" : "empty");
                carry_all(x);
                TELLS(x->a, NO_ANSWER);
                advance(x, MILLISECONDS(500)); /* less than what a probe waits for */
                pass_time(x->p, SECONDS(120) - MILLISECONDS(500) - 3 * DELAY);
                lose(x, x->a);
                lose(x, x->b);
        }
        engine_peer_set_endpoint(x->a->peer, &(union socket_address){ .in = { .sin_family = AF_INET, .sin_port = 9 } });
        meet(x, x->a);
        SAYS(x, x->a, "empty HELLO");
        adits_free(x);
}

/* The responder speaks when nothing was said for a second: of two lost words one suffices. */
static void test_responder_asks(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        meet(x, x->a);
        carry(x, x->a);
        lose(x, x->a);
        advance(x, SECONDS(1) - 1);
        SAYS(x, x->b, "");
        advance(x, 1);
        SAYS(x, x->b, "HELLO");
        carry_all(x);
        TELLS(x->a, DONE);
        adits_free(x);
}

static void test_lost_answer_to_hello(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        SAYS(x, x->b, "HELLO");
        lose(x, x->b);
        advance(x, SECONDS(1));
        SAYS(x, x->b, "HELLO");
        carry_all(x);
        TELLS(x->b, DONE);
        adits_free(x);
}

/* The same OFFER, doubling up to a second, five times; three such sessions make a stranger. */
static void test_unanswered_offers(void **state)
{
        static const uint64_t pauses[] = { RTO, 2 * RTO, 4 * RTO, SECONDS(1) };
        struct adits *x = adits_new(false);
        struct letter first;

        (void)state;
        make_known(x);
        for (unsigned session = 0; session < 3; session++) {
                meet(x, x->a);
                assert_true(x->a->peer->acquaintance.known);
                carry(x, x->a);
                first = letter_take(x, x->a);
                assert_string_equal(first.word, "OFFER");
                for (unsigned i = 0; i < ROWS(pauses); i++) {
                        advance(x, pauses[i] - 1);
                        SAYS(x, x->a, "");
                        advance(x, 1);
                        SAYS(x, x->a, "OFFER");
                        struct letter again = letter_take(x, x->a);
                        assert_int_equal(again.plain_len, first.plain_len);
                        assert_memory_equal(again.plain, first.plain, first.plain_len);
                }
                TELLS(x->a, PENDING);
                advance(x, SECONDS(1));
                SAYS(x, x->a, "");
                TELLS(x->a, SILENT);
                assert_int_equal(x->events_a[EFFECT_UPGRADE_LOST], session == 2);
                lose(x, x->b);
                pass_time(x->p, SECONDS(60));
        }
        assert_false(x->a->peer->acquaintance.known);
        adits_free(x);
}

/* An ACCEPT that is late is good all the same; and a HELLO draws the OFFER once more. */
static void test_after_a_miss(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        lose(x, x->a);
        advance(x, SECONDS(5));
        lose(x, x->a);
        TELLS(x->a, SILENT);
        SAYS(x, x->b, "HELLO");
        carry(x, x->b);
        SAYS(x, x->a, "OFFER");
        carry_all(x);
        TELLS(x->a, DONE);
        assert_int_equal(x->a->peer->acquaintance.misses, 0);
        adits_free(x);
}

/* One ACCEPT for an OFFER, however often that comes; none for another one. */
static void test_accept_again(void **state)
{
        struct adits *x = adits_new(false);
        struct letter offer, first, again;
        struct upgrade_frame other = offer_of(77, 0);

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        offer = letter_take(x, x->a);
        hand(x, x->b, &offer.d);
        first = letter_take(x, x->b);
        advance(x, RTO);
        offer = letter_take(x, x->a);
        hand(x, x->b, &offer.d);
        again = letter_take(x, x->b);
        assert_string_equal(again.word, "ACCEPT");
        assert_memory_equal(again.plain, first.plain, first.plain_len);
        assert_int_not_equal(again.d.bytes[8], first.d.bytes[8]); /* in a packet of its own */

        struct datagram d = seal_frame(x->a, &other);
        assert_int_equal(hand(x, x->b, &d), DROP_RX_UPGRADE_UNEXPECTED);
        SAYS(x, x->b, "");
        assert_int_equal(hand(x, x->a, &first.d), DROP_NONE);
        carry_all(x);
        TELLS(x->b, DONE);
        adits_free(x);
}

/* What was agreed on is not answered: user packets never went there. */
static void test_unused(void **state)
{
        struct adits *x = adits_new(false);
        unsigned empties = 0;

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        carry(x, x->b);
        SAYS(x, x->a, "c:empty");
        lose(x, x->a);
        for (empties = 1; x->a->peer->exchange.state == EXCHANGE_USING && empties < 9; empties++) {
                assert_true(user_packet(x, x->a, 60));
                SAYS(x, x->a, "data");
                lose(x, x->a);
                advance(x, due(x, x->a, TIMER_UPGRADE));
                if (x->a->peer->exchange.state != EXCHANGE_USING) break;
                SAYS(x, x->a, "c:empty");
                lose(x, x->a);
        }
        assert_int_equal(empties, 5);
        TELLS(x->a, UNUSED);
        advance(x, SECONDS(6)); /* REKEY_TIMEOUT */
        SAYS(x, x->a, "initiation");
        carry_all(x);
        SAYS(x, x->a, "");
        TELLS(x->a, UNUSED); /* for an hour */
        adits_free(x);
}

/* A single lost empty packet of the responder's ends nothing. */
static void test_lost_reassurance(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        carry(x, x->a);
        carry(x, x->b);
        carry(x, x->a);
        SAYS(x, x->b, "c:empty");
        lose(x, x->b);
        advance(x, RTO);
        SAYS(x, x->a, "c:empty");
        carry(x, x->a);
        SAYS(x, x->b, "c:empty");
        carry_all(x);
        TELLS(x->a, DONE);
        adits_free(x);
}

/* ---- Policies -----------------------------------------------------------------------------------------------------
 */

static void test_off_is_said(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        upgrade_all(x, x->a);
        advance(x, SECONDS(30));
        lose(x, x->b);
        lose(x, x->a);
        use_policy(x, x->b, true, POST_QUANTUM_AUTO);
        advance(x, 0);
        SAYS(x, x->b, "initiation");
        carry(x, x->b);
        carry(x, x->a);
        SAYS(x, x->b, "empty HELLO"); /* farewell */
        carry_all(x);
        assert_false(x->a->peer->acquaintance.known);
        TELLS(x->a, NO_ANSWER);
        TELLS(x->b, OFF_HERE);
        advance(x, SECONDS(30));
        SAYS(x, x->a, "");
        assert_int_equal(x->events_a[EFFECT_UPGRADE_LOST], 0);
        lose(x, x->b);

        use_policy(x, x->b, false, POST_QUANTUM_AUTO);
        advance(x, 0);
        carry_all(x);
        TELLS(x->a, DONE);
        TELLS(x->b, DONE);
        adits_free(x);
}

/* An OFFER with ML-KEM, to one that will not: the HELLO that rules it out draws one without. */
static void test_offer_again(void **state)
{
        NEEDS_MLKEM();
        struct adits *x = adits_new(true);
        struct upgrade_frame refusal = hello_of(0, 0, 100, 0);

        (void)state;
        use_policy(x, x->b, false, POST_QUANTUM_OFF);
        make_known(x);
        meet(x, x->a);
        carry(x, x->a);
        SAYS(x, x->a, "OFFER+");
        carry(x, x->a);
        SAYS(x, x->b, "HELLO");
        carry(x, x->b);
        SAYS(x, x->a, "OFFER");
        struct datagram d = seal_frame(x->b, &refusal);
        assert_int_equal(hand(x, x->a, &d), DROP_NONE);
        SAYS(x, x->a, "OFFER"); /* nothing is ruled out any more */
        carry_all(x);
        TELLS(x->a, DONE);
        assert_false(x->a->peer->sessions.sender->mlkem);
        adits_free(x);
}

static void test_no_common_cipher(void **state)
{
        struct adits *x = adits_new(false);

        (void)state;
        abilities(x->b, false, true, false);
        meet(x, x->a);
        carry_all(x);
        TELLS(x->a, NO_CIPHER);
        advance(x, SECONDS(100));
        carry_all(x);
        TELLS(x->a, NO_CIPHER);
        assert_true(user_packet(x, x->a, 60));
        SAYS(x, x->a, "data");
        adits_free(x);
}

/* AEGIS-256 where its tag has room: MTU and 96 bytes in what the way to the peer takes. */
static void test_aegis_has_room(void **state)
{
        static const struct {
                uint32_t mtu, egress;
                bool room;
        } rows[] = { { 1404, 1500, true },  { 1405, 1500, false }, { 1404, 0, true }, { 1405, 0, false },
                     { 1404, 1499, false }, { 1420, 9000, true },  { 0, 9000, false } };
        const uint8_t costs[CIPHER_IDS] = { 100, 0, 50 };
        struct upgrade_frame hello;

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                struct adits *x = adits_new(false);

                engine_set_abilities(x->a->engine, costs, false);
                engine_set_mtu(x->a->engine, rows[i].mtu);
                engine_set_egress_mtu(x->a->engine, rows[i].egress);
                meet(x, x->a);
                letter_take(x, x->a);
                memcpy(&hello, letter_take(x, x->a).plain, UPGRADE_FRAME_MIN);
                assert_int_equal(hello.header.cost[CIPHER_CHACHA20_POLY1305], 100);
                assert_int_equal(hello.header.cost[CIPHER_AEGIS_256], rows[i].room ? 50 : 0);
                adits_free(x);
        }
}

/* ---- Keys ---------------------------------------------------------------------------------------------------------
 */

/* What the exchange needed is nowhere when it is over, on either side; nor, 10 s later, the parent's keys. */
static void test_wiped(void **state)
{
        struct adits *x = adits_new(mlkem_available());
        struct session_keys keys;
        struct mlkem_secret secret;
        struct datagram late;

        (void)state;
        make_known(x);
        meet(x, x->a);
        keys = x->a->peer->sessions.current->keys;
        secret = x->a->peer->exchange.work->secret;
        assert_true(holds(x->a, &keys.exporter, KEY_LEN));
        carry_all(x);
        TELLS(x->a, DONE);
        late = seal_raw(x->a, (const uint8_t *)"", 0);
        for (int i = 0; i < 2; i++) {
                struct side *side = i ? x->a : x->b;
                assert_false(holds(side, &keys.exporter, KEY_LEN));
                assert_false(holds(side, keys.h, sizeof keys.h));
                assert_int_equal(side->engine->works.taken, 0);
                assert_true(holds(side, &keys.send, KEY_LEN));
        }
        if (mlkem_available()) assert_false(holds(x->a, &secret, sizeof secret));
        advance(x, SECONDS(10) - 1);
        assert_true(holds(x->a, &keys.send, KEY_LEN));
        advance(x, SECONDS(1));
        assert_false(holds(x->a, &keys.send, KEY_LEN));
        assert_false(holds(x->b, &keys.receive, KEY_LEN));
        assert_int_equal(hand(x, x->b, &late), DROP_RX_UNKNOWN_INDEX);
        lose(x, x->a);
        lose(x, x->b);
        assert_true(user_packet(x, x->a, 60));
        SAYS(x, x->a, "c:data");
        assert_int_equal(carry(x, x->a), DROP_NONE);
        adits_free(x);
}

/* Of a parent under which nothing came about: after 40 s. */
static void test_exporter_does_not_stay(void **state)
{
        struct adits *x = adits_new(false);
        struct session_keys keys;

        (void)state;
        meet(x, x->a);
        keys = x->a->peer->sessions.current->keys;
        lose(x, x->a); /* not even confirmed */
        advance(x, SECONDS(40) - MILLISECONDS(100));
        assert_true(holds(x->a, &keys.exporter, KEY_LEN));
        assert_true(holds(x->b, &keys.exporter, KEY_LEN));
        lose(x, x->a);
        lose(x, x->b);
        advance(x, SECONDS(1));
        assert_false(holds(x->a, &keys.exporter, KEY_LEN));
        assert_false(holds(x->b, &keys.exporter, KEY_LEN));
        assert_false(holds(x->b, keys.h, sizeof keys.h));
        adits_free(x);
}

/* A child is as old as its parent. */
static void test_age(void **state)
{
        struct adits *x = adits_new(false);
        uint64_t born;

        (void)state;
        meet(x, x->a);
        born = x->a->peer->sessions.current->born;
        pass_time(x->p, SECONDS(2));
        carry_all(x);
        assert_int_equal(x->a->peer->sessions.current->child->born, born);
        advance(x, SECONDS(30));
        lose(x, x->a);
        lose(x, x->b);
        pass_time(x->p, born + REKEY_AFTER_TIME - x->p->now);
        assert_true(user_packet(x, x->a, 60));
        SAYS(x, x->a, "c:data initiation");
        lose(x, x->a);
        pass_time(x->p, born + REJECT_AFTER_TIME - x->p->now);
        assert_false(user_packet(x, x->a, 60));
        adits_free(x);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_first_meeting),
                cmocka_unit_test(test_known),
                cmocka_unit_test(test_renewal),
                cmocka_unit_test(test_mlkem),
                cmocka_unit_test(test_strangers_are_asked_rarely),
                cmocka_unit_test(test_responder_asks),
                cmocka_unit_test(test_lost_answer_to_hello),
                cmocka_unit_test(test_unanswered_offers),
                cmocka_unit_test(test_after_a_miss),
                cmocka_unit_test(test_accept_again),
                cmocka_unit_test(test_unused),
                cmocka_unit_test(test_lost_reassurance),
                cmocka_unit_test(test_off_is_said),
                cmocka_unit_test(test_offer_again),
                cmocka_unit_test(test_no_common_cipher),
                cmocka_unit_test(test_aegis_has_room),
                cmocka_unit_test(test_wiped),
                cmocka_unit_test(test_exporter_does_not_stay),
                cmocka_unit_test(test_age),
        };

        return RUN_ADITS(tests);
}
