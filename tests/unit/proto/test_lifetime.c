/* How long sessions and keys live: keepalives, renewal, limits, erasure. */
#include "tests/unit/proto/pair.h"

/* 10 s after data came and nothing went: a keepalive, which draws none in turn. */
static void test_passive_keepalive(void **state)
{
        struct pair *p = pair_established();
        uint64_t start = p->now;
        struct datagram d;

        (void)state;
        pass_time(p, KEEPALIVE_TIMEOUT - 1);
        tick(p, &p->b);
        assert_int_equal(p->fx.count, 0);
        pass_time(p, 1);
        tick(p, &p->b);
        d = sent_by(p, &p->b);
        assert_int_equal(d.len, DATA_OVERHEAD);
        assert_false(receive(p, &p->a, &d));
        assert_int_equal(p->reason, DROP_NONE);
        for (unsigned i = 0; i < 100; i++) {
                pass_time(p, SECONDS(1));
                tick(p, &p->a);
                assert_int_equal(p->fx.count, 0);
                tick(p, &p->b);
                assert_int_equal(p->fx.count, 0);
        }
        assert_true(p->now < start + REKEY_AFTER_TIME);
        assert_int_equal(all_drops(&p->a) + all_drops(&p->b), 0);
        pair_free(p);
}

/* Two data packets in a quiet tunnel draw two keepalives, 10 s apart, and then silence. */
static void test_another_keepalive(void **state)
{
        struct pair *p = pair_established();
        unsigned keepalives = 0;
        struct datagram d;

        (void)state;
        pass_time(p, SECONDS(4));
        assert_true(send_data(p, &p->a, &d));
        assert_true(receive(p, &p->b, &d));
        for (unsigned second = 5; second <= 60; second++) {
                pass_time(p, SECONDS(1));
                tick(p, &p->b);
                if (!p->fx.count) continue;
                assert_int_equal(second, ++keepalives * 10);
                d = sent_by(p, &p->b);
                receive(p, &p->a, &d);
                assert_int_equal(p->fx.count, 0);
        }
        assert_int_equal(keepalives, 2);
        pair_free(p);
}

static void test_persistent_keepalive(void **state)
{
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        engine_peer_set_keepalive(p->a.engine, p->now, p->a.peer, 25);
        tick(p, &p->a);
        assert_int_equal(sent_by(p, &p->a).len, DATA_OVERHEAD);
        pass_time(p, SECONDS(20));
        tick(p, &p->a); /* b is silent: see above */
        d = sent_by(p, &p->a);
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        d = sent_by(p, &p->a);
        assert_int_equal(d.len, DATA_OVERHEAD); /* confirms the session */
        for (unsigned i = 0; i < 3; i++) {
                pass_time(p, SECONDS(25) - 1);
                tick(p, &p->a);
                assert_int_equal(p->fx.count, 0);
                pass_time(p, 1);
                tick(p, &p->a);
                assert_int_equal(sent_by(p, &p->a).len, DATA_OVERHEAD);
        }
        engine_peer_set_keepalive(p->a.engine, p->now, p->a.peer, 0);
        pass_time(p, SECONDS(30));
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        pair_free(p);
}

static void test_new_handshake_when_silent(void **state)
{
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        pass_time(p, SECONDS(20)); /* of the first packet, which is answered */
        tick(p, &p->b);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_true(send_data(p, &p->a, &d));
        pass_time(p, KEEPALIVE_TIMEOUT + REKEY_TIMEOUT - 1);
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        pass_time(p, REKEY_TIMEOUT_JITTER + 1);
        tick(p, &p->a);
        assert_int_equal(sent_by(p, &p->a).bytes[0], MESSAGE_INITIATION);
        pair_free(p);
}

static void test_rekey_on_send(void **state)
{
        static const struct {
                uint64_t age;
                bool initiator, rekey;
        } rows[] = {
                { REKEY_AFTER_TIME - 1, true, false },
                { REKEY_AFTER_TIME, true, true },
                { REKEY_AFTER_TIME, false, false },
                { REJECT_AFTER_TIME - 1, false, false },
        };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                struct pair *p = pair_established();
                struct datagram d;

                pass_time(p, rows[i].age);
                assert_true(send_data(p, rows[i].initiator ? &p->a : &p->b, &d));
                assert_int_equal(had(p, EFFECT_SEND), rows[i].rekey);
                pair_free(p);
        }
}

static void test_rekey_on_receive(void **state)
{
        static const struct {
                uint64_t age;
                bool rekey;
        } rows[] = { { REKEY_ON_RECEIVE_TIME - 1, false }, { REKEY_ON_RECEIVE_TIME, true } };

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                struct pair *p = pair_established();
                struct datagram d;

                pass_time(p, rows[i].age);
                assert_true(send_data(p, &p->b, &d));
                assert_true(receive(p, &p->a, &d));
                assert_int_equal(had(p, EFFECT_SEND), rows[i].rekey);
                assert_true(send_data(p, &p->b, &d));
                assert_true(receive(p, &p->a, &d));
                assert_int_equal(had(p, EFFECT_SEND), 0); /* once */
                uint64_t started = p->a.peer->attempt_started;
                pass_time(p, SECONDS(2));
                assert_true(send_data(p, &p->b, &d));
                assert_true(receive(p, &p->a, &d));
                if (rows[i].rekey) assert_int_equal(p->a.peer->attempt_started, started); /* and given up in its time */
                pair_free(p);
        }
}

