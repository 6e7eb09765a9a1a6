/* Data: sessions, roaming, what is sealed, staged and delivered. */
#include "tests/unit/proto/pair.h"

#include "daemon/proto/worker.h"

static void test_both_ways(void **state)
{
        struct pair *p = pair_established();
        struct peer_status status;
        struct datagram d;

        (void)state;
        assert_true(send_data(p, &p->b, &d));
        assert_int_equal(d.len, 112 + DATA_OVERHEAD); /* 100 bytes in 7 times 16 */
        assert_true(receive(p, &p->a, &d));
        assert_int_equal(p->delivered, INNER_LEN);
        assert_int_equal(p->fx.count, 0);
        engine_peer_status(p->a.peer, &status);
        assert_int_equal(status.tx_bytes, 148 + 144);
        assert_int_equal(status.rx_bytes, 92 + 144);
        assert_int_equal(status.last_handshake_wall, WALL_START);
        assert_true(status.session);
        engine_peer_status(p->b.peer, &status);
        assert_int_equal(status.tx_bytes, 92 + 144);
        assert_int_equal(status.rx_bytes, 148 + 144);
        assert_int_equal(all_drops(&p->a) + all_drops(&p->b), 0);
        assert_memory_equal(&p->a.peer->sessions.current->keys.exporter, &p->b.peer->sessions.current->keys.exporter,
                            KEY_LEN);
        pair_free(p);
}

static void test_damaged_data(void **state)
{
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        assert_true(send_data(p, &p->a, &d));
        d.from = endpoint_of("203.0.113.9", 9);
        for (size_t bit = 0; bit < d.len * 8; bit++) {
                struct datagram damaged = d;

                damaged.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                check_dropped(p, &p->b, &damaged,
                              bit < 32   ? DROP_RX_MALFORMED
                              : bit < 64 ? DROP_RX_UNKNOWN_INDEX
                                         : DROP_RX_BAD_TAG);
        }
        for (size_t len = 0; len < d.len; len++) {
                struct datagram cut = d;

                cut.len = len;
                check_dropped(p, &p->b, &cut, len < DATA_OVERHEAD ? DROP_RX_MALFORMED : DROP_RX_BAD_TAG);
        }
        assert_true(receive(p, &p->b, &d));
        check_dropped(p, &p->b, &d, DROP_RX_REPLAY);
        pair_free(p);
}

static void test_roaming(void **state)
{
        struct pair *p = pair_established();
        struct endpoint moved = endpoint_of("203.0.113.9", 9), port = endpoint_of("203.0.113.9", 10);
        struct datagram d, old;

        (void)state;
        moved.source_ifindex = 3;
        assert_true(send_data(p, &p->a, &old));
        assert_true(send_data(p, &p->a, &d));
        d.from = moved;
        assert_true(receive(p, &p->b, &d));
        assert_int_equal(had(p, EFFECT_ROAMED), 1);
        assert_memory_equal(&p->b.peer->endpoint, &moved, sizeof moved);

        d.from = port; /* a replay moves nothing */
        check_dropped(p, &p->b, &d, DROP_RX_REPLAY);
        assert_true(send_data(p, &p->a, &d));
        d.from = port;
        assert_true(receive(p, &p->b, &d));
        assert_int_equal(had(p, EFFECT_ROAMED), 1);
        old.from = port;
        assert_true(receive(p, &p->b, &old));
        assert_int_equal(had(p, EFFECT_ROAMED), 0);
        pair_free(p);
}

