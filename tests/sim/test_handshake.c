/* Handshakes that cross, hosts that restart, clocks that step back, machines that sleep. */
#include "tests/sim/world.h"

static uint64_t initiations(const struct world *world)
{
        return world->hosts[0]->sent[1] + world->hosts[1]->sent[1];
}

static void test_both_at_the_same_time(void **state)
{
        (void)state;
        for (uint64_t seed = 1; seed <= 20; seed++) {
                struct host *a, *b;
                struct world *world = world_pair(seed, &a, &b);

                for (unsigned i = 0; i < 5; i++) {
                        world_send(a, b);
                        world_send(b, a);
                }
                world_flow(a, b, 300, 100 * MILLISECOND);
                world_flow(b, a, 300, 100 * MILLISECOND);
                world_run(world, MINUTE);
                assert_int_equal(world_lost(world), 0);
                assert_in_range(initiations(world), 2, 3); /* and no third and fourth to settle the dispute */
                assert_true(host_status(a, b).session && host_status(b, a).session);
                world_free(world);
        }
}

static void test_both_with_jitter(void **state)
{
        (void)state;
        for (uint64_t seed = 100; seed < 160; seed++) {
                struct host *a, *b;
                struct world *world = world_pair(seed, &a, &b);

                a->link.latency = world_random(world, 60 * MILLISECOND);
                b->link.latency = world_random(world, 60 * MILLISECOND);
                world_send(a, b);
                world_run(world, world_random(world, 100 * MILLISECOND));
                world_send(b, a);
                world_flow(a, b, 100, 100 * MILLISECOND);
                world_flow(b, a, 100, 100 * MILLISECOND);
                world_run(world, MINUTE);
                assert_int_equal(world_lost(world), 0);
                assert_in_range(initiations(world), 1, 3);
                world_free(world);
        }
}

/* With traffic both ways the restarted host's own initiation mends all, at the latest at its second attempt. */
static void test_restart_with_traffic(void **state)
{
        (void)state;
        for (uint64_t seed = 200; seed < 240; seed++) {
                struct host *a, *b;
                struct world *world = world_pair(seed, &a, &b);
                uint64_t mark;

                world_flow(a, b, 4000, 100 * MILLISECOND);
                world_flow(b, a, 4000, 100 * MILLISECOND);
                world_run(world, world_random(world, 250 * SECOND));
                host_restart(seed % 2 ? a : b);
                world_run(world, 7 * SECOND);
                mark = world->packet_count;
                world_run(world, MINUTE);
                host_restart(a); /* and both at once */
                host_restart(b);
                world_check(world, mark < world->packet_count, "no traffic");
                world_run(world, 7 * SECOND);
                for (uint64_t i = mark; i < mark + 400; i++)
                        world_check(world, world_was_delivered(world, i), "packet %lu", (unsigned long)i);
                mark = world->packet_count;
                world_run(world, 30 * SECOND);
                world_run(world, 0);
                for (uint64_t i = mark; i + 100 < world->packet_count; i++)
                        world_check(world, world_was_delivered(world, i), "packet %lu", (unsigned long)i);
                world_free(world);
        }
}

/* Who only listens cannot tell: the sender hears nothing for KEEPALIVE_TIMEOUT + REKEY_TIMEOUT since the first packet
 * that was not answered, at most 10 s before the restart, and begins anew. */
static void test_restart_of_a_listener(void **state)
{
        (void)state;
        for (uint64_t seed = 300; seed < 320; seed++) {
                struct host *a, *b;
                struct world *world = world_pair(seed, &a, &b);
                uint64_t mark;

                world_flow(a, b, 1000, 100 * MILLISECOND);
                world_run(world, 10 * SECOND + world_random(world, 10 * SECOND));
                host_restart(b);
                mark = world->packet_count + 2;
                world_run(world, 4 * SECOND);
                world_check(world, !world_was_delivered(world, mark), "delivered with a key that is gone");
                assert_int_equal(a->sent[1], 1);
                world_run(world, 12 * SECOND);
                mark = world->packet_count;
                assert_int_equal(a->sent[1], 2);
                world_run(world, 2 * MINUTE);
                world_check_delivered(world, mark);
                world_free(world);
        }
}

/* A host whose wall clock is behind what it said before it restarted cannot begin a handshake: its initiations look
 * like replays, and are refused without an answer. The protocol gets over it when the other side initiates, and from
 * then on the other side, being the initiator, keeps the key fresh too (paper, 6.2). */
