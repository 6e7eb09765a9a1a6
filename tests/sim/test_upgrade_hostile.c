/* Somebody on the way of two Adits, who has no key: sends again what he saw, or lets frames not pass. */
#include "tests/sim/upgrade.h"
#include "daemon/proto/sender.h"

/* ---- Replays ----------------------------------------------------------------------------------------------------- */

/* Sends one again of all that was seen, an old one or one of a moment ago: as it was, from elsewhere, or to its sender.
 * Not before it has arrived: that would be no replay. */
static void replay(struct world *world, void *argument)
{
        uint64_t *left = argument, back;
        const struct datagram *d;
        union socket_address from;

        if (*left == 0) return;
        --*left;
        world_at(world, world_random(world, 20 * MILLISECOND), replay, argument);
        if (world->captured_count < 20) return;
        back = world_random(world, world_random(world, 4) ? 12 : world->captured_count);
        d = world->captured[world->captured_count - 1 - back];
        if (world->now - d->sent_at <= link_clean.latency) return;
        from = world_random(world, 2) ? d->from : world_address(0xcb007101, 7777);
        if (world_random(world, 3)) {
                world_inject(world, &from, &d->to, d->bytes, d->len);
        } else {
                world_inject(world, &d->to, &d->from, d->bytes, d->len);
        }
}

static void test_replays(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 40; seed++) {
                struct host *a, *b;
                struct world *world = world_adits(seed, seed & 1, &a, &b);
                uint64_t left = 30000, sessions;

                world->capture = true;
                world_at(world, 0, replay, &left);
                world_flow(a, b, 1000, 300 * MILLISECOND);
                world_flow(b, a, 1000, 300 * MILLISECOND);
                world_run(world, 300 * SECOND);
                left = 0;
                world_run(world, 60 * SECOND);
                assert_int_equal(world_lost(world), 0);
                sessions = a->sent[1] + b->sent[1];
                assert_in_range(sessions, 3, 4);
                check_upgraded(a, b, a->effects[EFFECT_UPGRADED]);
                assert_in_range(a->effects[EFFECT_UPGRADED], sessions - 1, sessions);
                assert_int_equal(a->effects[EFFECT_UPGRADE_LOST] + b->effects[EFFECT_UPGRADE_LOST], 0);
                assert_int_equal(a->effects[EFFECT_ROAMED] + b->effects[EFFECT_ROAMED], 0);
                assert_true(host_drops(a, DROP_RX_REPLAY) > 100 && host_drops(b, DROP_RX_REPLAY) > 100);
                world_free(world);
        }
}

/* ---- Frames that do not pass ------------------------------------------------------------------------------------- */

/* Datagrams of these lengths are lost, of either side. */
struct dropper {
        const size_t *lengths;
        uint64_t dropped;
};

static bool drop_lengths(struct world *world, struct host *from, struct datagram *d)
{
        struct dropper *dropper = world->filter_context;

        (void)from;
        if (d->packet || d->bytes[0] != 4) return true;
        for (const size_t *len = dropper->lengths; *len; len++) {
                if (d->len != *len) continue;
                dropper->dropped++;
                return false;
        }
        return true;
}

/* Of OFFER and ACCEPT with ML-KEM and without, and of HELLO. */
static const size_t offers[] = { 1232, 64, 0 }, big[] = { 1232, 1152, 0 }, accepts[] = { 1152, 64, 0 },
                    all_frames[] = { 1232, 1152, 64, 0 };