static void test_delivery(void **state)
{
        static const uint8_t v6[40] = { [0] = 0x60, [23] = 1 };
        static const struct {
                uint8_t first;
                uint16_t total; /* in the header */
                size_t plain_len;
                const char *source;
                enum drop reason;
                size_t delivered;
        } rows[] = {
                { 0x45, 100, 112, "10.0.0.1", DROP_NONE, 100 },
                { 0x45, 20, 32, "10.0.0.1", DROP_NONE, 20 },
                { 0x45, 112, 112, "10.0.0.1", DROP_NONE, 112 },
                { 0x45, 113, 112, "10.0.0.1", DROP_RX_NOT_IP, 0 },
                { 0x45, 19, 32, "10.0.0.1", DROP_RX_NOT_IP, 0 },
                { 0x45, 16, 16, "10.0.0.1", DROP_RX_NOT_IP, 0 },
                { 0x05, 32, 32, "10.0.0.1", DROP_RX_NOT_IP, 0 },
                { 0x75, 32, 32, "10.0.0.1", DROP_RX_NOT_IP, 0 },
                { 0x60, 32, 32, "10.0.0.1", DROP_RX_NOT_IP, 0 }, /* shorter than its header */
                { 0x45, 100, 112, "10.0.0.2", DROP_RX_SPOOFED_SOURCE, 0 },
                { 0x45, 100, 112, "10.9.0.1", DROP_RX_SPOOFED_SOURCE, 0 },
        };
        struct pair *p = pair_established();
        uint8_t packet[256];
        struct datagram d;

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                inner_packet(packet, rows[i].source, "10.0.0.2", rows[i].plain_len < 20 ? 20 : rows[i].plain_len);
                packet[0] = rows[i].first;
                packet[2] = (uint8_t)(rows[i].total >> 8);
                packet[3] = (uint8_t)rows[i].total;
                d = seal_raw(&p->a, packet, rows[i].plain_len);
                assert_int_equal(receive(p, &p->b, &d), rows[i].reason == DROP_NONE);
                assert_int_equal(p->reason, rows[i].reason);
                assert_int_equal(p->delivered, rows[i].delivered);
        }
        d = seal_raw(&p->a, v6, sizeof v6);
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_RX_SPOOFED_SOURCE);
        assert_int_equal(all_drops(&p->b), 9);
        pair_free(p);
}

/* A source inside the peer's own prefix is still not the peer's where another has a longer one. */
static void test_source_is_the_longest_match(void **state)
{
        const struct prefix wide = prefix_of("10.0.0.0", 8), narrow = prefix_of("10.7.0.0", 16);
        struct pair *p = pair_established();
        const struct key other = { { 9 } };
        struct datagram d;

        (void)state;
        assert_true(engine_allowed_ip_add(p->b.engine, p->b.peer, &wide));
        assert_true(send_inner(p, &p->a, "10.7.0.1", "10.0.0.2", INNER_LEN, &d));
        assert_true(receive(p, &p->b, &d));
        struct peer *peer = engine_peer_add(p->b.engine, p->now, &other);
        assert_true(engine_allowed_ip_add(p->b.engine, peer, &narrow));
        assert_true(send_inner(p, &p->a, "10.7.0.1", "10.0.0.2", INNER_LEN, &d));
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_RX_SPOOFED_SOURCE);
        pair_free(p);
}

/* What is not IP authenticates, but is no data that a keepalive would have to answer. */
static void test_not_ip_draws_no_keepalive(void **state)
{
        static const uint8_t frame[32] = { 0 };
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        assert_true(send_data(p, &p->b, &d)); /* stops the keepalive that is due for the first packet */
        assert_false(timer_armed(&p->b.peer->timers, TIMER_SEND_KEEPALIVE));
        d = seal_raw(&p->a, frame, sizeof frame);
        d.from = endpoint_of("203.0.113.9", 9);
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_RX_NOT_IP);
        assert_int_equal(had(p, EFFECT_ROAMED), 1);
        assert_false(timer_armed(&p->b.peer->timers, TIMER_SEND_KEEPALIVE));
        assert_false(timer_armed(&p->b.peer->timers, TIMER_NEW_HANDSHAKE));
        pair_free(p);
}

static void test_padding(void **state)
{
        static const struct {
                uint32_t mtu;
                size_t len, plain_len;
        } rows[] = {
                { 1420, 20, 32 },     { 1420, 32, 32 },     { 1420, 1409, 1420 }, { 1420, 1420, 1420 },
                { 1420, 1440, 1440 }, { 1420, 1421, 1421 }, { 0, 1421, 1424 },    { 65535, 1421, 1424 },
        };
        struct pair *p = pair_established();
        struct datagram d;

        (void)state;
        for (unsigned i = 0; i < ROWS(rows); i++) {
                engine_set_mtu(p->a.engine, rows[i].mtu);
                assert_true(send_inner(p, &p->a, "10.0.0.1", "10.0.0.2", rows[i].len, &d));
                assert_int_equal(d.len, rows[i].plain_len + DATA_OVERHEAD);
                assert_true(receive(p, &p->b, &d));
                assert_int_equal(p->delivered, rows[i].len);
        }
        pair_free(p);
}

