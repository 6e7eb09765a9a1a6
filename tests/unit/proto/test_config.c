/* What the configuration calls do to a running engine, and what they leave alone. */
#include "tests/unit/proto/pair.h"

static void test_memory(void **state)
{
        const struct engine_config small = { .max_peers = 1 }, many = { .max_peers = 60000, .max_staged = 1 };
        const struct engine_config absurd = { .max_peers = UINT32_MAX };
        struct pair *p = pair_new();

        (void)state;
        assert_null(engine_new(p->a.memory, engine_memory(&small) - 1, &small, &p->a.engine->random, 0));
        assert_true(engine_memory(&absurd) == SIZE_MAX);
        assert_true(engine_memory(&many) > engine_memory(&small));
        assert_true(sizeof(struct peer) < 4096);
        pair_free(p);
}

/* The live session stays; the next handshake has it: with one side's only it fails, with both it works. */
static void test_preshared_key(void **state)
{
        const struct key psk = { { 1, 2, 3 } };
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        engine_peer_set_preshared_key(p->a.peer, &psk);
        assert_true(send_data(p, &p->a, &d));
        assert_true(receive(p, &p->b, &d));

        pass_time(p, REKEY_AFTER_TIME);
        assert_true(send_data(p, &p->a, &d));
        d = sent_by(p, &p->a);
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_int_equal(p->reason, DROP_RX_BAD_HANDSHAKE);

        engine_peer_set_preshared_key(p->b.peer, &psk);
        pass_time(p, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER);
        tick(p, &p->a);
        d = sent_by(p, &p->a);
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_int_equal(had(p, EFFECT_SESSION_UP), 1);
        pair_free(p);
}

static void test_private_key_change(void **state)
{
        struct pair *p = pair_established();
        struct key again, fresh = { { 7 } }, public_key, unused;
        struct datagram d, in_flight, response;

        (void)state;
        again = p->a.private_key;
        engine_set_private_key(p->a.engine, p->now, &again); /* the same: nothing happens */
        assert_true(send_data(p, &p->a, &d));

        pass_time(p, SECONDS(1));
        assert_true(send_data(p, &p->b, &in_flight));
        engine_set_private_key(p->a.engine, p->now, &fresh);
        assert_true(engine_private_key(p->a.engine, &again, &public_key));
        assert_true(receive(p, &p->a, &in_flight));
        assert_true(send_data(p, &p->a, &d)); /* the session carries on, both ways */
        assert_true(receive(p, &p->b, &d));
        tick(p, &p->a); /* at once, in spite of REKEY_TIMEOUT */
        d = sent_by(p, &p->a);
        assert_int_equal(d.bytes[0], MESSAGE_INITIATION);
        receive(p, &p->b, &d);
        assert_int_equal(p->reason, DROP_RX_UNKNOWN_PEER);

        struct peer *peer = engine_peer_add(p->b.engine, p->now, &public_key);
        assert_non_null(peer);
        receive(p, &p->b, &d);
        assert_int_equal(p->reason, DROP_NONE);
        response = sent_by(p, &p->b);
        assert_true(send_data(p, &p->b, &in_flight)); /* (b knows a by both keys for now) */
        assert_true(receive(p, &p->a, &in_flight));
        const struct session *old = p->a.peer->sessions.current;
        receive(p, &p->a, &response);
        assert_int_equal(p->reason, DROP_NONE);
        assert_ptr_not_equal(p->a.peer->sessions.current, old);
        assert_ptr_equal(p->a.peer->sessions.previous, old);
        assert_true(engine_private_key(p->b.engine, &unused, &public_key));
        pair_free(p);
}

/* The way is another: who is kept alive hears of it by then, and nobody else. */
static void test_hasten_keepalive(void **state)
{
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        engine_peer_hasten(p->a.peer, p->now);
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        engine_peer_set_keepalive(p->a.engine, p->now, p->a.peer, 25);
        tick(p, &p->a); /* the first is due at once */
        assert_int_equal(had(p, EFFECT_SEND), 1);
        pass_time(p, SECONDS(10));
        engine_peer_hasten(p->a.peer, p->now + SECONDS(1));
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        pass_time(p, SECONDS(1));
        tick(p, &p->a);
        d = sent_by(p, &p->a);
        assert_int_equal(d.bytes[0], MESSAGE_DATA);
        engine_peer_hasten(p->a.peer, p->now + SECONDS(26)); /* later than it is */
        pass_time(p, SECONDS(25));
        tick(p, &p->a);
        assert_int_equal(had(p, EFFECT_SEND), 1);
        engine_set_up(p->a.engine, p->now, false);
        engine_peer_hasten(p->a.peer, p->now);
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        pair_free(p);
}