/* Two that know each other, and then: as WireGuard, without a loss, and after three sessions they are told. */
static void test_auto_under_a_dropper(void **state)
{
        static const size_t *const rows[] = { offers, big, accepts, all_frames };

        (void)state;
        for (unsigned i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
                bool mlkem = abilities_all(true).mlkem;
                struct dropper dropper = { .lengths = rows[i / 2] };
                uint64_t handshakes[2];

                for (unsigned adits = 0; adits < 2; adits++) {
                        struct host *a, *b;
                        struct world *world = adits ? world_adits(100 + i, true, &a, &b) : world_pair(100 + i, &a, &b);

                        if (adits && !mlkem && rows[i / 2] == big) {
                                world_free(world);
                                skip_mlkem("its frames are dropped");
                                continue;
                        }
                        world_flow(a, b, 1600, SECOND);
                        world_flow(b, a, 1600, SECOND);
                        world_run(world, 60 * SECOND);
                        if (adits) check_is_upgraded(a, b);
                        if (adits) world->filter = drop_lengths;
                        world->filter_context = &dropper;
                        world_run(world, 120 * SECOND + 2 * 120 * SECOND);
                        world_check(world, !adits || !host_status(i & 1 ? b : a, i & 1 ? a : b).mlkem, "ML-KEM");
                        world_run(world, 7 * MINUTE);
                        if (adits) {
                                world_check(world,
                                            a->effects[EFFECT_UPGRADE_LOST] + b->effects[EFFECT_UPGRADE_LOST] > 0,
                                            "nobody is told");
                                assert_false(upgraded(a, b) || upgraded(b, a));
                                assert_true(dropper.dropped > 5);
                        }
                        world_run(world, 20 * MINUTE);
                        assert_int_equal(world_lost(world), 0);
                        handshakes[adits] = a->sent[1] + b->sent[1];
                        world_free(world);
                        if (adits) assert_in_range(handshakes[1], handshakes[0] - 1, handshakes[0] + 1);
                }
        }
}

static uint32_t receiver_of(const struct datagram *d)
{
        return (uint32_t)d->bytes[4] | (uint32_t)d->bytes[5] << 8 | (uint32_t)d->bytes[6] << 16 |
               (uint32_t)d->bytes[7] << 24;
}

static bool is_to(const struct session *session, uint32_t index)
{
        return session && session->child && session->child->remote_index == index;
}

/* What goes on a child whose parent is still there. */
static bool drop_child(struct world *world, struct host *from, struct datagram *d)
{
        const struct sessions *have = &host_peer(from, from->contacts[0].host)->sessions;

        (void)world;
        return d->bytes[0] != 4 || (!is_to(have->current, receiver_of(d)) && !is_to(have->previous, receiver_of(d)));
}

/* The frames pass and what they agree on does not: until the other side was heard there no user packet goes so. */
static void test_child_that_does_not_pass(void **state)
{
        (void)state;
        for (uint64_t seed = 150; seed < 160; seed++) {
                struct host *a, *b;
                struct world *world = world_adits(seed, true, &a, &b);

                world->filter = drop_child;
                world_flow(a, b, 5000, 100 * MILLISECOND);
                world_flow(b, a, 5000, 100 * MILLISECOND);
                world_run(world, 600 * SECOND);
                assert_int_equal(world_lost(world), 0);
                assert_int_equal(a->upgraded + b->upgraded, 0);
                assert_in_range(a->sent[1] + b->sent[1], 4, 20);
                world_free(world);
        }
}

/* When it ends, they find each other again, though late. */
static void test_dropper_goes(void **state)
{
        struct dropper dropper = { .lengths = all_frames };
        struct host *a, *b;
        struct world *world = world_adits(200, true, &a, &b);

        (void)state;
        world_flow(a, b, 10000, SECOND);
        world_flow(b, a, 10000, SECOND);
        world_run(world, 60 * SECOND);
        world->filter = drop_lengths;
        world->filter_context = &dropper;
        world_run(world, HOUR);
        assert_false(upgraded(a, b));
        assert_int_equal(a->effects[EFFECT_UPGRADE_LOST], 1); /* not each time that it is asked anew */
        world->filter = NULL;
        world_run(world, 15 * MINUTE);
        check_is_upgraded(a, b);
        world_free(world);
}