static void test_staged(void **state)
{
        struct pair *p = pair_new();
        struct datagram d, out;
        unsigned n = 0;

        (void)state;
        d = initiation_of(p, &p->a);
        for (unsigned i = 1; i < STAGED_MAX + 10; i++) {
                assert_false(send_inner(p, &p->a, "10.0.0.1", "10.0.0.2", 100 + i, &out));
                assert_int_equal(p->reason, DROP_NONE);
                assert_int_equal(p->fx.count, 0); /* one handshake is enough */
        }
        assert_int_equal(drops(&p->a, DROP_TX_STAGED_OVERFLOW), 10);
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_int_equal(had(p, EFFECT_FLUSH), 1);
        assert_false(send_inner(p, &p->a, "10.0.0.1", "10.0.0.2", 1000, &out)); /* not before those that wait */
        assert_int_equal(had(p, EFFECT_FLUSH), 1);
        assert_int_equal(drops(&p->a, DROP_TX_STAGED_OVERFLOW), 11);
        for (; next_staged(p, &p->a, &out); n++) {
                assert_true(receive(p, &p->b, &out));
                assert_int_equal(p->delivered, n + 1 < STAGED_MAX ? 111 + n : 1000);
        }
        assert_int_equal(n, STAGED_MAX);
        assert_int_equal(p->a.engine->staged.taken, 0);
        pair_free(p);
}

/* The kernel refused it: the counter is spent, no timer moves, nothing is counted as sent. */
static void test_not_sent(void **state)
{
        struct pair *p = pair_established();
        struct timers before = p->a.peer->timers;
        uint64_t tx_bytes = p->a.peer->tx_bytes, counter = p->a.peer->sessions.current->send_counter;
        uint8_t packet[INNER_LEN + PACKET_PADDING];
        struct tx tx;

        (void)state;
        pass_time(p, REKEY_AFTER_TIME);
        p->fx.count = 0;
        inner_packet(packet, "10.0.0.1", "10.0.0.2", INNER_LEN);
        assert_true(engine_tx_begin(p->a.engine, p->now, p->wall, packet, INNER_LEN, &tx, &p->reason, &p->fx));
        engine_tx_commit(p->a.engine, p->now, p->wall, &tx, false, &p->fx);
        assert_int_equal(p->fx.count, 0);
        assert_memory_equal(&p->a.peer->timers, &before, sizeof before);
        assert_int_equal(p->a.peer->tx_bytes, tx_bytes);
        assert_int_equal(p->a.peer->sessions.current->send_counter, counter + 1);
        assert_int_equal(p->a.peer->sessions.current->users, 0);
        pair_free(p);
}

/* While a packet is being opened its session may go: it is opened all the same, and then not delivered. */
static void test_session_ends_under_a_packet(void **state)
{
        struct pair *p = pair_established();
        struct datagram d;
        enum drop reason;
        size_t len;
        struct rx rx;

        (void)state;
        assert_true(send_data(p, &p->a, &d));
        p->fx.count = 0;
        assert_true(engine_rx_begin(p->b.engine, p->now, p->wall, d.bytes, d.len, &d.from, &rx, &reason, &p->fx));
        pass_time(p, ERASE_KEYS_TIME);
        tick(p, &p->b);
        assert_int_equal(had(p, EFFECT_SESSION_DOWN), 1);
        assert_true(rx_open(&rx));
        p->fx.count = 0;
        assert_false(engine_rx_commit(p->b.engine, p->now, p->wall, &rx, true, &d.from, &len, &reason, &p->fx));
        assert_int_equal(reason, DROP_RX_SESSION_EXPIRED);
        assert_int_equal(p->fx.count, 0);
        assert_int_equal(p->b.engine->store.pool.taken, 0);
        pair_free(p);
}

/* The flush comes when the session that it was for has ended: nothing is lost, and a handshake is asked for. */
static void test_late_flush(void **state)
{
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a);

        (void)state;
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_int_equal(had(p, EFFECT_FLUSH), 1);
        pass_time(p, REJECT_AFTER_TIME);
        assert_false(next_staged(p, &p->a, &d));
        assert_int_equal(p->a.peer->staged.count, 1);
        assert_true(engine_deadline(p->a.engine) <= p->now);
        tick(p, &p->a);
        assert_int_equal(sent_by(p, &p->a).bytes[0], MESSAGE_INITIATION);
        pair_free(p);
}

