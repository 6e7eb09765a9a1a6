/* Handshake messages that are forged, damaged, replayed, too many or crossing. */
#include "tests/unit/proto/pair.h"

enum { MACS_LEN = sizeof(struct message_macs), MAC2_LEN = MESSAGE_MAC_LEN };

/* Refused without a byte, an effect, or a change since the snapshot `before` (NULL: since now). */
static void check_refused(struct pair *p, struct side *side, const struct datagram *d, const void *before)
{
        void *own = before ? NULL : snapshot(side);
        const uint64_t drops_before = all_drops(side);

        assert_false(receive(p, side, d));
        assert_int_not_equal(p->reason, DROP_NONE);
        assert_int_equal(p->fx.count, 0);
        assert_int_equal(all_drops(side), drops_before + 1);
        snapshot_check(side, own ? own : before);
        free(own);
}

static void check_flips_and_lengths(struct pair *p, struct side *side, const struct datagram *good, size_t flip_len)
{
        void *before = snapshot(side);
        struct datagram d;

        for (size_t bit = 0; bit < flip_len * 8; bit++) {
                d = *good;
                d.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                check_refused(p, side, &d, before);
        }
        for (size_t len = 0; len < good->len + 300; len++) {
                if (len == good->len) continue;
                d = *good;
                d.len = len;
                check_refused(p, side, &d, before);
        }
        free(before);
}

/* By somebody who knows the public key of `side` and so can make mac1 right again. The sender's index, bytes 4 to 7, is
 * covered by nothing else in WireGuard. */
static void check_flips_with_good_mac1(struct pair *p, struct side *side, const struct datagram *good)
{
        void *before = snapshot(side);
        struct cookie_jar jar;

        cookie_jar_init(&jar, &side->public_key);
        for (size_t bit = 0; bit < (good->len - MACS_LEN) * 8; bit++) {
                struct datagram d = *good;

                if (bit / 8 >= 4 && bit / 8 < 8) continue;
                pass_time(p, MILLISECONDS(1)); /* not to be a load */
                d.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                cookie_add_macs(&jar, p->now, d.bytes, d.len);
                check_refused(p, side, &d, before);
        }
        free(before);
}

static void test_damaged_initiation(void **state)
{
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a);

        (void)state;
        d.from = endpoint_of("203.0.113.9", 9);
        check_flips_and_lengths(p, &p->b, &d, d.len - MAC2_LEN);
        check_flips_with_good_mac1(p, &p->b, &d);
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_NONE);
        pair_free(p);
}

/* Without load mac2 is not looked at (paper, 5.4.4): a peer may show a cookie of before we restarted. Under load a
 * wrong one is answered with a cookie reply alone. */
static void test_damaged_mac2(void **state)
{
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a);
        void *before;

        (void)state;
        p->b.engine->load.until = p->now + SECONDS(1);
        before = snapshot(&p->b);
        for (size_t bit = (d.len - MAC2_LEN) * 8; bit < d.len * 8; bit++) {
                struct datagram damaged = d;

                damaged.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
                p->b.random = 2; /* the nonce is drawn from it; not the engine's memory */
                assert_false(receive(p, &p->b, &damaged));
                assert_int_equal(p->reason, DROP_RX_UNDER_LOAD);
                assert_int_equal(p->fx.count, 1);
                assert_null(p->fx.list[0].peer);
                assert_int_equal(p->fx.list[0].len, sizeof(struct message_cookie_reply));
                snapshot_check(&p->b, before);
        }
        free(before);
        p->b.engine->load.until = 0;
        d.bytes[d.len - 1] ^= 1;
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_NONE);
        pair_free(p);
}