static void test_time_limit(void **state)
{
        struct pair *p = pair_established();
        struct datagram d, late;

        (void)state;
        pass_time(p, REJECT_AFTER_TIME - 1);
        assert_true(send_data(p, &p->b, &d));
        assert_true(send_data(p, &p->b, &late));
        assert_true(receive(p, &p->a, &d));
        pass_time(p, 1);
        check_dropped(p, &p->a, &late, DROP_RX_SESSION_EXPIRED);
        assert_false(send_data(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_NONE);
        assert_int_equal(sent_by(p, &p->b).bytes[0], MESSAGE_INITIATION);
        pair_free(p);
}

static void test_message_limit(void **state)
{
        struct pair *p = pair_established();
        struct session *session = p->a.peer->sessions.current;
        struct datagram d;

        (void)state;
        session->send_counter = REJECT_AFTER_MESSAGES - 1;
        pass_time(p, REKEY_TIMEOUT);
        assert_true(send_data(p, &p->a, &d));
        assert_int_equal(sent_by(p, &p->a).bytes[0], MESSAGE_INITIATION); /* far past REKEY_AFTER_MESSAGES */
        assert_true(receive(p, &p->b, &d));
        assert_false(send_data(p, &p->a, &d));
        assert_int_equal(session->send_counter, REJECT_AFTER_MESSAGES);

        uint8_t packet[INNER_LEN];
        inner_packet(packet, "10.0.0.1", "10.0.0.2", sizeof packet);
        d = seal_raw(&p->a, packet, sizeof packet);
        check_dropped(p, &p->b, &d, DROP_RX_SESSION_EXPIRED);
        pair_free(p);
}

/* Counters of 64 bits: past 2^32 they go on, on the wire too. */
static void test_counter_past_32_bits(void **state)
{
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        p->a.peer->sessions.current->send_counter = UINT32_MAX;
        for (unsigned i = 0; i < 3; i++) {
                assert_true(send_data(p, &p->a, &d));
                assert_true(receive(p, &p->b, &d));
                assert_int_equal(d.bytes[12], i ? 1 : 0);
        }
        pair_free(p);
}

/* 540 s after the last handshake nothing in the memory opens what was recorded. */
static void test_key_erasure(void **state)
{
        struct pair *p = pair_established();
        struct session_keys old = p->a.peer->sessions.current->keys, keys;
        struct key ephemeral;
        struct datagram d;

        (void)state;
        pass_time(p, REKEY_AFTER_TIME);
        assert_true(send_data(p, &p->a, &d));
        ephemeral = p->a.peer->handshake.ephemeral_private;
        d = sent_by(p, &p->a);
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_false(holds(&p->a, &ephemeral, sizeof ephemeral));
        keys = p->a.peer->sessions.current->keys;
        assert_true(holds(&p->a, &keys.send, KEY_LEN));
        assert_true(holds(&p->a, &old.send, KEY_LEN));

        pass_time(p, ERASE_KEYS_TIME - 1);
        tick(p, &p->a);
        assert_int_equal(had(p, EFFECT_SESSION_DOWN), 0);
        assert_true(holds(&p->a, &keys.receive, KEY_LEN));
        pass_time(p, 1);
        tick(p, &p->a);
        assert_int_equal(had(p, EFFECT_SESSION_DOWN), 1);
        for (unsigned i = 0; i < sizeof keys / KEY_LEN; i++) {
                const uint8_t *key = (const uint8_t *)&keys + i * KEY_LEN;
                /* exporter and h went before: nothing here upgrades */
                if (!sodium_is_zero(key, KEY_LEN)) assert_false(holds(&p->a, key, KEY_LEN));
        }
        assert_false(holds(&p->a, &old.send, KEY_LEN));
        assert_false(holds(&p->a, &old.receive, KEY_LEN));
        assert_int_equal(p->a.engine->store.pool.taken, 0);
        pair_free(p);
}

/* One that is not answered: its ephemeral key goes too. */
static void test_ephemeral_erasure(void **state)
{
        struct pair *p = pair_new();
        struct key last = { 0 };

        (void)state;
        initiation_of(p, &p->a);
        while (engine_deadline(p->a.engine) != UINT64_MAX) {
                if (p->a.peer->handshake.stage == HANDSHAKE_INITIATION_SENT)
                        last = p->a.peer->handshake.ephemeral_private;
                p->now = engine_deadline(p->a.engine);
                assert_true(p->now < SECONDS(1000) + REKEY_ATTEMPT_TIME + ERASE_KEYS_TIME + SECONDS(6));
                tick(p, &p->a);
        }
        assert_false(key_is_zero(&last));
        assert_false(holds(&p->a, &last, sizeof last));
        pair_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_passive_keepalive),    cmocka_unit_test(test_another_keepalive),
                cmocka_unit_test(test_persistent_keepalive), cmocka_unit_test(test_new_handshake_when_silent),
                cmocka_unit_test(test_rekey_on_send),        cmocka_unit_test(test_rekey_on_receive),
                cmocka_unit_test(test_time_limit),           cmocka_unit_test(test_message_limit),
                cmocka_unit_test(test_counter_past_32_bits), cmocka_unit_test(test_key_erasure),
                cmocka_unit_test(test_ephemeral_erasure),
        };

        return RUN(tests);
}