static void test_undeliverable(void **state)
{
        const union socket_address none = { 0 };
        struct pair *p = pair_new();
        uint8_t packet[64] = { 0x15 };
        struct datagram d;
        struct tx tx;

        (void)state;
        assert_false(send_inner(p, &p->a, "10.0.0.1", "10.0.0.3", 100, &d));
        assert_int_equal(p->reason, DROP_TX_NO_PEER);
        assert_false(engine_tx_begin(p->a.engine, p->now, p->wall, packet, sizeof packet, &tx, &p->reason, &p->fx));
        assert_int_equal(p->reason, DROP_TX_NOT_IP);
        engine_peer_set_endpoint(p->a.peer, &none);
        assert_false(send_data(p, &p->a, &d));
        assert_int_equal(p->reason, DROP_TX_NO_ENDPOINT);
        engine_set_up(p->a.engine, p->now, false);
        assert_false(send_data(p, &p->a, &d));
        assert_int_equal(p->reason, DROP_TX_LINK_DOWN);
        assert_false(receive(p, &p->a, &d));
        assert_int_equal(p->reason, DROP_RX_LINK_DOWN);
        assert_int_equal(all_drops(&p->a), 5);
        assert_int_equal(p->fx.count, 0);
        pair_free(p);
}

/* A worker delivers what proves a new session before the owner has made it the current one: the answer must not go out
 * with the old one, which a peer that was started anew does not have. */
static void test_answer_to_the_first_packet(void **state)
{
        struct pair *p = pair_established();
        struct session *old = p->b.peer->sessions.current;
        struct datagram d, answer;
        uint8_t packet[INNER_LEN];
        enum drop reason;
        bool wake = false;
        size_t len;
        struct rx rx;
        struct tx tx;

        (void)state;
        pass_time(p, REKEY_AFTER_TIME);
        p->a.peer->initiate_not_before = 0;
        assert_true(send_data(p, &p->a, &d));
        d = sent_by(p, &p->a);
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        receive(p, &p->a, &d);
        assert_true(send_data(p, &p->a, &d));

        assert_int_equal(worker_find(p->b.engine, p->now, d.bytes, d.len, &rx, &reason), FIND_DATA);
        assert_true(rx_open(&rx));
        assert_int_equal(worker_accept(p->b.engine, p->now, &rx, true, &p->a.at, &len, &reason, &wake),
                         ACCEPTED_PACKET);
        assert_true(wake);
        assert_ptr_equal(p->b.peer->sessions.current, old);
        inner_packet(packet, "10.0.0.2", "10.0.0.1", sizeof packet);
        assert_int_equal(worker_route(p->b.engine, p->now, packet, sizeof packet, 1, &tx, &reason), ROUTE_OWNER);
        assert_true(send_data(p, &p->b, &answer)); /* the owner, before it attends to asks */
        assert_ptr_not_equal(p->b.peer->sessions.current, old);
        assert_memory_equal(answer.bytes + 4, &p->a.peer->sessions.current->entry.index, 4);
        assert_true(receive(p, &p->a, &answer));
        engine_waited(p->b.peer);
        assert_int_equal(worker_route(p->b.engine, p->now, packet, sizeof packet, 1, &tx, &reason), ROUTE_SEND);
        pair_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_ways),
                cmocka_unit_test(test_damaged_data),
                cmocka_unit_test(test_roaming),
                cmocka_unit_test(test_delivery),
                cmocka_unit_test(test_source_is_the_longest_match),
                cmocka_unit_test(test_not_ip_draws_no_keepalive),
                cmocka_unit_test(test_padding),
                cmocka_unit_test(test_staged),
                cmocka_unit_test(test_not_sent),
                cmocka_unit_test(test_session_ends_under_a_packet),
                cmocka_unit_test(test_late_flush),
                cmocka_unit_test(test_undeliverable),
                cmocka_unit_test(test_answer_to_the_first_packet),
        };

        return RUN(tests);
}