/* Whatever was refused, the pending handshake is still there, and the true response is taken. */
static void test_damaged_response(void **state)
{
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a);

        (void)state;
        receive(p, &p->b, &d);
        d = sent_by(p, &p->b);
        d.from = endpoint_of("203.0.113.9", 9);
        check_flips_and_lengths(p, &p->a, &d, d.len - MAC2_LEN);
        check_flips_with_good_mac1(p, &p->a, &d);

        struct datagram longer = d; /* with macs where an initiation has them */
        struct cookie_jar jar;
        longer.len = sizeof(struct message_initiation);
        cookie_jar_init(&jar, &p->a.public_key);
        cookie_add_macs(&jar, p->now, longer.bytes, longer.len);
        check_refused(p, &p->a, &longer, NULL);

        assert_false(receive(p, &p->a, &d));
        assert_int_equal(p->reason, DROP_NONE);
        assert_int_equal(had(p, EFFECT_SESSION_UP), 1);
        assert_int_equal(had(p, EFFECT_ROAMED), 1);
        check_refused(p, &p->a, &d, NULL); /* again: there is no such handshake any more */
        pair_free(p);
}

static struct datagram cookie_reply_to(struct pair *p, const struct datagram *initiation)
{
        p->b.engine->load.until = p->now + SECONDS(1);
        assert_false(receive(p, &p->b, initiation));
        assert_int_equal(p->reason, DROP_RX_UNDER_LOAD);
        return sent_by(p, &p->b);
}

static void test_cookie_reply(void **state)
{
        static const uint8_t no_mac2[MAC2_LEN];
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a), reply = cookie_reply_to(p, &d);
        struct endpoint before = p->a.peer->endpoint;

        (void)state;
        reply.from = endpoint_of("203.0.113.9", 9); /* moves nothing, even when it is true */
        check_flips_and_lengths(p, &p->a, &reply, reply.len);
        assert_false(receive(p, &p->a, &reply));
        assert_int_equal(p->reason, DROP_NONE);
        assert_int_equal(p->fx.count, 0);
        assert_memory_equal(&p->a.peer->endpoint, &before, sizeof before);
        check_refused(p, &p->a, &reply, NULL); /* one for each message */

        pass_time(p, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER);
        tick(p, &p->a);
        d = sent_by(p, &p->a);
        assert_memory_not_equal(d.bytes + d.len - MAC2_LEN, no_mac2, sizeof no_mac2);
        p->b.engine->load.until = p->now + SECONDS(1);
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_NONE);
        pair_free(p);
}

/* The cookie is of address and port. */
static void test_cookie_of_another_port(void **state)
{
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a), reply = cookie_reply_to(p, &d);

        (void)state;
        receive(p, &p->a, &reply);
        pass_time(p, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER);
        tick(p, &p->a);
        d = sent_by(p, &p->a);
        d.from = endpoint_of("192.0.2.1", 1001);
        p->b.engine->load.until = p->now + SECONDS(1);
        assert_false(receive(p, &p->b, &d));
        assert_int_equal(p->reason, DROP_RX_UNDER_LOAD);
        pair_free(p);
}

static void test_replay_and_rate(void **state)
{
        struct pair *p = pair_new();
        struct datagram first = initiation_of(p, &p->a), second, third;

        (void)state;
        pass_time(p, SECONDS(6));
        tick(p, &p->a);
        second = sent_by(p, &p->a);
        pass_time(p, SECONDS(6));
        tick(p, &p->a);
        third = sent_by(p, &p->a);

        receive(p, &p->b, &second);
        assert_int_equal(p->reason, DROP_NONE);
        void *before = snapshot(&p->b);
        check_refused(p, &p->b, &second, before);
        assert_int_equal(p->reason, DROP_RX_HANDSHAKE_REPLAY);
        check_refused(p, &p->b, &first, before);
        assert_int_equal(p->reason, DROP_RX_HANDSHAKE_REPLAY);
        pass_time(p, MILLISECONDS(20) - 1);
        check_refused(p, &p->b, &third, before);
        assert_int_equal(p->reason, DROP_RX_HANDSHAKE_TOO_SOON);
        pass_time(p, 1);
        receive(p, &p->b, &third);
        assert_int_equal(p->reason, DROP_NONE);
        free(before);
        pair_free(p);
}

