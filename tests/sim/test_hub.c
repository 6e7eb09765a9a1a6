/* Many peers of one engine, and peers that move. */
#include "tests/sim/world.h"

#include <string.h>

enum { SPOKES = 500 };

static struct world *star(uint64_t seed, unsigned spokes)
{
        struct world *world = world_new(seed);
        struct host *hub = world_host(world, spokes);

        for (unsigned i = 0; i < spokes; i++)
                world_connect_one_way(world_host(world, 1), hub);
        return world;
}

/* After a power cut all come back within one second, or in one and the same instant. */
static void test_many_at_once(void **state)
{
        static const uint64_t within[] = { SECOND, 1 };

        (void)state;
        for (unsigned i = 0; i < 2; i++) {
                struct world *world = star(1 + i, SPOKES);
                struct host *hub = world->hosts[0];

                for (unsigned k = 1; k <= SPOKES; k++)
                        world_flow(world->hosts[k], hub, 2, within[i]);
                world_run(world, 10 * SECOND);
                assert_int_equal(world_lost(world), 0);
                assert_int_equal(hub->effects[EFFECT_SESSION_UP], SPOKES);
                for (unsigned k = 1; k <= SPOKES; k++)
                        world_flow(hub, world->hosts[k], 2, SECOND);
                world_run(world, 10 * SECOND);
                assert_int_equal(world_lost(world), 0);
                world_free(world);
        }
}

/* More in one instant than one core can serve: some are told to come back with a cookie, and do. */
static void test_too_many_at_once(void **state)
{
        enum { CROWD = 700 };
        struct world *world = star(10, CROWD);
        struct host *hub = world->hosts[0];

        (void)state;
        for (unsigned k = 1; k <= CROWD; k++)
                world_send(world->hosts[k], hub);
        world_run(world, 12 * SECOND);
        assert_int_equal(world_lost(world), 0);
        assert_in_range(host_drops(hub, DROP_RX_UNDER_LOAD), 1, CROWD);
        assert_int_equal(hub->sent[3], host_drops(hub, DROP_RX_UNDER_LOAD));
        world_free(world);
}

/* An hour of all of them, with rekeys, on a link that loses some. */
static void test_an_hour_of_many(void **state)
{
        struct world *world = star(20, 40);
        struct host *hub = world->hosts[0];
        const struct link link = { .loss = 20,
                                   .duplicate = 20,
                                   .corrupt = 20,
                                   .reorder = 20,
                                   .latency = 20 * MILLISECOND,
                                   .reorder_delay = SECOND };

        (void)state;
        world_links(world, &link);
        for (unsigned k = 1; k <= 40; k++) {
                host_keepalive(world->hosts[k], hub, 25);
                world_flow(world->hosts[k], hub, 120, 30 * SECOND);
                world_flow(hub, world->hosts[k], 120, 30 * SECOND);
        }
        world_run(world, HOUR);
        world_check_accounts(world);
        assert_true(world->delivered * 100 > world->packet_count * 90);
        world_free(world);
}

/* A client moves to another network in the middle of a transfer: the hub follows with the first packet from there. */
static void test_roaming(void **state)
{
        (void)state;
        for (uint64_t seed = 30; seed < 40; seed++) {
                struct world *world = star(seed, 1);
                struct host *hub = world->hosts[0], *client = world->hosts[1];

                world_flow(client, hub, 30000, 10 * MILLISECOND);
                world_run(world, 2 * SECOND);
                world_flow(hub, client, 30000, 10 * MILLISECOND);
                for (unsigned move = 0; move < 5; move++) {
                        uint64_t lost = world->link_lost, mark;
                        unsigned roamed = hub->effects[EFFECT_ROAMED];

                        world_run(world, 10 * SECOND + world_random(world, 30 * SECOND));
                        host_roam(client);
                        world_run(world, 50 * MILLISECOND);
                        mark = world->packet_count;
                        world_run(world, SECOND);
                        for (uint64_t i = mark; i < mark + 100; i++)
                                world_check(world, world_was_delivered(world, i), "packet %lu", (unsigned long)i);
                        assert_int_equal(hub->effects[EFFECT_ROAMED], roamed + 1);
                        assert_int_equal(world->link_lost, lost);
                        assert_memory_equal(host_sees(hub, client), &client->address, sizeof(struct sockaddr_in));
                }
                assert_int_equal(host_drops(hub, DROP_RX_REPLAY), 0);
                world_check(world, world_lost(world) < 60, "%lu lost in five moves", (unsigned long)world_lost(world));
                world_free(world);
        }
}

/* Late datagrams from the old address do not take it back there for longer than one packet; forged ones never move it
 * (test_hostile). */
static void test_roaming_with_stragglers(void **state)
{
        struct world *world = star(50, 1);
        struct host *hub = world->hosts[0], *client = world->hosts[1];

        (void)state;
        client->link = (struct link){ .latency = 10 * MILLISECOND, .reorder = 500, .reorder_delay = 300 * MILLISECOND };
        world_flow(client, hub, 1000, 10 * MILLISECOND);
        world_run(world, 5 * SECOND);
        host_roam(client);
        world_run(world, 30 * SECOND);
        assert_int_equal(world_lost(world), 0);
        assert_memory_equal(host_sees(hub, client), &client->address, sizeof(struct sockaddr_in));
        world_send(hub, client);
        world_run(world, SECOND);
        assert_int_equal(world_lost(world), 0);
        world_free(world);
}

/* Who has no endpoint for the other can only wait, and says so. */
static void test_no_endpoint(void **state)
{
        struct world *world = star(60, 1);
        struct host *hub = world->hosts[0], *client = world->hosts[1];

        (void)state;
        world_send(hub, client);
        world_run(world, SECOND);
        assert_int_equal(hub->sent[1], 0);
        assert_int_equal(host_drops(hub, DROP_TX_NO_ENDPOINT), 1);
        world_send(client, hub);
        world_run(world, SECOND);
        world_send(hub, client);
        world_run(world, SECOND);
        assert_int_equal(client->delivered, 1);
        world_free(world);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_many_at_once),
                cmocka_unit_test(test_too_many_at_once),
                cmocka_unit_test(test_an_hour_of_many),
                cmocka_unit_test(test_roaming),
                cmocka_unit_test(test_roaming_with_stragglers),
                cmocka_unit_test(test_no_endpoint),
        };

        return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