static void test_restart_with_clock_stepped_back(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(400, &a, &b);
        uint64_t mark;

        (void)state;
        world_send(b, a);
        world_run(world, MINUTE);
        assert_int_equal(a->delivered, 1);

        b->wall_offset = -(int64_t)HOUR;
        host_restart(b);
        world_flow(b, a, 30, SECOND);
        world_run(world, MINUTE);
        assert_int_equal(a->delivered, 1);
        assert_int_equal(a->sent[2], 1); /* never answered */
        assert_int_equal(host_drops(a, DROP_RX_HANDSHAKE_REPLAY), b->sent[1] - 1);
        assert_in_range(b->sent[1], 10, 16);

        world_send(a, b);              /* into the session that b forgot */
        world_run(world, 16 * SECOND); /* no word from b */
        world_run(world, SECOND);
        world_check(world, host_status(a, b).session && host_status(b, a).session, "no session");
        mark = world->packet_count;
        world_flow(b, a, 600, SECOND); /* only b speaks */
        world_run(world, 15 * MINUTE);
        world_check_delivered(world, mark);
        world_free(world);
}

/* Within one process the timestamps go on, whatever the clock does. */
static void test_clock_stepped_back_while_running(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(410, &a, &b);

        (void)state;
        world_flow(a, b, 2000, SECOND);
        for (unsigned i = 0; i < 10; i++) {
                world_run(world, 3 * MINUTE);
                a->wall_offset -= (int64_t)HOUR;
        }
        world_run(world, 10 * MINUTE);
        assert_int_equal(world_lost(world), 0);
        assert_int_equal(host_drops(b, DROP_RX_HANDSHAKE_REPLAY), 0);
        assert_in_range(a->sent[1], 14, 22);
        world_free(world);
}

static void check_wakes_fresh(struct world *world, struct host *sleeper, struct host *other)
{
        uint64_t data = sleeper->sent[4], first = sleeper->sent[1], mark;

        host_wake(sleeper);
        world_run(world, MILLISECOND);
        world_check(world, sleeper->sent[4] == data, "data under a key an hour old");
        world_send(sleeper, other);
        world_run(world, 0);
        world_check(world, sleeper->sent[4] == data, "data under a key an hour old");
        assert_in_range(sleeper->sent[1], first, first + 2);
        world_run(world, 12 * SECOND);
        mark = world->packet_count;
        world_flow(sleeper, other, 50, 100 * MILLISECOND);
        world_flow(other, sleeper, 50, 100 * MILLISECOND);
        world_run(world, 30 * SECOND);
        world_check_delivered(world, mark);
}

static void test_suspend_for_an_hour(void **state)
{
        (void)state;
        for (uint64_t seed = 500; seed < 520; seed++) {
                struct host *a, *b;
                struct world *world = world_pair(seed, &a, &b);

                if (seed % 4 == 1) host_keepalive(b, a, 25);
                world_flow(a, b, 60, SECOND);
                world_flow(b, a, seed % 2 ? 60 : 4000, SECOND); /* the other falls silent, or calls all the while */
                world_run(world, world_random(world, 50 * SECOND));
                host_sleep(a);
                world_run(world, HOUR);
                check_wakes_fresh(world, a, b);
                world_free(world);
        }
}

/* A peer that cannot be reached is called for REKEY_ATTEMPT_TIME and then left alone; the next packet calls again. */
static void test_gives_up(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(600, &a, &b);
        uint64_t calls;

        (void)state;
        host_sleep(b);
        world_send(a, b);
        world_run(world, HOUR);
        calls = a->sent[1];
        assert_in_range(calls, 16, 19); /* 90 s, 5 s and a jitter apart */
        assert_int_equal(a->effects[EFFECT_GAVE_UP], 1);
        assert_in_range(a->effects[EFFECT_UNANSWERED], 2, 3);
        assert_in_range(a->last_sent_at, 80 * SECOND, 96 * SECOND);
        assert_int_equal(host_drops(a, DROP_TX_HANDSHAKE_FAILED), 1);

        host_wake(b);
        world_send(a, b);
        world_run(world, SECOND);
        assert_int_equal(b->delivered, 1);
        assert_int_equal(a->sent[1], calls + 1);
        world_free(world);
}

static void test_staged_are_bounded(void **state)
{
        struct host *a, *b;
        struct world *world = world_pair(610, &a, &b);

        (void)state;
        host_sleep(b);
        for (unsigned i = 0; i < STAGED_MAX + 50; i++)
                world_send(a, b);
        assert_int_equal(host_drops(a, DROP_TX_STAGED_OVERFLOW), 50);
        world_run(world, 2 * SECOND);
        host_wake(b);
        world_run(world, 10 * SECOND);
        assert_int_equal(b->delivered, STAGED_MAX);
        world_check_delivered(world, 50); /* the oldest were dropped */
        world_free(world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both_at_the_same_time),
                cmocka_unit_test(test_both_with_jitter),
                cmocka_unit_test(test_restart_with_traffic),
                cmocka_unit_test(test_restart_of_a_listener),
                cmocka_unit_test(test_restart_with_clock_stepped_back),
                cmocka_unit_test(test_clock_stepped_back_while_running),
                cmocka_unit_test(test_suspend_for_an_hour),
                cmocka_unit_test(test_gives_up),
                cmocka_unit_test(test_staged_are_bounded),
        };

        return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