static void test_unknown_peer(void **state)
{
        struct pair *p = pair_new();
        struct datagram d = initiation_of(p, &p->a);

        (void)state;
        engine_peer_remove(p->b.engine, p->b.peer);
        void *before = snapshot(&p->b);
        check_refused(p, &p->b, &d, before);
        assert_int_equal(p->reason, DROP_RX_UNKNOWN_PEER);
        free(before);
        pair_free(p);
}

/* Who is it that both send with after both began at once, in each order of arrival? */
static void test_crossing(void **state)
{
        static const unsigned orders[][4] = { { 0, 1, 2, 3 }, { 0, 1, 3, 2 }, { 1, 0, 2, 3 }, { 1, 0, 3, 2 } };

        (void)state;
        for (unsigned i = 0; i < ROWS(orders); i++) {
                struct pair *p = pair_new();
                struct datagram d[6] = { initiation_of(p, &p->a), initiation_of(p, &p->b) };

                for (unsigned j = 0; j < 4; j++) { /* 0, 1: initiations arrive; 2, 3: the responses to them */
                        unsigned n = orders[i][j];
                        struct side *to = n == 0 || n == 3 ? &p->b : &p->a;

                        receive(p, to, &d[n]);
                        assert_int_equal(p->reason, DROP_NONE);
                        if (n < 2) d[2 + n] = sent_by(p, to);
                        else assert_int_equal(had(p, EFFECT_FLUSH), 1);
                }
                assert_true(next_staged(p, &p->a, &d[4]));
                assert_true(next_staged(p, &p->b, &d[5]));
                assert_true(receive(p, &p->b, &d[4]));
                assert_true(receive(p, &p->a, &d[5]));
                assert_int_equal(p->a.peer->sessions.current->remote_index, p->b.peer->sessions.current->entry.index);
                assert_int_not_equal(p->a.peer->sessions.current->initiator, p->b.peer->sessions.current->initiator);
                assert_int_equal(all_drops(&p->a) + all_drops(&p->b), 0);
                pair_free(p);
        }
}

static void test_retries_and_giving_up(void **state)
{
        struct pair *p = pair_new();
        uint64_t start = p->now, last = p->now;
        unsigned unanswered = 0, initiations = 1;
        struct peer_status status;

        (void)state;
        initiation_of(p, &p->a);
        p->a.peer->endpoint.source_ifindex = 7;
        do {
                p->now = engine_deadline(p->a.engine);
                assert_true(p->now <= start + REKEY_ATTEMPT_TIME + REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER);
                tick(p, &p->a);
                unanswered += had(p, EFFECT_UNANSWERED);
                if (!had(p, EFFECT_SEND)) continue;
                assert_in_range(p->now - last, REKEY_TIMEOUT, REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER);
                assert_int_equal(p->a.peer->endpoint.source_ifindex, 0);
                last = p->now;
                engine_peer_status(p->a.peer, &status);
                assert_int_equal(status.handshake_attempts, ++initiations);
        } while (!had(p, EFFECT_GAVE_UP));

        assert_true(p->now >= start + REKEY_ATTEMPT_TIME);
        assert_in_range(initiations, 17, 18);
        assert_in_range(unanswered, 2, 3);
        assert_int_equal(drops(&p->a, DROP_TX_HANDSHAKE_FAILED), 1);
        assert_int_equal(p->a.engine->staged.taken, 0);
        engine_peer_status(p->a.peer, &status);
        assert_int_equal(status.handshake_attempts, 0);
        assert_true(engine_deadline(p->a.engine) > p->now + SECONDS(100)); /* nothing more by itself, */
        initiation_of(p, &p->a);                                           /* but by a new packet */
        pair_free(p);
}