/* An initiation that went the old way is not waited for; the next one in turn is as late as ever. */
static void test_hasten_handshake(void **state)
{
        struct pair *p = pair_new();
        struct datagram d;

        (void)state;
        d = initiation_of(p, &p->a);
        pass_time(p, SECONDS(1));
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        engine_peer_hasten(p->a.peer, p->now + SECONDS(1));
        pass_time(p, SECONDS(1));
        tick(p, &p->a);
        d = sent_by(p, &p->a);
        assert_int_equal(d.bytes[0], MESSAGE_INITIATION);
        pass_time(p, REKEY_TIMEOUT - SECONDS(1));
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_int_equal(p->reason, DROP_NONE);
        p->fx.count = 0;
        engine_peer_hasten(p->a.peer, p->now); /* nothing waits any more */
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        pair_free(p);
}

/* No key: nothing is sent or answered, and what waits is not kept for ever. */
static void test_no_private_key(void **state)
{
        const struct key none = { { 0 } };
        struct pair *p = pair_new();
        struct key private_key, public_key;
        struct cookie_jar jar;
        struct datagram d;

        (void)state;
        d = initiation_of(p, &p->a);
        engine_set_private_key(p->b.engine, p->now, &none);
        engine_peer_set_keepalive(p->b.engine, p->now, p->b.peer, 1);
        assert_false(engine_private_key(p->b.engine, &private_key, &public_key));
        assert_true(key_is_zero(&private_key) && key_is_zero(&public_key));
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_RX_BAD_MAC1);
        assert_int_equal(p->fx.count, 0);
        cookie_jar_init(&jar, &none); /* as if zero were our public key */
        cookie_add_macs(&jar, p->now, d.bytes, d.len);
        p->b.engine->load.until = p->now + SECONDS(1);
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_RX_BAD_MAC1);
        assert_int_equal(p->fx.count, 0);
        assert_false(send_data(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_TX_HANDSHAKE_FAILED);
        for (unsigned i = 0; i < 5; i++) {
                tick(p, &p->b);
                assert_int_equal(p->fx.count, 0);
                pass_time(p, SECONDS(1));
        }

        engine_set_private_key(p->a.engine, p->now, &none);
        tick(p, &p->a);
        assert_int_equal(had(p, EFFECT_GAVE_UP), 1);
        assert_int_equal(drops(&p->a, DROP_TX_HANDSHAKE_FAILED), 1);
        assert_int_equal(p->a.engine->staged.taken, 0);
        pair_free(p);
}

static void test_own_public_key(void **state)
{
        struct pair *p = pair_established();

        (void)state;
        assert_null(engine_peer_add(p->a.engine, p->now, &p->a.public_key));
        assert_int_equal(engine_peer_count(p->a.engine), 1);
        engine_set_private_key(p->a.engine, p->now, &p->b.private_key); /* now its only peer is itself */
        assert_int_equal(engine_peer_count(p->a.engine), 0);
        assert_int_equal(engine_prefix_count(p->a.engine), 0);
        assert_int_equal(p->a.engine->store.pool.taken, 0);
        assert_true(engine_deadline(p->a.engine) == UINT64_MAX);
        pair_free(p);
}

/* Zero is of low order: a peer like any other, that nothing can be sent to. */
static void test_low_order_peer(void **state)
{
        const struct prefix prefix = prefix_of("10.0.0.9", 32);
        const struct key zero = { { 0 } };
        struct pair *p = pair_new();
        struct peer *peer = engine_peer_add(p->a.engine, p->now, &zero);
        struct datagram d;

        (void)state;
        assert_non_null(peer);
        engine_peer_set_endpoint(peer, &p->b.at.remote);
        engine_peer_set_keepalive(p->a.engine, p->now, peer, 1);
        assert_true(engine_allowed_ip_add(p->a.engine, peer, &prefix));
        assert_false(send_inner(p, &p->a, "10.0.0.1", "10.0.0.9", 100, &d));
        assert_int_equal(p->reason, DROP_TX_HANDSHAKE_FAILED);
        for (unsigned i = 0; i < 5; i++) {
                pass_time(p, SECONDS(1));
                tick(p, &p->a);
                assert_int_equal(p->fx.count, 0);
        }
        pair_free(p);
}