/* Who requires lets nothing pass classical: it holds, counts, and goes on trying. */
static void test_require_under_a_dropper(void **state)
{
        (void)state;
        for (unsigned both = 0; both < 2; both++) {
                struct dropper dropper = { .lengths = all_frames };
                struct host *a, *b;
                struct world *world = world_adits(300 + both, true, &a, &b);
                const struct upgrade_policy require = { .post_quantum = POST_QUANTUM_REQUIRE };
                uint64_t delivered, begun;

                if (!a->abilities.mlkem) {
                        world_free(world);
                        skip_mlkem("require under a dropper");
                        return;
                }
                host_policy(a, b, require);
                if (both) host_policy(b, a, require);
                world_flow(a, b, 5000, SECOND);
                world_flow(b, a, 5000, SECOND);
                world_run(world, 60 * SECOND);
                check_is_upgraded(a, b);
                world->filter = drop_lengths;
                world->filter_context = &dropper;
                world_run(world, 200 * SECOND); /* the session that they have ends */
                delivered = world->delivered;
                begun = a->sent[1] + b->sent[1];
                world_run(world, HOUR);
                assert_int_equal(world->delivered, delivered);
                assert_true(host_drops(a, DROP_TX_NOT_POST_QUANTUM) > 3000);
                assert_true(a->effects[EFFECT_UPGRADE_LOST] + b->effects[EFFECT_UPGRADE_LOST] > 0);
                assert_in_range(a->sent[1] + b->sent[1] - begun, 20, 100);
                world->filter = NULL;
                world_run(world, 5 * MINUTE);
                check_is_upgraded(a, b);
                world_check(world, world->delivered > delivered + 200, "%lu came",
                            (unsigned long)(world->delivered - delivered));
                world_check_accounts(world);
                world_free(world);
        }
}

/* An `auto` side that knows the other requires ML-KEM does not send in the clear because frames are dropped; not until
 * the third session without an answer, and until then what waits is counted. */
static void test_held_by_the_peers_require(void **state)
{
        struct dropper dropper = { .lengths = all_frames };
        struct host *a, *b;
        struct world *world = world_adits(400, true, &a, &b);
        uint64_t refused;
        unsigned held = 0;

        (void)state;
        if (!a->abilities.mlkem) {
                world_free(world);
                skip_mlkem("the peer's require under a dropper");
                return;
        }
        host_policy(b, a, (struct upgrade_policy){ .post_quantum = POST_QUANTUM_REQUIRE });
        world_flow(a, b, 5000, 200 * MILLISECOND);
        world_run(world, 60 * SECOND);
        check_is_upgraded(a, b);
        refused = host_drops(b, DROP_RX_NOT_POST_QUANTUM); /* its first words */
        world->filter = drop_lengths;
        world->filter_context = &dropper;
        while (a->effects[EFFECT_UPGRADE_LOST] == 0) {
                assert_int_equal(host_drops(b, DROP_RX_NOT_POST_QUANTUM), refused);
                world_run(world, 100 * MILLISECOND);
                if (held == 0 && sender_holds(a->engine, host_peer(a, b)))
                        for (; held < 300; held++) /* more than wait */
                                world_send(a, b);
                world_check(world, world->now < HOUR, "it is never told");
        }
        assert_true(a->effects[EFFECT_SESSION_UP] >= 4); /* one that was upgraded, and three misses */
        assert_true(host_drops(a, DROP_TX_NOT_POST_QUANTUM) >= 300 - STAGED_MAX);
        assert_int_equal(host_drops(a, DROP_TX_STAGED_OVERFLOW), 0);
        world_run(world, MINUTE);
        assert_true(host_drops(b, DROP_RX_NOT_POST_QUANTUM) > refused);
        world_check_accounts(world);
        world_free(world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_replays),
                cmocka_unit_test(test_auto_under_a_dropper),
                cmocka_unit_test(test_child_that_does_not_pass),
                cmocka_unit_test(test_dropper_goes),
                cmocka_unit_test(test_require_under_a_dropper),
                cmocka_unit_test(test_held_by_the_peers_require),
        };

        return cmocka_run_group_tests_name("upgrade under attack", tests, NULL, NULL);
}