static void add_client(struct pair *p, struct side *client, unsigned i)
{
        char address[16], inner[16];

        snprintf(address, sizeof address, "192.0.2.%u", 10 + i);
        snprintf(inner, sizeof inner, "10.0.0.%u", 10 + i);
        side_new(client, 100 + i, address);
        side_config(p, client, &p->b, "10.0.0.1"); /* what send_data() sends to */
        struct prefix prefix = prefix_of(inner, 32);
        struct peer *peer = engine_peer_add(p->b.engine, p->now, &client->public_key);
        assert_true(engine_allowed_ip_add(p->b.engine, peer, &prefix));
}

/* 50 peers at one moment: each gets its response, none a cookie. Of a flood the first LOAD_HANDSHAKES are served, the
 * rest get cookies; who shows one is served LOAD_SOURCE_BURST times at once. */
static void test_load(void **state)
{
        enum { CLIENTS = 50 };
        struct pair *p = pair_new();
        struct side *clients = calloc(CLIENTS, sizeof *clients);
        struct datagram d = { 0 };

        (void)state;
        assert_non_null(clients);
        for (unsigned i = 0; i < CLIENTS; i++) {
                add_client(p, &clients[i], i);
                d = initiation_of(p, &clients[i]);
                receive(p, &p->b, &d);
                assert_int_equal(p->reason, DROP_NONE);
                assert_int_equal(sent_by(p, &p->b).bytes[0], MESSAGE_RESPONSE);
        }
        for (unsigned i = CLIENTS; i < LOAD_HANDSHAKES; i++) {
                receive(p, &p->b, &d);
                assert_int_equal(p->reason, DROP_RX_HANDSHAKE_REPLAY);
        }
        struct datagram mine = initiation_of(p, &p->a);
        receive(p, &p->b, &mine);
        assert_int_equal(p->reason, DROP_RX_UNDER_LOAD);
        struct datagram reply = sent_by(p, &p->b);
        assert_true(reply.len <= mine.len);
        receive(p, &p->a, &reply);
        cookie_add_macs(&p->a.peer->jar, p->now, mine.bytes, mine.len);
        receive(p, &p->b, &mine);
        assert_int_equal(p->reason, DROP_NONE);
        for (unsigned i = 1; i < LOAD_SOURCE_BURST; i++) {
                receive(p, &p->b, &mine);
                assert_int_equal(p->reason, DROP_RX_HANDSHAKE_REPLAY);
        }
        receive(p, &p->b, &mine);
        assert_int_equal(p->reason, DROP_RX_RATE_LIMITED);
        assert_int_equal(p->fx.count, 0);
        for (unsigned i = 0; i < CLIENTS; i++)
                free(clients[i].memory);
        free(clients);
        pair_free(p);
}

/* A response to nothing of ours draws no cookie, not even under load. */
static void test_stray_response_under_load(void **state)
{
        struct pair *p = pair_new();
        struct message_response msg = { .type = le32_put(MESSAGE_RESPONSE), .receiver = le32_put(7) };
        struct datagram d = { .from = p->b.at, .len = sizeof msg };

        (void)state;
        p->a.engine->load.until = p->now + SECONDS(1);
        memcpy(d.bytes, &msg, sizeof msg);
        cookie_add_macs(&p->b.peer->jar, p->now, d.bytes, d.len);
        void *before = snapshot(&p->a);
        check_refused(p, &p->a, &d, before);
        assert_int_equal(p->reason, DROP_RX_UNKNOWN_INDEX);
        free(before);
        pair_free(p);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_damaged_initiation),
                cmocka_unit_test(test_damaged_mac2),
                cmocka_unit_test(test_damaged_response),
                cmocka_unit_test(test_cookie_reply),
                cmocka_unit_test(test_cookie_of_another_port),
                cmocka_unit_test(test_replay_and_rate),
                cmocka_unit_test(test_unknown_peer),
                cmocka_unit_test(test_crossing),
                cmocka_unit_test(test_retries_and_giving_up),
                cmocka_unit_test(test_load),
                cmocka_unit_test(test_stray_response_under_load),
        };

        return RUN(tests);
}