static void test_removal(void **state)
{
        struct pair *p = pair_established();
        struct session_keys keys = p->a.peer->sessions.current->keys;
        const struct key psk = { { 9, 8, 7, 6, 5, 4, 3, 2, 1 } };
        struct datagram d, in;

        (void)state;
        engine_peer_set_preshared_key(p->a.peer, &psk);
        assert_true(send_data(p, &p->b, &in));
        pass_time(p, REJECT_AFTER_TIME);
        assert_false(send_data(p, &p->a, &d)); /* staged */
        engine_peer_remove(p->a.engine, p->a.peer);
        assert_int_equal(all_drops(&p->a), 1);
        assert_int_equal(drops(&p->a, DROP_TX_NO_PEER), 1);
        assert_int_equal(p->a.engine->staged.taken, 0);
        assert_int_equal(engine_peer_count(p->a.engine), 0);
        assert_int_equal(engine_prefix_count(p->a.engine), 0);
        assert_null(engine_peer_find(p->a.engine, &p->b.public_key));
        assert_null(memmem(p->a.memory, p->a.size, &keys.send, KEY_LEN));
        assert_null(memmem(p->a.memory, p->a.size, &psk, KEY_LEN));
        assert_true(engine_deadline(p->a.engine) == UINT64_MAX);
        assert_false(receive(p, &p->a, &in));
        assert_int_equal(p->reason, DROP_RX_UNKNOWN_INDEX);
        pair_free(p);
}

static void test_down_and_up(void **state)
{
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        engine_peer_set_keepalive(p->a.engine, p->now, p->a.peer, 25);
        pass_time(p, REJECT_AFTER_TIME);
        assert_false(send_data(p, &p->a, &d));
        engine_set_up(p->a.engine, p->now, false);
        engine_set_up(p->a.engine, p->now, false);
        assert_int_equal(all_drops(&p->a), 1);
        assert_int_equal(drops(&p->a, DROP_TX_LINK_DOWN), 1);
        assert_null(p->a.peer->pending.peer);
        assert_true(key_is_zero(&p->a.peer->handshake.ephemeral_private));
        assert_int_equal(p->a.engine->staged.taken, 0);
        assert_int_equal(p->a.engine->store.pool.taken, 0);
        assert_true(engine_deadline(p->a.engine) == UINT64_MAX);

        engine_set_up(p->a.engine, p->now, true);
        assert_true(engine_deadline(p->a.engine) <= p->now);
        tick(p, &p->a);
        assert_int_equal(sent_by(p, &p->a).bytes[0], MESSAGE_INITIATION);
        pair_free(p);
}

/* A worker may arm the timer just when the keepalive is switched off: then it fires for nothing, once. */
static void test_keepalive_off_under_traffic(void **state)
{
        struct pair *p = pair_established();

        (void)state;
        engine_peer_set_keepalive(p->a.engine, p->now, p->a.peer, 25);
        engine_peer_set_keepalive(p->a.engine, p->now, p->a.peer, 0);
        timer_arm(&p->a.peer->timers, TIMER_PERSISTENT_KEEPALIVE, p->now + SECONDS(25));
        pass_time(p, SECONDS(25));
        tick(p, &p->a);
        assert_false(timer_armed(&p->a.peer->timers, TIMER_PERSISTENT_KEEPALIVE));
        pair_free(p);
}

/* A name that resolves at last: the keepalive that could go nowhere goes now. */
static void test_late_endpoint(void **state)
{
        const union socket_address none = { 0 };
        struct pair *p = pair_new();

        (void)state;
        engine_peer_set_endpoint(p->a.peer, &none);
        engine_peer_set_keepalive(p->a.engine, p->now, p->a.peer, 25);
        tick(p, &p->a);
        assert_int_equal(p->fx.count, 0);
        engine_peer_set_endpoint(p->a.peer, &p->b.at.remote);
        assert_true(engine_deadline(p->a.engine) <= p->now);
        tick(p, &p->a);
        assert_int_equal(sent_by(p, &p->a).bytes[0], MESSAGE_INITIATION);
        pair_free(p);
}

static void test_table_of_peers(void **state)
{
        struct pair *p = pair_new();
        struct engine *engine = p->a.engine;
        struct peer *peers[64] = { p->a.peer }, *peer = NULL;
        struct key key = { { 1 } };

        (void)state;
        for (unsigned i = 1; i < 64; i++) {
                key.bytes[1] = (uint8_t)i;
                peers[i] = engine_peer_add(engine, p->now, &key);
                assert_non_null(peers[i]);
                assert_ptr_equal(engine_peer_add(engine, p->now, &key), peers[i]);
                engine_peer_set_tag(peers[i], i);
        }
        key.bytes[1] = 64;
        assert_null(engine_peer_add(engine, p->now, &key)); /* full */
        engine_peer_remove(engine, peers[63]);
        engine_peer_remove(engine, peers[10]);
        engine_peer_remove(engine, peers[0]);
        for (unsigned i = 1; i < 63; i++) {
                if (i == 10) continue;
                peer = engine_peer_next(engine, peer);
                assert_ptr_equal(peer, peers[i]);
                assert_ptr_equal(engine_peer_find(engine, engine_peer_public_key(peer)), peer);
                assert_int_equal(engine_peer_tag(peer), i);
        }
        assert_null(engine_peer_next(engine, peer));
        assert_int_equal(engine_peer_count(engine), 61);
        peer = engine_peer_add(engine, p->now, &key);
        assert_non_null(peer);
        assert_ptr_equal(engine_peer_next(engine, peers[62]), peer);
        assert_null(engine_peer_next(engine, peer));
        assert_int_equal(engine_peer_tag(peer), 0); /* nothing of the one that had its place */
        pair_free(p);
}

/* All peers due at once: more effects than there is room for come in the next calls. */
static void test_ticks_are_bounded(void **state)
{
        struct pair *p = pair_new();
        struct key key = { { 1 } };
        unsigned initiations = 0;

        (void)state;
        for (unsigned i = 1; i < 64; i++) {
                key.bytes[1] = (uint8_t)i;
                struct peer *peer = engine_peer_add(p->a.engine, p->now, &key);

                engine_peer_set_endpoint(peer, &p->b.at.remote);
                engine_peer_set_keepalive(p->a.engine, p->now, peer, 25);
        }
        while (engine_deadline(p->a.engine) <= p->now) {
                tick(p, &p->a);
                assert_in_range(p->fx.count, 1, EFFECTS_MAX);
                initiations += had(p, EFFECT_SEND);
        }
        assert_int_equal(initiations, 63);
        pair_free(p);
}

static void test_names(void **state)
{
        struct pair *p = pair_new();
        struct peer_status status;

        (void)state;
        engine_peer_set_name(p->a.peer, "0123456789012345678901234567890123456789");
        engine_peer_status(p->a.peer, &status);
        assert_string_equal(status.name, "0123456789012345678901234567890");
        engine_peer_set_name(p->a.peer, "b");
        assert_string_equal(engine_peer_name(p->a.peer), "b");
        pair_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_memory),
                cmocka_unit_test(test_keepalive_off_under_traffic),
                cmocka_unit_test(test_preshared_key),
                cmocka_unit_test(test_private_key_change),
                cmocka_unit_test(test_hasten_keepalive),
                cmocka_unit_test(test_hasten_handshake),
                cmocka_unit_test(test_no_private_key),
                cmocka_unit_test(test_own_public_key),
                cmocka_unit_test(test_low_order_peer),
                cmocka_unit_test(test_removal),
                cmocka_unit_test(test_down_and_up),
                cmocka_unit_test(test_late_endpoint),
                cmocka_unit_test(test_table_of_peers),
                cmocka_unit_test(test_ticks_are_bounded),
                cmocka_unit_test(test_names),
        };

        return RUN(tests);
}
